"""One pass over samples: the figures are those of plain sums, and the same to the bit however the samples come."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from labd.scan.loops import IN_NUMPY, WORTH_COMPILING, Loops, compiled, loops_for
from labd.scan.onepass import Scan
from labd.scan.running import Part, Watch
from labd.scan.samples import BLOCK, Pair, Scale, Scales


def by_numba() -> Loops:
    found = compiled()
    assert found is not None, "numba is among what tests are run with"
    return found


IN_NUMBA = by_numba()
LOOPS = pytest.mark.parametrize("loops", [IN_NUMPY, IN_NUMBA], ids=["numpy", "numba"])
DT_S = 1e-6
SCALES = Scales(Scale(-1.5e-6, 2e-3), Scale(1.1e-4, -0.01))
LONGEST = 5 * BLOCK + 17


def in_threads(number: int) -> Callable[[Callable[[Pair], Part], Iterable[Pair]], Iterator[Part]]:
    def each(function: Callable[[Pair], Part], pairs: Iterable[Pair]) -> Iterator[Part]:
        with ThreadPoolExecutor(number) as pool:
            yield from pool.map(function, pairs)

    return each


@st.composite
def codes(draw: st.DrawFn) -> Pair:
    """Full scale, calm, and both ends of what 16 bits hold."""
    n = draw(st.integers(1, LONGEST))
    low, high = sorted(draw(st.tuples(st.integers(-32768, 32767), st.integers(-32768, 32767))))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    some = [seed.integers(low, high, n, endpoint=True).astype(np.int16) for _ in range(2)]
    if draw(st.booleans()):
        some[0][seed.integers(0, n, 3)] = -32768
    return some[0], some[1]


@st.composite
def floats(draw: st.DrawFn) -> Pair:
    """A current that jumps between two levels; now and then a sample is no number."""
    n = draw(st.integers(1, LONGEST))
    seed = np.random.default_rng(draw(st.integers(0, 2**32)))
    high = np.repeat(seed.random(n // 40 + 1) < 0.3, 40)[:n]
    current = np.where(high, 0.02, 1e-5) * seed.normal(1, draw(st.sampled_from([0.01, 0.5])), n)
    voltage = seed.normal(3.0, 0.01, n)
    if draw(st.booleans()):
        at = seed.integers(0, n, 5)
        current[at[:3]], voltage[at[3:]] = np.nan, draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    return current.astype(np.float32), voltage.astype(np.float32)


def cut(pair: Pair, at: Iterable[int]) -> list[Pair]:
    """Delivered in pieces that end at these samples."""
    ends = [0, *sorted(min(one, len(pair[0])) for one in at), len(pair[0])]
    return [(pair[0][a:b], pair[1][a:b]) for a, b in pairwise(ends)]


def figures(scan: Scan) -> tuple[Any, ...]:
    bursts = scan.bursts
    spreads = [
        (s.count, s.total, s.low, s.high, s.quantile(0.5), s.quantile(0.9)) if s.count else () for s in (bursts.energy_j, bursts.length_s)
    ]
    return scan.figures(), bursts.cut, spreads


def watch_of(pair: Pair, scales: Scales, of: str = "power") -> Watch:
    """Levels in the midst of what there is."""
    value = values(pair, scales, of)
    good = value[np.isfinite(value)]
    middle = float(np.median(good)) if len(good) else 0.0
    step = max(1e-6, abs(middle)) * 0.01
    return Watch(rise=middle + step, fall=middle - step, of=of)


def values(pair: Pair, scales: Scales, of: str = "power") -> NDArray[np.float32]:
    gi, oi, gv, ov = scales.factors()
    if of == "current":
        gv, ov = np.float32(0), np.float32(1)
    with np.errstate(invalid="ignore"):
        found: NDArray[np.float32] = (pair[0] * gi + oi) * (pair[1] * gv + ov)
    found[~(np.isfinite(pair[0]) & np.isfinite(pair[1]))] = np.nan
    return found


def plain_bursts(value: NDArray[np.float32], watch: Watch) -> list[tuple[int, int | None]]:
    """First and stop of each, one sample after the other."""
    found: list[tuple[int, int | None]] = []
    begun = None
    for k, one in enumerate(value.tolist()):
        if begun is None and one >= float(np.float32(watch.rise)):
            begun = k
        elif begun is not None and one <= float(np.float32(watch.fall)):
            found.append((begun, k))
            begun = None
    return found if begun is None else [*found, (begun, None)]


@LOOPS
@given(pair=st.one_of(codes(), floats()), ends=st.lists(st.integers(0, LONGEST)), rows=st.integers(1, 7), threads=st.integers(1, 3))
def test_figures_do_not_depend_on_delivery_chunks_or_threads(loops: Loops, pair: Pair, ends: list[int], rows: int, threads: int) -> None:
    scales = SCALES if pair[0].dtype == np.int16 else Scales()
    watch = watch_of(pair, scales)
    at = np.unique(np.clip(np.array(ends, np.int64), 0, len(pair[0])))
    whole, pieces = (Scan(DT_S, scales, watch=watch, loops=loops) for _ in range(2))
    sums = whole.stretch([pair], at=at)
    np.testing.assert_array_equal(pieces.stretch(cut(pair, ends), at=at, rows=rows, each=in_threads(threads)), sums)
    assert figures(pieces) == figures(whole)


@given(pair=codes(), of=st.sampled_from(["power", "current"]))
def test_numpy_and_numba_agree_to_the_bit_on_codes(pair: Pair, of: str) -> None:
    watch = watch_of(pair, SCALES, of)
    at = np.arange(0, len(pair[0]) + 1, 100)
    first, second = (Scan(DT_S, SCALES, watch=watch, loops=loops) for loops in (IN_NUMPY, IN_NUMBA))
    np.testing.assert_array_equal(first.stretch([pair], at=at), second.stretch([pair], at=at))
    assert figures(first) == figures(second)


@given(pair=floats())
def test_numpy_and_numba_agree_on_floats_but_for_roundings(pair: Pair) -> None:
    watch = watch_of(pair, Scales())
    first, second = (Scan(DT_S, watch=watch, loops=loops) for loops in (IN_NUMPY, IN_NUMBA))
    for scan in (first, second):
        scan.stretch([pair])
    one, other = first.figures(), second.figures()
    assert (one is None) == (other is None)
    if one is not None and other is not None:
        assert (one.samples, one.valid, one.power.low, one.power.high) == (other.samples, other.valid, other.power.low, other.power.high)
        size = np.nansum(np.abs(pair[0].astype(np.float64)[np.isfinite(pair[0])])) * 4 * DT_S
        assert math.isclose(one.energy_j, other.energy_j, abs_tol=1e-6 * size)
    assert first.bursts.cut == second.bursts.cut
    assert first.bursts.length_s.count == second.bursts.length_s.count


@LOOPS
@given(pair=codes())
def test_sums_of_codes_are_exact(loops: Loops, pair: Pair) -> None:
    scan = Scan(DT_S, SCALES, loops=loops)
    n = len(pair[0])
    sums = scan.stretch([pair], at=np.array([0, n // 3, n]))
    i, v = ([int(one) for one in column] for column in pair)
    for k, stop in enumerate((0, n // 3, n)):
        products = sum(a * b for a, b in zip(i[:stop], v[:stop], strict=True))
        assert sums[:, k].tolist() == [sum(v[:stop]), sum(i[:stop]), products, stop]
    found = scan.figures()
    assert found is not None
    power = (pair[0] * -1.5e-6 + 2e-3) * (pair[1] * 1.1e-4 - 0.01)
    scale = np.abs(power).sum() * DT_S + 1e-12
    assert math.isclose(found.energy_j, power.sum() * DT_S, abs_tol=1e-9 * scale)
    assert math.isclose(found.rms_a, np.sqrt(np.mean((pair[0] * -1.5e-6 + 2e-3) ** 2)), rel_tol=1e-6)
    assert (found.current.low, found.current.high) == (max(i) * -1.5e-6 + 2e-3, min(i) * -1.5e-6 + 2e-3)
    single = values(pair, SCALES)
    assert (found.power.low, found.power.high) == (single.min(), single.max())


@LOOPS
@given(pair=floats())
def test_samples_that_are_no_number_count_nothing(loops: Loops, pair: Pair) -> None:
    scan = Scan(DT_S, loops=loops)
    scan.stretch([pair])
    good = np.isfinite(pair[0]) & np.isfinite(pair[1])
    found = scan.figures()
    if found is None:
        assert not good.any()
        return
    i, v = (column[good].astype(np.float64) for column in pair)
    assert (found.samples, found.valid) == (len(good), good.sum())
    assert math.isclose(found.energy_j, np.sum(i * v) * DT_S, abs_tol=1e-6 * np.sum(np.abs(i * v)) * DT_S)
    assert math.isclose(found.charge_c, np.sum(i) * DT_S, abs_tol=1e-6 * np.sum(np.abs(i)) * DT_S)
    assert (found.current.low, found.current.high) == (i.min(), i.max())
    assert (found.voltage.low, found.voltage.high) == (v.min(), v.max())


@LOOPS
@given(pair=st.one_of(codes(), floats()), of=st.sampled_from(["power", "current"]))
def test_bursts_are_those_of_a_walk_through_the_samples(loops: Loops, pair: Pair, of: str) -> None:
    scales = SCALES if pair[0].dtype == np.int16 else Scales()
    watch = watch_of(pair, scales, of)
    scan = Scan(DT_S, scales, watch=watch, loops=loops)
    scan.stretch([pair])
    good = np.isfinite(pair[0]) & np.isfinite(pair[1])
    bursts = plain_bursts(values(pair, scales, of), watch)
    whole = [(a, b) for a, b in bursts if b is not None and a > 0 and good[a:b].all()]
    assert scan.bursts.cut == len(bursts) - len(whole)
    assert scan.bursts.length_s.count == scan.bursts.energy_j.count == len(whole)
    if whole:
        i = pair[0] * scales.current.gain + scales.current.offset
        v = pair[1] * scales.voltage.gain + scales.voltage.offset
        energies = [float(np.sum(i[a:b].astype(np.float64) * v[a:b])) * DT_S for a, b in whole]
        size = float(np.nansum(np.abs(np.where(good, i, 0) * np.where(good, v, 0)))) * DT_S
        assert math.isclose(scan.bursts.energy_j.total, sum(energies), abs_tol=1e-6 * size)
        assert math.isclose(scan.bursts.energy_j.high, max(energies), abs_tol=1e-6 * size)


@LOOPS
def test_a_burst_does_not_go_on_in_the_next_stretch(loops: Loops) -> None:
    high = np.full(1000, 0.02, np.float32)
    high[:300] = 0
    scan = Scan(DT_S, watch=Watch(0.03, 0.01), loops=loops)
    for _ in range(3):
        scan.stretch([(high, np.full(1000, 3, np.float32))])
    assert (scan.bursts.cut, scan.bursts.energy_j.count) == (3, 0)


@LOOPS
@given(values=arrays(np.int16, 2 * BLOCK, elements=st.sampled_from([-32768, 32767])))
def test_the_largest_products_do_not_overflow(loops: Loops, values: NDArray[np.int16]) -> None:
    sums = Scan(DT_S, Scales(), loops=loops).stretch([(values, values)], at=np.array([len(values)]))
    assert sums[2, 0] == sum(int(one) ** 2 for one in values)


@LOOPS
def test_crossings_at_every_sample_are_all_found(loops: Loops) -> None:
    """More than one call of the compiled loop has room for."""
    n = 300 * BLOCK
    current = (np.arange(n) % 2).astype(np.float32)
    scan = Scan(DT_S, watch=Watch(0.9, 0.1), loops=loops)
    scan.stretch([(current, np.ones(n, np.float32))])
    assert scan.bursts.energy_j.count == n // 2 - 1
    assert scan.bursts.cut == 1
    assert scan.bursts.length_s.quantile(0.5) == pytest.approx(DT_S, rel=1e-4)


@pytest.mark.parametrize(
    ("current", "voltage", "says"),
    [
        (np.zeros(3, np.float64), np.zeros(3, np.float64), "float32 or int16"),
        (np.zeros((3, 1), np.float32), np.zeros(3, np.float32), "float32 or int16"),
        (np.zeros(3, np.float32), np.zeros(4, np.float32), "of one kind"),
        (np.zeros(3, np.float32), np.zeros(3, np.int16), "of one kind"),
    ],
)
def test_samples_of_another_form_are_refused(current: NDArray[Any], voltage: NDArray[Any], says: str) -> None:
    with pytest.raises(ValueError, match=says):
        Scan(DT_S).stretch([(current, voltage)])


def test_levels_and_scales_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="is not below"):
        Watch(1.0, 1.0)
    with pytest.raises(ValueError, match="not in voltage"):
        Watch(1.0, 0.5, "voltage")
    with pytest.raises(ValueError, match="gain is 0"):
        Scale(0.0)
    with pytest.raises(ValueError, match="offset is nan"):
        Scale(1.0, math.nan)


def test_a_scan_of_nothing_has_no_figures() -> None:
    scan = Scan(DT_S)
    scan.stretch([])
    scan.stretch([(np.full(10, np.nan, np.float32), np.ones(10, np.float32))])
    assert scan.figures() is None


def test_what_is_compiled_is_for_those_who_have_many_samples() -> None:
    assert loops_for(WORTH_COMPILING - 1) == IN_NUMPY
    assert loops_for(WORTH_COMPILING) == IN_NUMBA != IN_NUMPY
