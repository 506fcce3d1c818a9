"""An `[instruments.NAME]` table: which driver, where it is, what it does on this bench, and what its certificate says."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import Field

from labd.config.quantity import shown
from labd.config.section import Section, Wrong
from labd.config.types import (
    AnyFraction,
    Date,
    Metered,
    MeteredOrZero,
    PerKelvin,
    SecondsOrZero,
    UncertainOhms,
    Words,
)
from labd_instruments import loader
from labd_instruments.accuracy import AccuracyRow, Quantity
from labd_instruments.errors import OutOfRangeError

LEADS = '"50 mohm +- 50 mohm"'  # what anybody can say of short leads
InstrumentRole = Literal["source", "meter", "cross_check"]


class AccuracySection(Section):
    """One range: limit of error `gain * reading + offset + of_range * range`. SI units of `quantity`."""

    quantity: Quantity = Field(description="what the range measures")
    range: Metered = Field(description="full scale of the range, in the unit of `quantity`")
    gain: AnyFraction = Field(description="limit of error as a fraction of the reading")
    offset: MeteredOrZero = Field(description="limit of error that every reading has, in the unit of `quantity`")
    of_range: AnyFraction = Field(default=0.0, description="added to the offset: fraction of the range")
    aperture: SecondsOrZero = Field(
        0.0, description="shortest averaging time the row holds for; 0 s: the certificate names none, used for all"
    )
    tempco: PerKelvin | None = Field(default=None, description="added fraction of gain and offset per kelvin outside 18 to 28 degC")
    source: Words = Field(description="certificate, or document and page, the figures come from")

    def row(self) -> AccuracyRow:
        """As drivers and the uncertainty budget want it."""
        return AccuracyRow(
            quantity=self.quantity,
            full_scale=self.range,
            gain=self.gain,
            offset=self.offset + self.of_range * self.range,
            aperture_s=self.aperture,
            source=self.source,
            tempco_per_k=self.tempco,
        )


class TimebaseSection(Section):
    """How far the instrument's sample clock may be off."""

    limit: AnyFraction = Field(description="limit of the relative frequency error")
    source: Words = Field(description="certificate, or document and page")


class InstrumentSection(Section):
    """One instrument of the bench."""

    driver: Words = Field(description="name of the driver, a file of labd_instruments/drivers")
    resource: Words | None = Field(default=None, description="VISA resource name of a real instrument; this or `virtual`")
    virtual: Words | None = Field(default=None, description="name of the virtual instrument that stands in for it; this or `resource`")
    roles: tuple[InstrumentRole, ...] = Field(
        min_length=1,
        description="what it does here: source feeds the board, meter measures it, cross_check (a power_analyzer of `labd drivers`) "
        "confirms the means of the meter",
    )
    options: Mapping[str, Any] = Field(default_factory=dict, description="the driver's own options, such as the channel")
    allow_experimental: bool = Field(
        default=False, description="true: use a driver although hardly anything stands behind its commands; only such a driver needs it"
    )
    sense: Literal["4-wire", "2-wire"] | None = Field(
        default=None, description="how the source senses the board's voltage; required with role source"
    )
    lead_resistance: UncertainOhms | None = Field(
        default=None,
        description="each way; of a source between instrument and sense point, with 2-wire sense the board (then required, but for a meter "
        "that reads power); of a meter beside the source (required) from its voltage terminals to the board or, of an ammeter, from the "
        'end of the source\'s leads or sense leads through it to the board; left out with `ammeter = "inside_sense"`',
    )
    source_resistance: UncertainOhms | None = Field(
        default=None,
        description="of the supply at the sense point (2-wire: leads included); times the decoupling it is the time constant",
    )
    shunt: UncertainOhms | None = Field(
        default=None,
        description="resistance of the current input (cross_check, or a meter beside the source, where it stands for its document's); of a "
        "power analyzer needed where its voltage terminals lie on the source's side of it: with neither shunt nor voltmeter no interval",
    )
    ammeter: Literal["outside_sense", "inside_sense"] | None = Field(
        default=None,
        description="where the current input of a meter beside a 4-wire source lies: outside_sense (the default: the sense leads end on "
        "the side of the source, so what it drops is missing at the board) or inside_sense (they end beyond it)",
    )
    voltmeter: UncertainOhms | None = Field(
        default=None,
        description="resistance of a power analyzer's voltage input, which draws current too, where it lies on the board's side of the "
        "current input; both where the side is not known",
    )
    order: tuple[Words, ...] = Field(
        default=(), description="names of the meters from the supply to the board (cross_check), itself included"
    )
    trigger_latency: SecondsOrZero | None = Field(
        default=None,
        description="limit of the delay between the edge of a line (trigger, marker) and the sample it is found in (meter); "
        "left out, it is unknown: what is timed or cut at such edges has no interval",
    )
    calibrated: Date | None = Field(default=None, description="date of the last calibration")
    calibration_due: Date | None = Field(default=None, description="date the next one is due; overdue flags each KPI")
    warm: SecondsOrZero | None = Field(default=None, description="powered on since")
    accuracy: tuple[AccuracySection, ...] = Field(default=(), description="ranges whose limits of error this bench declares")
    timebase: TimebaseSection | None = Field(default=None, description="limit of error of the sample clock")

    @property
    def is_virtual(self) -> bool:
        return self.virtual is not None

    @property
    def reads_power(self) -> bool:
        """Whether its driver is a power analyzer's: it sees voltage and current at terminals of its own."""
        try:
            return "power_analyzer" in loader.info(self.driver).roles
        except OutOfRangeError:  # there is no such driver, which is refused where drivers are checked
            return False

    @property
    def needs_no_wires(self) -> bool:
        """Whether its driver has no instrument behind it: it stands beside real and virtual ones alike."""
        try:
            return loader.info(self.driver).needs_no_wires
        except OutOfRangeError:  # there is no such driver, which is refused where drivers are checked
            return False

    def accuracy_rows(self) -> tuple[AccuracyRow, ...]:
        """The declared rows as drivers want them."""
        return tuple(section.row() for section in self.accuracy)

    def calibration_flag(self, today: datetime.date) -> str | None:
        """In words, when the calibration is overdue or its date is not known; None when all is well."""
        if self.calibration_due is not None and self.calibration_due < today:
            return f"calibration overdue since {self.calibration_due}"
        if self.calibrated is None or self.calibration_due is None:
            return "calibration date or due date not given"
        return None

    def wrong(self) -> Iterator[Wrong]:
        yield from self._place()
        yield from self._use()
        yield from self._declared()

    def _place(self) -> Iterator[Wrong]:
        if self.resource is None and self.virtual is None:
            yield Wrong(
                "resource",
                'this key is required: resource = "TCPIP::192.168.1.5::5025::SOCKET" or the like (or virtual = "' + self.driver + '")',
            )
        if self.resource is not None and self.virtual is not None:
            yield Wrong("resource", f"expected either resource or virtual, got both ({shown(self.resource)} and {shown(self.virtual)})")

    def _use(self) -> Iterator[Wrong]:
        if len(set(self.roles)) < len(self.roles):
            yield Wrong("roles", "expected each role once")
        if "source" in self.roles and self.sense is None:
            yield Wrong("sense", 'this key is required for a source: sense = "4-wire" or "2-wire"')
        if "cross_check" in self.roles and ("source" in self.roles or "meter" in self.roles):
            yield Wrong("roles", "an instrument that cross-checks cannot also be the source or the meter it checks")
        if "cross_check" in self.roles and not self.order:
            yield Wrong("order", "this key is required for a cross_check: names of the meters from the supply to the board")
        if self.order and "cross_check" not in self.roles:
            yield Wrong("order", 'only an instrument with roles = ["cross_check"] has this key')
        if self.shunt and "source" in self.roles:
            yield Wrong("shunt", 'only an instrument with roles = ["cross_check"] or ["meter"] has this key')
        if self.voltmeter and "cross_check" not in self.roles and not self.reads_power:
            yield Wrong("voltmeter", "only a power analyzer has this key")
        if self.voltmeter and self.voltmeter.half_width >= self.voltmeter.value:
            yield Wrong("voltmeter", "expected a resistance that is certainly above 0 ohm")
        if self.ammeter and self.roles != ("meter",):
            yield Wrong("ammeter", 'only an instrument with roles = ["meter"] has this key')
        yield from self._beside()

    def _beside(self) -> Iterator[Wrong]:
        """Leads of a meter beside the source: only who wired them knows them, so they are asked for, where they count."""
        if self.roles != ("meter",):
            return
        if self.ammeter and self.reads_power:
            yield Wrong("ammeter", f"only a meter that sees no voltage has this key, {self.driver} measures its own")
        elif self.ammeter == "inside_sense" and self.lead_resistance is not None:
            told = 'has no meaning with ammeter = "inside_sense": the source makes up for what these leads drop; leave it out'
            yield Wrong("lead_resistance", told)
        elif self.ammeter != "inside_sense" and self.lead_resistance is None and not self.needs_no_wires:
            start = "its voltage terminals" if self.reads_power else "the end of the source's leads or sense leads through it"
            told = f"this key is required for a meter beside the source: each way, from {start} to the board, with its half width, such as "
            yield Wrong("lead_resistance", told + f"lead_resistance = {LEADS}")

    def _declared(self) -> Iterator[Wrong]:
        if self.calibrated and self.calibration_due and self.calibration_due < self.calibrated:
            yield Wrong("calibration_due", f"expected a date after calibrated, {self.calibrated}, got {self.calibration_due}")
        seen: set[tuple[str, float, float]] = set()
        for index, row in enumerate(self.accuracy):
            if (row.quantity, row.range, row.aperture) in seen:
                told = f"expected each {row.quantity} range once for each aperture, this one is declared before"
                yield Wrong(f"accuracy[{index}].range", told)
            seen.add((row.quantity, row.range, row.aperture))
