"""One thing that was tested of a bench or a machine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Finding:
    """ok None: could not be tested here, and why. figures: what was measured, by name with its unit (`noise_a`), SI; of: of which
    instrument, empty where of none."""

    what: str
    ok: bool | None
    text: str
    figures: Mapping[str, float] = field(default_factory=dict)
    of: str = ""
