"""A signature found in records of many kinds, and refused where it cannot be trusted."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.segment.errors import SegmentError, SignatureAmbiguous, SignatureNotFound, SignatureUnclear
from labd.segment.signature import Found, Path, Signature, find_signatures
from tests.segment.burnt import Floats, Steps, chips, joined, recorded

BASE_W, BUSY_W = 3.3e-3, 15e-3
TAU_S = 22e-6


def burnt(
    signature: Signature, starts_s: list[float], *, rate: float = 1.0, lasts_s: float = 0.6, dt_s: float = 10e-6, tau_s: float = TAU_S,
    delay_s: float = 0.0, noise: float = 0.01, seed: int = 1,
) -> Floats:  # fmt: skip
    parts = [chips(signature.chips.tolist(), start_s=t, chip_s=signature.chip_s / rate, base_w=BASE_W, busy_w=BUSY_W) for t in starts_s]
    n = round(lasts_s / dt_s)
    clean = recorded(joined(*parts), n=n, dt_s=dt_s, tau_s=tau_s, delay_s=delay_s).astype(np.float64)
    return clean + np.random.default_rng(seed).normal(0, noise * (BUSY_W - BASE_W), n)


def found(power: Floats, signature: Signature, *, count: int = 1, dt_s: float = 10e-6, u_tau_s: float = 0.0) -> tuple[Found, ...]:
    return find_signatures(
        power.astype(np.float32), signature, count=count, dt_s=dt_s, path=Path(TAU_S, u_tau_s), rate_limit=0.05
    )  # fmt: skip


def middle_error(one: Found, signature: Signature, *, start_s: float, rate: float, delay_s: float, dt_s: float) -> float:
    """Records by which the middle of the pattern is placed wrongly; the instrument's delay belongs to its records."""
    at = signature.lasts_s / 2
    return float(one.clock.at(np.array([at]))[0]) - (start_s + at / rate + delay_s) / dt_s


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(1, 63),
    rate=st.floats(0.95, 1.05),
    start_s=st.floats(0.01, 0.45),
    delay_s=st.floats(0.0, 150e-6),
    noise=st.floats(0.0, 0.05),
)
def test_a_signature_is_placed_to_a_fifth_of_a_record_whatever_the_counter_s_rate(
    seed: int, rate: float, start_s: float, delay_s: float, noise: float
) -> None:
    signature = Signature(1e-3, 6, seed)
    power = burnt(signature, [start_s], rate=rate, delay_s=delay_s, noise=noise, seed=seed)
    (one,) = found(power, signature)
    assert abs(middle_error(one, signature, start_s=start_s, rate=rate, delay_s=delay_s, dt_s=10e-6)) < 0.2 + 8 * noise
    assert one.clock.rate == pytest.approx(1 / rate / 10e-6, rel=1e-4 + 2e-3 * noise)
    assert one.base_w == pytest.approx(BASE_W, rel=0.02)
    assert one.busy_w == pytest.approx(BUSY_W, rel=0.02)


@pytest.mark.parametrize(("dt_s", "chip_s"), [(204.8e-6, 2.5e-3), (10e-6, 0.25e-3), (1e-6, 0.25e-3)])
def test_records_of_any_length_will_do(dt_s: float, chip_s: float) -> None:
    signature = Signature(chip_s, 6, 11)
    power = burnt(signature, [0.123456], rate=0.97, dt_s=dt_s, delay_s=10e-6)
    (one,) = found(power, signature, dt_s=dt_s)
    assert abs(middle_error(one, signature, start_s=0.123456, rate=0.97, delay_s=10e-6, dt_s=dt_s)) < 0.3


def test_a_slow_filter_of_the_instrument_delays_the_signature_by_its_group_delay() -> None:
    """Whatever its shape: the area of a step moves by the group delay. Here twelve records, of one filter after the supply's own."""
    signature = Signature(1e-3, 6, 11)
    power, keep = burnt(signature, [0.2], noise=0.0), 12 / 13
    slow = np.empty_like(power)
    y = power[0]
    for k, value in enumerate(power):
        y = keep * y + (1 - keep) * value
        slow[k] = y
    (one,) = found(slow, signature)
    assert abs(middle_error(one, signature, start_s=0.2, rate=1.0, delay_s=12 * 10e-6, dt_s=10e-6)) < 0.1


def test_both_of_two_signatures_are_found_in_order() -> None:
    signature = Signature(1e-3, 6, 5)
    one, two = found(burnt(signature, [0.05, 0.4]), signature, count=2)
    assert abs(middle_error(one, signature, start_s=0.05, rate=1.0, delay_s=0.0, dt_s=10e-6)) < 0.2
    assert abs(middle_error(two, signature, start_s=0.4, rate=1.0, delay_s=0.0, dt_s=10e-6)) < 0.2


def test_glitches_of_range_changes_move_nothing_but_their_own_edges() -> None:
    signature = Signature(1e-3, 6, 11)
    power = burnt(signature, [0.2])
    edges = np.flatnonzero(np.diff(signature.chips, prepend=0, append=0)) * 1e-3 + 0.2
    for k, edge in enumerate(edges[::4]):
        at = round(edge / 10e-6)
        power[at : at + 20] = (0.0, 50e-3)[k % 2]
    (one,) = found(power, signature)
    assert abs(middle_error(one, signature, start_s=0.2, rate=1.0, delay_s=0.0, dt_s=10e-6)) < 0.3


def test_what_the_supply_path_is_not_known_to_delay_is_in_the_uncertainty() -> None:
    signature = Signature(1e-3, 6, 11)
    power = burnt(signature, [0.2], tau_s=30e-6)
    (one,) = found(power, signature, u_tau_s=8e-6)
    error = middle_error(one, signature, start_s=0.2, rate=1.0, delay_s=0.0, dt_s=10e-6)
    assert error == pytest.approx(0.8, abs=0.15)
    assert float(one.clock.u_at(np.array([signature.lasts_s / 2]))[0]) == pytest.approx(0.8, abs=0.1)


def test_falling_edges_that_come_later_than_rising_ones_are_told_and_widen_the_uncertainty() -> None:
    """As of a device that takes longer to rest than to get busy."""
    signature = Signature(1e-3, 6, 11)
    load = chips(signature.chips.tolist(), start_s=0.2, chip_s=1e-3, base_w=BASE_W, busy_w=BUSY_W)
    falls = np.diff(load.level_w, prepend=BASE_W) < 0
    late = Steps(np.where(falls, load.at_s + 60e-6, load.at_s), load.level_w, BASE_W)
    (one,) = found(recorded(late, n=60_000, dt_s=10e-6, tau_s=TAU_S).astype(np.float64), signature)
    assert one.late == pytest.approx(6.0, abs=0.3)
    assert float(one.clock.u_at(np.array([signature.lasts_s / 2]))[0]) > 1.5


def test_a_record_without_a_signature_is_refused() -> None:
    signature = Signature(1e-3, 6, 11)
    other = burnt(Signature(1e-3, 6, 40), [0.2])  # the same sequence from elsewhere in its period
    noise = np.random.default_rng(3).normal(BUSY_W, BASE_W, 60_000)
    for power in (noise, other, np.full(60_000, BASE_W)):
        with pytest.raises((SignatureNotFound, SignatureAmbiguous, SignatureUnclear)):
            found(power, signature)


def test_one_signature_where_two_were_burnt_is_refused() -> None:
    signature = Signature(1e-3, 6, 11)
    with pytest.raises(SegmentError):
        found(burnt(signature, [0.2]), signature, count=2)


def test_a_signature_that_may_lie_in_two_places_is_refused() -> None:
    signature = Signature(1e-3, 6, 11)
    with pytest.raises(SignatureAmbiguous, match="more than 1 place"):
        found(burnt(signature, [0.1, 0.35]), signature)


def test_bursts_of_inferences_are_no_signature() -> None:
    signature = Signature(1e-3, 6, 11)
    power = burnt(signature, [0.3])
    for at in range(2_000, 25_000, 3_000):
        power[at : at + 1_500] = 30e-3
    (one,) = found(power, signature)
    assert abs(middle_error(one, signature, start_s=0.3, rate=1.0, delay_s=0.0, dt_s=10e-6)) < 0.3


def test_chips_too_short_for_the_record_or_the_supply_path_are_refused() -> None:
    power = np.zeros(1000, dtype=np.float32)
    with pytest.raises(SignatureUnclear, match=r"0\.00205 s are needed"):
        find_signatures(power, Signature(1e-3, 6, 1), count=1, dt_s=204.8e-6, path=Path(), rate_limit=0.0)
    with pytest.raises(SignatureUnclear, match=r"0\.005 s are needed"):
        find_signatures(power, Signature(1e-3, 6, 1), count=1, dt_s=1e-6, path=Path(tau_s=1e-3), rate_limit=0.0)
