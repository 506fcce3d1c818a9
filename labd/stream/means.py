"""Means, lowest and highest of a capture between two looks; pure."""

from __future__ import annotations

from typing import Any

import numpy as np

from labd.stream.feed import Feed, FeedBlock, FeedStart


class Means:
    """Of the capture under way. newest_t_ns: when the newest samples were handed over, 0 before the first; run_energy_j: of all captures of
    its run that were seen, up to the last `taken`."""

    def __init__(self) -> None:
        self.run_id = ""
        self.capture = ""
        self._blocks: list[FeedBlock] = []
        self._energy_j = self._before_j = 0.0
        self.newest_t_ns = 0

    @property
    def run_energy_j(self) -> float:
        return self._before_j + self._energy_j

    def add(self, item: Feed) -> None:
        match item:
            case FeedStart():
                self.taken()  # what nobody has looked at yet
                self._before_j = self.run_energy_j if item.run_id == self.run_id else 0.0
                self.run_id, self.capture, self._energy_j = item.run_id, item.capture, 0.0
            case FeedBlock():
                self._blocks.append(item)
                self.newest_t_ns = item.t_ns

    def taken(self) -> dict[str, Any] | None:
        """Ampere, volt, watt, joule since the capture began; None when nothing came."""
        blocks, self._blocks = self._blocks, []
        currents = [one.block.current for one in blocks if one.block.current is not None]
        if not currents:
            return None
        found = _of("current", np.concatenate(currents))
        voltages = [one.block.voltage for one in blocks if one.block.voltage is not None]
        if len(voltages) == len(currents):
            watts = np.concatenate(currents) * np.concatenate(voltages)
            self._energy_j += float(np.nansum(watts, dtype=np.float64)) * blocks[0].block.dt_ns * 1e-9
            found |= _of("voltage", np.concatenate(voltages)) | _of("power", watts) | {"energy": self._energy_j}
        return found


def _of(name: str, values: Any) -> dict[str, float | None]:
    if np.isnan(values).all():
        return dict.fromkeys((name, f"{name}_min", f"{name}_max"))
    return {
        name: float(np.nanmean(values, dtype=np.float64)),
        f"{name}_min": float(np.nanmin(values)),
        f"{name}_max": float(np.nanmax(values)),
    }
