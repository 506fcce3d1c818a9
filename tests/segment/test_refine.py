"""Edges of bursts fitted by a step behind a first-order path, with glitches of range changes on them."""

from __future__ import annotations

import numpy as np
import pytest

from labd.segment.bursts import Bursts, find_bursts
from labd.segment.refine import refined, step_mean
from tests.segment.burnt import Floats, Steps, recorded

TAU_S = 22e-6
SLEEP_W, LOW_W, HIGH_W, TAIL_W = 18e-6, 2.4e-3, 25e-3, 5.1e-3


def bursts(rng: np.random.Generator, count: int) -> tuple[Steps, Floats]:
    """Sleep, 1.2 ms of oscillator, 10 ms of work, 5 ms of tail; and where each begins and ends."""
    rises = np.arange(count) * 0.05 + 0.02 + rng.uniform(0, 1e-3, count)
    at = (rises[:, None] + np.array([0.0, 1.2e-3, 11e-3, 16e-3])).ravel()
    return Steps(at, np.tile([LOW_W, HIGH_W, TAIL_W, SLEEP_W], count), SLEEP_W), np.stack((rises, rises + 16e-3))


def noisy(clean: Floats, rng: np.random.Generator) -> Floats:
    return clean * (1 + 0.01 * rng.standard_normal(len(clean))) + 1e-5 * rng.standard_normal(len(clean))


def glitched(clean: Floats, dt_s: float, rng: np.random.Generator) -> Floats:
    """At each change of range 8 to 25 us of the value before, of nothing, or of too much."""
    ranges = np.searchsorted([150e-6, 1.5e-3, 15e-3], clean)
    out = clean.copy()
    for k in (np.flatnonzero(np.diff(ranges)) + 1).tolist():
        stop = k + max(1, round(rng.uniform(8e-6, 25e-6) / dt_s))
        out[k:stop] = (clean[k - 1], 0.0, 30e-3)[rng.integers(3)]
    return out


def found(power: Floats, dt_s: float) -> tuple[Bursts, Bursts]:
    rough = find_bursts(power.astype(np.float32), tau_records=TAU_S / dt_s, smooth_records=max(1, round(50e-6 / dt_s)))
    return rough, refined(power.astype(np.float32), rough, tau_records=TAU_S / dt_s)


def test_a_mean_step_is_the_mean_of_the_step() -> None:
    t = np.linspace(-3, 40, 200)
    fine = (t[:, None] + (np.arange(2000) + 0.5) / 2000).clip(0)
    assert step_mean(t, 7.0) == pytest.approx((1 - np.exp(-fine / 7.0)).mean(axis=1), abs=1e-5)
    both = 1 - (7.0 * np.exp(-fine / 7.0) - 3.0 * np.exp(-fine / 3.0)) / (7.0 - 3.0)
    assert step_mean(t, 7.0, 3.0) == pytest.approx(both.mean(axis=1), abs=1e-5)
    assert step_mean(t, 3.0, 7.0) == pytest.approx(both.mean(axis=1), abs=1e-5)
    assert step_mean(t, 7.0, 7.0) == pytest.approx((1 - np.exp(-fine / 7.0) * (1 + fine / 7.0)).mean(axis=1), abs=1e-3)
    assert step_mean(np.array([-1.0, -0.25, 0.0]), 0.0) == pytest.approx([0.0, 0.75, 1.0])


def test_glitches_at_a_million_records_a_second_no_longer_move_an_edge() -> None:
    rng = np.random.default_rng(2)
    load, true = bursts(rng, 6)
    power = noisy(glitched(recorded(load, n=320_000, dt_s=1e-6, tau_s=TAU_S).astype(np.float64), 1e-6, rng), rng)
    rough, sharp = found(power, 1e-6)
    assert len(sharp) == 6
    rough_us, sharp_us = (np.stack((b.rise.x, b.fall.x)) - true / 1e-6 for b in (rough, sharp))
    assert np.abs(rough_us).max() > 10, "without the fit the glitches show"
    assert np.abs(sharp_us).max() < 1


def test_an_edge_scatters_as_it_says() -> None:
    rng = np.random.default_rng(5)
    off = []
    for _ in range(12):
        load, true = bursts(rng, 6)
        power = noisy(recorded(load, n=32_000, dt_s=10e-6, tau_s=TAU_S).astype(np.float64), rng)
        _, sharp = found(power, 10e-6)
        off.append(np.concatenate(((sharp.rise.x - true[0] / 10e-6) / sharp.rise.u, (sharp.fall.x - true[1] / 10e-6) / sharp.fall.u)))
    assert 0.3 < float(np.std(np.concatenate(off))) < 1.3
    assert abs(float(np.mean(np.concatenate(off)))) < 0.3


def test_the_delay_of_an_instrument_s_own_filter_stays_in_the_place() -> None:
    """Eight records of a slow filter: the step looks slower, and all of the record is late by them."""
    rng = np.random.default_rng(7)
    load, true = bursts(rng, 6)
    power, keep = recorded(load, n=32_000, dt_s=10e-6, tau_s=TAU_S).astype(np.float64), 8 / 9
    slow = np.empty_like(power)
    y = power[0]
    for k, value in enumerate(power):
        y = keep * y + (1 - keep) * value
        slow[k] = y
    rough = find_bursts(slow.astype(np.float32), tau_records=2.2, smooth_records=5)
    sharp = refined(slow.astype(np.float32), rough, tau_records=2.2, filter_records=8.5)
    assert sharp.rise.x == pytest.approx(true[0] / 10e-6 + 8, abs=0.25)


def test_no_edge_goes_astray_where_records_are_too_long_to_show_a_level() -> None:
    rng = np.random.default_rng(9)
    load, true = bursts(rng, 6)
    power = noisy(recorded(load, n=160, dt_s=2e-3, tau_s=TAU_S).astype(np.float64), rng)
    rough, sharp = found(power, 2e-3)
    worst = np.abs(rough.rise.x - true[0] / 2e-3).max()
    assert np.abs(sharp.rise.x - true[0] / 2e-3).max() <= worst + 0.1
