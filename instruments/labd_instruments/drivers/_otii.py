"""An Otii Arc or Ace behind its app: options, limits, and what is set and read back.

Sources: [C] otii_tcp_client 1.0.13, the vendor's own client, by file; [E] elektormagazine.com, a review of the Arc; [-] by no document at
hand. Lines of the wire: `_otii_link`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from labd_instruments.checks import same, within
from labd_instruments.drivers._otii_link import Data, OtiiLink, address
from labd_instruments.errors import NotConnectedError, OutOfRangeError, OutputNotOffError, ReadBackError, RefusedError, WrongInstrumentError
from labd_instruments.options import option

VOLTAGE_V = {"Arc": (0.5, 5.0), "Ace": (0.5, 25.0)}  # [E] for the upper end of the Arc, else [-]
MAX_CURRENT_A = (0.001, 5.0)  # [C] arc.py, set_max_current
HIGH_RANGE_A = 5.0  # [E] for the Arc; arc_set_range high forces it
RANGES_A = (0.02, 2.7, HIGH_RANGE_A)  # [E] for the Arc: below 20 mA, below 2.7 A, to 5 A
RATES_HZ = {"Arc": (4000,), "Ace": (1, 10, 100, 1000, 10_000, 50_000)}  # of the current, [C] arc.py for the Arc; [-]
MEAN_HZ = 1000  # of a mean's voltage: what the Arc has, and of the Ace's rates the nearest
SETTING_V, SETTING_A = 1e-3, 1e-3  # by how much what reads back may differ [-]
DEVICES_S = 2  # how long the app may wait for devices to appear
SLOW_S = 10.0  # [C] arc.py: add_to_project, calibrate


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    model: str = option("Ace", "which one it must be: Arc or Ace", choices=("Arc", "Ace"))
    marker_pin: int | None = option(None, "GPI that the DUT's marker is wired to", choices=(1, 2))
    logic_v: float = option(3.0, "voltage that stands for a high GPI in the marker's column", low=1.2, high=5.0)
    timeout_s: float = option(3.0, "time-out of one exchange in seconds", low=0.1, high=30.0)


class Kit:
    """One device of one app, as its parts see it."""

    def __init__(self, name: str, link: OtiiLink, options: Options) -> None:
        self.name = name
        self.link = link
        self.options = options
        self._device: str | None = None
        self._project: int | None = None

    def find(self) -> tuple[str, str, str]:
        """Device id, hardware and firmware. Raises RefusedError (nobody logged in, no licence), WrongInstrumentError."""
        self._require_login()
        wanted = address(self.link.resource)[2]
        found = self.link.ask("otii_get_devices", {"timeout": DEVICES_S}, timeout_s=DEVICES_S + self.link.timeout_s)
        devices = [d for d in found.get("devices", []) if isinstance(d, dict)]
        fitting = [d for d in devices if wanted in (d.get("device_id"), d.get("name"))]
        if len(fitting) != 1:
            there = ", ".join(f"{d.get('name')} ({d.get('type')} {d.get('device_id')})" for d in devices) or "none"
            raise NotConnectedError(f"{self.name}: {len(fitting)} devices are called {wanted!r}, the app has {there}")
        if fitting[0].get("type") != self.options.model:
            raise WrongInstrumentError(
                f"{self.name}: {wanted} is of type {fitting[0].get('type')!r}, option model says {self.options.model}"
            )
        self._device = str(fitting[0]["device_id"])
        version = self.link.ask("arc_get_version", self.of())
        return self._device, str(version.get("hw_version", "?")), str(version.get("fw_version", "?"))

    def of(self, **more: Any) -> Data:
        """Data of a command for this device."""
        if self._device is None:
            raise OutOfRangeError(f"{self.name}: it is not identified yet")
        return {"device_id": self._device, **more}

    def project(self) -> int:
        """The active project's number; a new one where there is none (-1, [C] otii.py)."""
        if self._project is None:
            found = self.link.ask("otii_get_active_project").get("project_id")
            if found in (None, -1):
                found = self.link.ask("otii_create_project").get("project_id")
            if isinstance(found, bool) or not isinstance(found, int) or found < 0:
                raise RefusedError(f"{self.name}: the app gives no project, but {found!r}")
            self._project = found
            self.link.ask("arc_add_to_project", self.of(), timeout_s=SLOW_S)
        return self._project

    def recording(self) -> tuple[int, bool]:
        """Number of the project's last recording (-1 for none, [C] project.py) and whether it runs."""
        found = self.link.ask("project_get_last_recording", {"project_id": self.project()}).get("recording_id", -1)
        if isinstance(found, bool) or not isinstance(found, int):
            raise RefusedError(f"{self.name}: the last recording is {found!r}, right would be a number")
        if found < 0:
            return -1, False
        return found, self.link.state("recording_is_running", {"recording_id": found}, "running")

    def end_recording(self) -> None:
        """Stop what runs, whoever began it. Raises ReadBackError when it goes on."""
        if not self.recording()[1]:
            return
        self.link.ask("project_stop_recording", {"project_id": self.project()})
        if self.recording()[1]:
            raise ReadBackError(f"{self.name}: the recording was stopped and runs on")

    def powered(self) -> bool:
        return self.link.state("arc_get_main", self.of())

    def power(self, *, on: bool) -> None:
        """Raises ReadBackError, for off OutputNotOffError."""
        self.link.ask("arc_set_main", self.of(enable=on))
        if self.powered() != on:
            kind = ReadBackError if on else OutputNotOffError
            raise kind(f"{self.name}: main was switched {'on' if on else 'off'} and reads back the other way")

    def regulate(self, volt: float) -> float:
        """Set the voltage and read it back (V)."""
        low, high = VOLTAGE_V[self.options.model]
        within(f"{self.name}: voltage", volt, low=low, high=high, unit="V", limit=f"Otii {self.options.model}")
        self.link.ask("arc_set_main_voltage", self.of(value=volt))
        return same(f"{self.name}: main voltage", volt, self.link.number("arc_get_main_voltage", self.of()), tolerance=SETTING_V)

    def limit(self, ampere: float, *, cuts_off: bool) -> float:
        """Set the largest current and what it does, and read both back (A)."""
        low, high = MAX_CURRENT_A
        within(f"{self.name}: current limit", ampere, low=low, high=high, unit="A", limit="arc_set_max_current")
        self.link.ask("arc_set_max_current", self.of(value=ampere))
        got = same(f"{self.name}: max current", ampere, self.link.number("arc_get_max_current", self.of()), tolerance=SETTING_A * ampere)
        self.link.ask("arc_set_src_cur_limit_enabled", self.of(enable=not cuts_off))
        if self.link.state("arc_get_src_cur_limit_enabled", self.of(), "enabled") == cuts_off:
            raise ReadBackError(f"{self.name}: what it does at its current limit reads back different")
        return got

    def choose_range(self, current_range_a: float | None) -> None:
        """None: automatic (`low`, [C] arc.py); the high range: fixed. Raises OutOfRangeError, ReadBackError."""
        if current_range_a not in (None, HIGH_RANGE_A):
            raise OutOfRangeError(
                f"{self.name}: current range is {current_range_a:g} A, right would be none (automatic) or {HIGH_RANGE_A:g} A"
            )
        wanted = "low" if current_range_a is None else "high"
        self.link.ask("arc_set_range", self.of(range=wanted))
        if (got := self.link.value("arc_get_range", self.of(), "range")) != wanted:
            raise ReadBackError(f"{self.name}: the range was set to {wanted} and reads back {got!r}")

    def sample(self, channel: str, hz: int | None) -> int:
        """Enable a channel and give its sample rate (Hz), after setting it where hz says so. Raises ReadBackError."""
        self.link.ask("arc_enable_channel", self.of(channel=channel, enable=True))
        if hz is not None and self.options.model == "Ace":  # [C] the Arc's is fixed
            self.link.ask("arc_set_channel_samplerate", self.of(channel=channel, value=hz))
        got = self.link.number("arc_get_channel_samplerate", self.of(channel=channel))
        if got != round(got) or got < 1:
            raise ReadBackError(f"{self.name}: the sample rate of {channel} reads back {got:g}")
        if hz is not None and self.options.model == "Ace":
            same(f"{self.name}: the sample rate of {channel}", hz, got, tolerance=0.0)
        return round(got)

    def _require_login(self) -> None:
        if not self.link.state("otii_is_logged_in", {}, "logged_in"):
            raise RefusedError(f"{self.name}: nobody is logged in to the Otii app; log in there", ((0, "Not logged in"),))
        if not self.link.state("otii_has_license", {"license_type": "Automation"}, "has_license"):
            raise RefusedError(f"{self.name}: no Automation licence is reserved; reserve one in the Otii app", ((0, "No license"),))
