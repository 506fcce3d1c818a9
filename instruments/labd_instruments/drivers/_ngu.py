"""What the parts of the NGU and NGM driver share: its models, its options, and its link with the selected channel.

Sources: [M n] R&S NGU User Manual 1179.2531.02-03, page n; [G n] R&S NGL200/NGM200 User Manual 1178.8736.02-06, page n; [R] RsNgx
3.1.0.49, R&S' own published driver; [E] R&S' example RsInstrument_NGM200_FastLog_Network_Binary_Blocks.py and
RSInstrument_NGM200_FastLog.py; [L] an independent FastLog script for the NGU401; [C] an independent NGM202 class; [F] an independent NGU401
driver; [H] an independent NGU201/NGU401 driver; [B] an independent NGM200 class on a bare socket. Every string sent is in [R]; the others
are named where one of them stands behind a string too, or where [R] is silent about what it does.
"""

from __future__ import annotations

from dataclasses import dataclass

from labd_instruments import scpi
from labd_instruments.checks import Clock, same, within
from labd_instruments.contract import Identity, SourceLimits
from labd_instruments.errors import ReadBackError, WrongInstrumentError
from labd_instruments.links.link import Link
from labd_instruments.options import option

HIGH_CURRENT_BELOW_V = 6.0
CURRENT_ABOVE_A = 3.0  # [C] NGM202: 6 A up to 6 V, 3 A up to 20 V; for an NGU no page was at hand, the same is taken


@dataclass(frozen=True, slots=True)
class Model:
    """What one model has. smu: has priority modes and a sink limit of its own (NGU)."""

    name: str
    channels: int
    limits: SourceLimits
    least_current_a: float
    current_ranges_a: tuple[float, ...]
    voltage_ranges_v: tuple[float, ...]
    smu: bool


_NGU_RANGES_A = (10e-6, 1e-3, 10e-3, 0.1, 3.0, 10.0)  # [F]; the lowest and the 100 mA are also on [M 139]
MODELS = (
    # 8 A and the least limit: [F]; the voltage ranges: 20 V [F], 6 V [H] (there of the source)
    Model("NGU201", 1, SourceLimits(20.0, 8.0), 20e-6, _NGU_RANGES_A, (6.0, 20.0), smu=True),
    Model("NGU401", 1, SourceLimits(20.0, 8.0), 20e-6, _NGU_RANGES_A, (6.0, 20.0), smu=True),
    # limits and ranges: [C]; the ranges also [R]
    Model("NGM202", 2, SourceLimits(20.0, 6.0), 1e-3, (10e-3, 0.1, 1.0, 10.0), (5.0, 20.0), smu=False),
)


@dataclass(frozen=True, slots=True)
class Options:
    """What the bench file may set."""

    model: str = option("", "the model that must answer; empty: any of them", choices=("", "NGU201", "NGU401", "NGM202"))
    channel: int = option(1, "channel that feeds the DUT; only an NGM202 has a second", low=1, high=2)
    power_limit_w: float | None = option(None, "over-power protection in watt; left out, it is off", low=0.001, high=120.0)
    fast_transient: bool = option(False, "fast transient response of the regulator")
    start_pin: str = option("", "pin of the digital port that starts the log; empty: the log starts at once", choices=("", "IN", "EXT"))
    marker_out: bool = option(False, "the digital output of the channel is a marker, switched by `mark`")
    timeout_s: float = option(2.0, "time-out of one exchange in seconds", low=0.1, high=10.0)


def model_of(name: str, who: Identity, resource: str, wanted: str = "") -> Model:
    """The model that answered; wanted: the only one that may. Raises WrongInstrumentError."""
    for model in MODELS:
        if who.maker.upper().startswith("ROHDE") and who.model.upper() == model.name and wanted in ("", model.name):
            return model
    wanted = wanted or " or ".join(model.name for model in MODELS)
    raise WrongInstrumentError(f"{name}: {resource} is a {who.maker} {who.model}, wanted is a Rohde & Schwarz {wanted}")


class Box:
    """One instrument and its feeding channel as the parts see them. Raises what `scpi` raises."""

    def __init__(self, name: str, link: Link, options: Options, clock: Clock) -> None:
        self.name = name
        self.link = link
        self.options = options
        self.clock = clock
        self.model = MODELS[0]  # until `identify` has asked

    def check_errors(self, doing: str) -> None:
        scpi.raise_errors(scpi.error_queue(self.link), self.name, doing)

    def select(self, channel: int | None = None) -> None:
        """What follows goes to this channel: the feeding one unless another is named."""
        self.link.write(f"INST:NSEL {self.options.channel if channel is None else channel}")  # [C]

    def ask(self, query: str, what: str) -> str:
        """One reply. Raises RefusedError when the instrument refuses the query instead of answering."""
        with scpi.explained(self.link, self.name, what):
            return self.link.query(query).strip()

    def number(self, query: str, what: str) -> float:
        return scpi.value(self.ask(query, what), f"{self.name}: {what}")

    def state(self, query: str, what: str) -> bool:
        return scpi.booleans(self.ask(query, what), f"{self.name}: {what}")[0]

    def bits(self, query: str, what: str) -> int:
        return scpi.integers(self.ask(query, what), f"{self.name}: {what}")[0]

    def same(self, what: str, query: str, wanted: float, *, tolerance: float) -> float:
        """Read a number back. Raises ReadBackError."""
        return same(f"{self.name}: {what}", wanted, self.number(query, what), tolerance=tolerance)

    def same_state(self, what: str, query: str, *, wanted: bool) -> None:
        """Read a switch back. Raises ReadBackError."""
        if self.state(query, what) != wanted:
            words = ("off", "on")
            raise ReadBackError(f"{self.name}: {what} was switched {words[wanted]} and reads back {words[not wanted]}")

    def same_word(self, what: str, query: str, wanted: str) -> None:
        """Read a keyword back, in its short or long form. Raises ReadBackError."""
        got = scpi.unquoted(self.ask(query, what)).upper()
        if not got.startswith(wanted.upper()):
            raise ReadBackError(f"{self.name}: {what} was set to {wanted} and reads back {got}")

    def within_current(self, ampere: float, *, at_v: float) -> float:
        """A current limit that the model can hold at this voltage. Raises OutOfRangeError."""
        model = self.model
        high = model.limits.current_a if at_v <= HIGH_CURRENT_BELOW_V else CURRENT_ABOVE_A
        where = f"{model.name} at {at_v:g} V"
        return within(f"{self.name}: current limit", ampere, low=model.least_current_a, high=high, unit="A", limit=where)
