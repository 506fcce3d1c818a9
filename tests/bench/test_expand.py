"""What holds for every expansion of every plan."""

from __future__ import annotations

import itertools
from collections import Counter
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from labd.bench.expand import CapturePlan, Method, Wanted, Windows, expand, locked
from labd.bench.windows import in_order
from labd.records import MarkStyle, Mode, Role
from labd.trigger.schedule import Arrivals

LONGEST_S = 0.028
MODES = (Mode.ALWAYS_ON, Mode.EVENT_SLEEP, Mode.EVENT_RELOAD)
wants = st.builds(
    Wanted,
    modes=st.lists(st.sampled_from(MODES), min_size=1, max_size=3, unique=True),
    rates_hz=st.lists(st.sampled_from((0.5, 2.0, 7.0, 20.0, 35.0)), max_size=4, unique=True).map(lambda rates: [0.0, *rates]),
    supplies_v=st.lists(st.sampled_from((2.7, 3.0, 3.3)), min_size=1, max_size=2, unique=True),
    models=st.lists(st.sampled_from(("dnn", "snn")), min_size=1, max_size=2, unique=True),
    events=st.integers(2, 30),
    event_captures=st.integers(0, 12),
    floor_time_s=st.floats(0.1, 10),
    repeats=st.integers(1, 3),
    seed=st.integers(0, 2**32 - 1),
    idle_kind=st.sampled_from(("wfi", "busy_poll", "clock_gated")),
    starts=st.integers(0, 3),
    clocks_hz=st.lists(st.sampled_from((8e6, 16e6, 64e6)), max_size=2, unique=True),
)
methods = st.builds(Method, stream=st.booleans(), meter=st.just("smu"), cross_check=st.sampled_from((None, "analyzer")))


ARRIVALS = Arrivals("poisson", 1_000_000)


def plans(wanted: Wanted, method: Method) -> list[CapturePlan]:
    return expand(wanted, method, longest_event_s=LONGEST_S)


@given(wants, methods)
def test_the_same_plan_and_seed_give_the_same_captures_in_the_same_order(wanted: Wanted, method: Method) -> None:
    assert plans(wanted, method) == plans(wanted, method)


@given(wants, methods, st.integers(0, 2**32 - 1))
def test_another_seed_changes_the_order_and_nothing_else(wanted: Wanted, method: Method, seed: int) -> None:
    one, other = plans(wanted, method), plans(replace(wanted, seed=seed), method)
    assert sorted((replace(p, order=0) for p in one), key=lambda p: p.key) == sorted(
        (replace(p, order=0) for p in other), key=lambda p: p.key
    )


@given(wants, methods)
def test_keys_are_unique_name_their_point_and_orders_are_a_permutation(wanted: Wanted, method: Method) -> None:
    found = plans(wanted, method)
    assert len({p.key for p in found}) == len(found)
    assert all(p.key.startswith(p.point.key + "/") for p in found)
    assert [p.order for p in found] == list(range(len(found)))
    assert len({p.seed for p in found}) == len(found)
    assert {p.idle_kind for p in found} == {wanted.idle_kind}


@given(wants, methods)
def test_starts_are_one_capture_a_supply_voltage(wanted: Wanted, method: Method) -> None:
    starts = [p for p in plans(wanted, method) if p.role is Role.START]
    assert sorted(p.point.supply_v for p in starts) == (sorted(wanted.supplies_v) if wanted.starts else [])
    assert all(p.events == wanted.starts for p in starts)


@given(wants, methods)
def test_a_key_stays_when_other_modes_and_rates_come_or_go(wanted: Wanted, method: Method) -> None:
    fewer = replace(wanted, modes=wanted.modes[:1], rates_hz=wanted.rates_hz[:2])
    measured = {p.key: p for p in plans(wanted, method) if p.instrument == "smu"}
    for plan in plans(fewer, method):
        if plan.instrument == "smu":
            assert replace(measured[plan.key], order=0) == replace(plan, order=0)


@given(wants, methods)
def test_every_mode_has_a_floor_in_each_half_of_the_run(wanted: Wanted, method: Method) -> None:
    found = [p for p in plans(wanted, method) if p.instrument == "smu"]
    floors = [p for p in found if p.role is Role.FLOOR]
    each = Counter((p.point.key, p.repeat % 2) for p in floors)
    points = len(wanted.modes) * len(wanted.supplies_v) * len(wanted.models) * max(len(wanted.clocks_hz), 1)
    assert len(each) == 2 * points
    assert set(each.values()) == {wanted.repeats}
    late = {id(p) for p in floors if p.repeat % 2}
    assert max(p.order for p in floors if id(p) not in late) < min(p.order for p in floors if id(p) in late)


@given(wants, methods)
def test_every_point_but_a_start_is_measured_at_every_clock(wanted: Wanted, method: Method) -> None:
    found = [p for p in plans(wanted, method) if p.role is not Role.START and p.instrument == "smu"]
    for clocks in ({p.point.clock_hz for p in found if p.point.rate_hz == rate} for rate in {p.point.rate_hz for p in found}):
        assert clocks == {None, *wanted.clocks_hz} - ({None} if wanted.clocks_hz else set())
    assert all(p.point.clock_hz is None for p in plans(wanted, method) if p.role is Role.START)


@given(wants, methods)
def test_a_meter_that_does_not_log_measures_at_rates_only_where_nothing_can_be_composed(wanted: Wanted, method: Method) -> None:
    means = [p for p in plans(wanted, method) if p.role is Role.MEAN and p.instrument == "smu"]
    at_rates = method.stream or not wanted.event_captures
    assert {p.point.rate_hz for p in means} == (set(wanted.rates_hz) - {0.0} if at_rates else set())


@given(wants, methods)
def test_without_a_log_every_mode_has_its_events_triggered(wanted: Wanted, method: Method) -> None:
    events = {p.point.mode for p in plans(wanted, method) if p.role is Role.EVENT}
    if wanted.event_captures == 0:
        assert events == set()
    else:
        assert events == {m for m in wanted.modes if m.is_event or not method.stream}


@given(wants, methods)
def test_a_cross_check_is_the_last_capture_and_on_a_point_that_the_meter_measures_or_composes(wanted: Wanted, method: Method) -> None:
    found = plans(wanted, method)
    checks = [p for p in found if p.instrument == "analyzer"]
    assert len(checks) == (method.cross_check is not None)
    for check in checks:
        assert check is found[-1]
        composed = not method.stream and wanted.event_captures
        measured = replace(check.point, rate_hz=0.0) if composed else check.point
        assert any(p.point == measured for p in found if p.instrument == "smu")
        assert (check.point.rate_hz > 0) == (max(wanted.rates_hz) > 0)
        assert check.duration_s * check.point.rate_hz == round(check.duration_s * check.point.rate_hz, 6)


def test_rates_of_which_whole_periods_fit_an_update_are_locked() -> None:
    rates = (1.0, 5.0, 10.0, 20.0, 30.0, 35.0, 33.3, 0.5)
    assert [rate for rate in rates if locked(rate, 0.1)] == [10.0, 20.0, 30.0]
    assert [rate for rate in rates if locked(rate, 0.2)] == [5.0, 10.0, 20.0, 30.0, 35.0]


def test_a_cross_check_is_at_the_highest_rate_that_its_own_update_is_not_locked_to() -> None:
    wanted = Wanted((Mode.ALWAYS_ON,), (0.0, 7.0, 20.0, 35.0), (3.0,), ("dnn",), 6, 0, 1.0, 1, 1)
    for update_s, rate_hz in ((0.1, 35.0), (0.2, 7.0)):
        method = Method(stream=True, meter="smu", cross_check="analyzer", update_s=update_s)
        assert plans(wanted, method)[-1].point.rate_hz == rate_hz


@given(wants, methods)
def test_only_mean_captures_are_fired_by_the_host_each_by_instants_of_its_own(wanted: Wanted, method: Method) -> None:
    paced, fired = plans(wanted, method), plans(replace(wanted, arrivals=ARRIVALS), method)
    assert [p.key for p in fired] == [p.key for p in paced]
    for plan in fired:
        measured = plan.role is Role.MEAN and not plan.key.endswith("cross_check/0")
        assert len(plan.offsets_ns) == (plan.events if measured else 0)
        assert all(b - a >= LONGEST_S * 1e9 - 1 for a, b in itertools.pairwise((0, *plan.offsets_ns)))
    instants = [plan.offsets_ns for plan in fired if plan.offsets_ns]
    assert len(set(instants)) == len(instants)
    assert fired == plans(replace(wanted, arrivals=ARRIVALS), method)


@given(wants, methods, st.integers(1, 7), st.lists(st.integers(1, 500), min_size=2, max_size=4, unique=True))
def test_stock_firmware_has_floors_and_windows_at_rate_0_and_nothing_that_is_paced(
    wanted: Wanted, method: Method, count: int, numbers: list[int]
) -> None:
    windows = Windows(count, 10.0, tuple(sorted(numbers)), 5)
    found = plans(replace(wanted, modes=[Mode.ALWAYS_ON], windows=windows, starts=0, clocks_hz=()), method)
    own = [p for p in found if p.instrument == method.meter]
    places = len(wanted.supplies_v) * len(wanted.models) * wanted.repeats
    assert Counter(p.role for p in own) == {Role.FLOOR: 2 * places, Role.EVENT: places}
    assert {p.point.rate_hz for p in found} == {0.0}
    events = [p for p in own if p.role is Role.EVENT]
    assert {(p.windows, p.marks, p.events) for p in events} == {(windows, MarkStyle.PULSES, count * len(numbers))}
    order = in_order(windows.inferences, count)
    assert Counter(order) == dict.fromkeys(numbers, count)
    if count % 2 == 0:  # a steady drift has the same mean over the windows of each number
        places_of = [[k for k, number in enumerate(order) if number == one] for one in numbers]
        assert len({sum(own) for own in places_of}) == 1
