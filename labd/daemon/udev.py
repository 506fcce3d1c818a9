"""Rules of udev for instruments on USB: which this machine has, so that nobody need be root to measure."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from labd import resources
from labd.bench.finding import Finding

FILE = "70-labd.rules"
FOLDERS = (Path("/etc/udev/rules.d"), Path("/run/udev/rules.d"), Path("/usr/lib/udev/rules.d"), Path("/lib/udev/rules.d"))  # udev(7)
RULE = ("SUBSYSTEM", "KERNEL")


def rules() -> str:
    """The file that labd comes with."""
    return (resources.path("fixtures") / "udev" / FILE).read_text(encoding="utf-8")


def sections(text: str) -> dict[str, tuple[str, ...]]:
    """Rules by the kind of instrument that the comment above them begins with."""
    found: dict[str, tuple[str, ...]] = {}
    for block in text.split("\n\n"):
        lines = tuple(line for line in block.splitlines() if line.startswith(RULE))
        if lines:
            found[block.removeprefix("# ").partition(":")[0]] = lines
    return found


def findings(folders: Sequence[Path] = FOLDERS, platform: str = sys.platform) -> Iterator[Finding]:
    if platform != "linux":
        return
    there = {line.strip() for folder in folders for path in sorted(folder.glob("*.rules")) for line in _text(path).splitlines()}
    missing = [kind for kind, lines in sections(rules()).items() if not there.issuperset(lines)]
    if missing:
        how = "`labd udev /etc/udev/rules.d` writes those of labd"
        yield Finding("udev rules", None, f"none of labd's for {', '.join(missing)}: a user who is not root may be refused there; {how}")
    else:
        yield Finding("udev rules", True, f"for {', '.join(sections(rules()))}")


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
