"""`python -m labd.api.document`: the API's OpenAPI document, from which clients are generated; with --check, whether the file has it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from labd.api.app import create_app

FILE = "docs/reference/openapi.json"


def document() -> str:
    return json.dumps(create_app(None).openapi(), indent=1, sort_keys=True) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        Path(FILE).write_text(document(), encoding="utf-8")
    elif Path(FILE).read_text("utf-8") != document():
        sys.exit(f"{FILE} is not what the code says: python -m labd.api.document writes it again")
