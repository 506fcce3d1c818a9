"""`python -m labd.cli.kpis_page` writes the reference page of the KPIs again."""

from __future__ import annotations

from pathlib import Path

from labd.kpi.reference import PAGE, page

if __name__ == "__main__":
    Path(PAGE).write_text(page(), encoding="utf-8")
