"""Which interval is taken in place of the one that is wanted."""

from __future__ import annotations

import pytest

from labd_instruments import intervals
from labd_instruments.contract import CaptureSetup, MeanSetup, StreamSetup, TellsSetups
from labd_instruments.loader import info
from tests.instruments.asked import power, set_up, wired, with_personas

LOG_RATES_S = (2e-6, 4e-6, 20e-6, 100e-6, 1e-3, 10e-3)


@pytest.mark.parametrize(
    ("wanted", "taken"), [(100e-6, 100e-6), (99e-6, 100e-6), (101e-6, 1e-3), (1e-9, 2e-6), (1.0, 10e-3), (100e-6 * (1 + 1e-12), 100e-6)]
)
def test_of_a_list_the_nearest_at_or_above_is_taken_and_the_longest_where_none_is(wanted: float, taken: float) -> None:
    assert intervals.at_or_above(wanted, LOG_RATES_S) == taken


@pytest.mark.parametrize(("wanted", "taken"), [(10e-6, 70e-6), (70.2e-6, 71e-6), (7e-5, 70e-6), (0.5, 0.5), (3.0, 1.0)])
def test_of_whole_steps_too(wanted: float, taken: float) -> None:
    assert intervals.in_steps(wanted, low_s=69.3e-6, high_s=1.0, step_s=1e-6) == taken


@pytest.mark.parametrize("driver", with_personas())
@pytest.mark.parametrize("wanted_s", [1e-6, 10e-6, 33.3e-6, 307.2e-6, 7.77e-3, 0.02, 0.1])
async def test_every_driver_takes_what_it_says_that_it_takes(driver: str, wanted_s: float) -> None:
    """And says the same of it again; nothing above what is wanted is called the nearest where something nearer would do as well."""
    how = wired(driver)
    capabilities = info(driver).capabilities
    async with set_up(driver) as made:
        if "Sources" in capabilities:
            await power(made, how)  # a range may be refused above the current limit
        tells = made.driver
        assert isinstance(tells, TellsSetups)
        assert tells.setups.seamless or tells.setups.fixed_ranges
        asked: list[tuple[str, str, StreamSetup | CaptureSetup | MeanSetup]] = [
            ("Streams", "configure_stream", StreamSetup(wanted_s, how.current_range_a, how.voltage_range_v)),
            (
                "Captures",
                "configure_capture",
                CaptureSetup(wanted_s, 200, 50, how.current_range_a, how.voltage_range_v, fire_dut=how.fires),
            ),
            ("Measures", "configure_mean", MeanSetup(wanted_s, how.current_range_a, how.voltage_range_v)),
        ]
        for capability, configure, setup in asked:
            if capability not in capabilities:
                continue
            taken_s = tells.interval_s(setup)
            again = _with(setup, taken_s)
            assert tells.interval_s(again) == pytest.approx(taken_s, rel=1e-9)
            acquisition = await made.do(getattr(tells, configure), again)
            assert acquisition.aperture_s <= taken_s * (1 + 2e-3)


def _with(setup: StreamSetup | CaptureSetup | MeanSetup, seconds: float) -> StreamSetup | CaptureSetup | MeanSetup:
    if isinstance(setup, MeanSetup):
        return MeanSetup(seconds, setup.current_range_a, setup.voltage_range_v)
    if isinstance(setup, StreamSetup):
        return StreamSetup(seconds, setup.current_range_a, setup.voltage_range_v)
    return CaptureSetup(seconds, setup.points, setup.pretrigger_points, setup.current_range_a, setup.voltage_range_v, setup.fire_dut)
