"""`python -m dashboards` writes the dashboards' JSON into grafana/dashboards."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models.dashboard import Dashboard

from dashboards.compare import compare
from dashboards.health import health
from dashboards.live import live
from dashboards.run import run_dashboard

FOLDER = Path(__file__).parents[1] / "grafana/dashboards"
DASHBOARDS: dict[str, Callable[[], Dashboard]] = {"live": live, "run": run_dashboard, "compare": compare, "health": health}


def written(dashboard: Dashboard) -> str:
    """As it is checked in."""
    return json.dumps(dashboard, cls=JSONEncoder, indent=2, ensure_ascii=False) + "\n"


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, make in DASHBOARDS.items():
        (FOLDER / f"{name}.json").write_text(written(make()), encoding="utf-8")
        print(f"grafana/dashboards/{name}.json")


if __name__ == "__main__":
    main()
