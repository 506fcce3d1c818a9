"""`python -m labd.api.document`: the API's OpenAPI document, from which clients are generated."""

from __future__ import annotations

import json
from pathlib import Path

from labd.api.app import create_app

FILE = "docs/reference/openapi.json"


def document() -> str:
    return json.dumps(create_app(None).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    Path(FILE).write_text(document(), encoding="utf-8")
