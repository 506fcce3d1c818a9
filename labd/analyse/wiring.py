"""What lies between the meter, the source and the board: leads, the burden of a current input, and a voltage that only the source knows."""

from __future__ import annotations

import math
from dataclasses import replace

from labd.analyse.setup import AnalysisSetup
from labd.analyse.temperature import at_temperature, flags
from labd.kpi.inputs import MeterTerms
from labd.records import SupplyReading
from labd_instruments.accuracy import AccuracyTable, LimitOfError
from labd_instruments.contract import Acquisition

NOT_DECLARED = "burden of the meter not declared"


def leads(acquisition: Acquisition, setup: AnalysisSetup, *, measured: bool) -> tuple[float, float | None]:
    """Resistance, with its standard uncertainty, from where the voltage is known to the board; None where a lead on the way was not
    declared. measured: by the meter itself, else by the source, from which the board's current comes through the meter."""
    source = setup.source
    if source is None:
        return (0.0, 0.0) if acquisition.remote_sense else (setup.lead_ohm, setup.u_lead_ohm)
    if measured:
        return source.meter_lead_ohm, source.u_meter_lead_ohm
    if source.ammeter_in_loop:
        return 0.0, 0.0
    ohm = source.lead_ohm + source.meter_lead_ohm
    if source.u_lead_ohm is None or source.u_meter_lead_ohm is None:
        return ohm, None
    return ohm, math.hypot(source.u_lead_ohm, source.u_meter_lead_ohm)


def burden(acquisition: Acquisition, accuracy: AccuracyTable, setup: AnalysisSetup, *, measured: bool) -> tuple[float, float | None]:
    """Resistance of the current input of a meter that lies between where the voltage is known and the board, and the limit of its error: as
    declared, else anything up to what its document allows, whose middle is taken. The limit is None where neither is there.

    measured: by the meter itself, whose own wiring decides on which side of the current input: then all of it is a limit. Where only its
    voltage input is declared, that is the one on the board's side.
    """
    source = setup.source
    if source is None or (source.ammeter_in_loop and not measured):
        return 0.0, 0.0
    if measured:
        if source.shunt_ohm is None:
            return 0.0, None if source.voltmeter_ohm is None else 0.0
        return 0.0, source.shunt_ohm + source.shunt_half_ohm
    if source.shunt_ohm is not None:
        return source.shunt_ohm, source.shunt_half_ohm
    most = None if acquisition.current_range_a is None else accuracy.burden_ohm(acquisition.current_range_a)
    return (0.0, None) if most is None else (most / 2, most / 2)


def with_supply(
    meter: MeterTerms,
    acquisition: Acquisition,
    supply: SupplyReading | None,
    *,
    table: AccuracyTable | None,
    set_v: float,
    setup: AnalysisSetup,
) -> MeterTerms:
    """The same where the meter records a voltage. Else with the limits of error (table: the source's) of what the source has read, and a
    flag that tells that power is current times a constant. set_v: what stands for it where nobody has read it."""
    if "voltage" in acquisition.columns:
        source = setup.source
        if source is None:
            return meter
        if source.voltmeter_ohm is not None:
            return replace(meter, voltmeter_a=set_v / source.voltmeter_ohm)
        return meter if source.shunt_ohm is not None else replace(meter, flags=(*meter.flags, NOT_DECLARED))
    if supply is None:
        return replace(meter, flags=(*meter.flags, f"constant voltage: {set_v:g} V as set, not read"))
    limit = _limit(supply, table)
    held = at_temperature(limit, setup)
    how = "not read, as set on" if supply.as_set else "read by"
    return replace(
        meter,
        voltage_from="source",
        voltage_of=supply.instrument,
        voltage_gain=held.gain if held else None,
        voltage_offset_v=held.offset if held else None,
        voltage_spread_v=supply.spread_v,
        flags=(*meter.flags, f"constant voltage: {supply.voltage_v:.6g} V, {how} {supply.instrument}", *flags([limit], setup)),
    )


def _limit(supply: SupplyReading, table: AccuracyTable | None) -> LimitOfError | None:
    if table is None or supply.range_v is None or supply.aperture_s is None:
        return None
    return table.limit("voltage", supply.range_v, supply.aperture_s)
