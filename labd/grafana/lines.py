"""One point of line protocol for Grafana Live: ns timestamps, text tags, float fields; pure.

Grafana's documentation, "Set up Grafana Live" (stream from Telegraf); line protocol: docs.influxdata.com, "Line protocol reference".
"""

from __future__ import annotations

import math
from collections.abc import Mapping

MEASUREMENT = "power"  # the last part of the channel's name
ESCAPED = str.maketrans({",": "\\,", "=": "\\=", " ": "\\ ", "\n": "\\ ", "\r": "\\ ", "\t": "\\ "})


def line(tags: Mapping[str, str], fields: Mapping[str, float | None], t_ns: int) -> str:
    """What is no number is left out; empty when no field is left."""
    said = ",".join(f"{name}={value!r}" for name, value in fields.items() if value is not None and math.isfinite(value))
    named = "".join(f",{name}={value.translate(ESCAPED)}" for name, value in sorted(tags.items()) if value)
    return f"{MEASUREMENT}{named} {said} {t_ns}\n" if said else ""
