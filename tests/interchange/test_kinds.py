"""Every kind of file is known by what is in it; no file makes a reader fail in another way than by saying what is wrong; cards hold it."""

from __future__ import annotations

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labd import resources
from labd.cards.kinds import HardwareCard
from labd.cards.read import card_from
from labd.errors import FileError
from labd.interchange.card import card_text
from labd.interchange.foreign import Added, Foreign, ForeignFigure
from labd.interchange.kinds import READERS, Kind, read_foreign, recognised
from labd.records import Provenance
from tests.interchange import samples

KNOWN = {
    Kind.MLPERF_TINY: {"results.txt": samples.eembc_lines().encode()},
    Kind.ENERGYRUNNER: samples.SESSION,
    Kind.MLMARK: {"m.txt": samples.MLMARK.encode()},
    Kind.QUTIBENCH: {"q.csv": samples.QUTIBENCH.encode()},
    Kind.NEUROBENCH: {"n.json": json.dumps(samples.NEUROBENCH).encode()},
    Kind.MAESTRO: {"m.csv": samples.MAESTRO.encode()},
    Kind.TIMELOOP: {"t.stats.txt": samples.TIMELOOP.encode()},
    Kind.ALADDIN: {"nnet_fwd_summary": samples.ALADDIN.encode()},
    Kind.SMAUG: {"stats.txt": samples.GEM5.encode()},
    Kind.FIGURES: {"f.csv": samples.FIGURES.encode()},
}
TEXTS = [data for files in KNOWN.values() for name, data in files.items() if not name.endswith(".bin")]
TEXTS.append(samples.trace(length_s=64.0)[:4000])


@pytest.mark.parametrize("kind", KNOWN)
def test_a_file_is_known_by_what_is_in_it_and_its_card_can_be_read(kind: Kind) -> None:
    assert recognised(KNOWN[kind]) is kind
    for foreign in read_foreign(KNOWN[kind], None, Added()):
        card = card_from(card_text(foreign), "card")
        assert [(one.id, one.value, one.unit) for one in card.given] == [(one.id, one.value, one.unit) for one in foreign.figures]


def test_the_shipped_results_are_those_that_the_tests_are_made_with() -> None:
    assert (resources.path("fixtures") / "interchange" / "results.txt").read_text("utf-8") == samples.eembc_lines()


@given(st.sampled_from(list(READERS)), st.sampled_from(TEXTS), st.data())
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None, max_examples=150)
def test_a_file_that_was_changed_somewhere_is_read_or_refused_by_name(kind: Kind, data: bytes, drawn: st.DataObject) -> None:
    """Cut, with bytes replaced, or of another kind."""
    start = drawn.draw(st.integers(0, len(data)))
    put = drawn.draw(st.one_of(st.binary(max_size=8), st.sampled_from([b"nan", b"-1", b"1e999", b",,,", b'"', b"\n", b"[", b"null"])))
    changed = data[:start] + put + data[start + drawn.draw(st.integers(0, 12)) :]
    name = drawn.draw(st.sampled_from(["f.json", "f.csv", "f.txt", "f-energy.bin"]))
    try:
        found = read_foreign({name: changed}, kind, Added(inferences=2, clock_hz=1e6))
    except FileError as error:
        assert error.file == name  # noqa: PT017  both ways are right
        return
    for foreign in found:
        card_from(card_text(foreign), "card")


WORDS = st.text(max_size=40)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)


@given(
    st.builds(
        Foreign,
        name=WORDS,
        source=WORDS,
        notes=WORDS,
        figures=st.lists(
            st.builds(
                ForeignFigure,
                id=st.sampled_from(["energy_per_inference", "phase_energy.wake"]),
                value=NUMBERS,
                unit=st.sampled_from(["J", "uJ"]),
                source=WORDS,
                provenance=st.sampled_from([Provenance.DECLARED, Provenance.ESTIMATED, Provenance.COMPUTED]),
                u=st.one_of(st.none(), st.floats(0, 1e300)),
                model=WORDS,
                conditions=WORDS,
                batch=st.one_of(st.none(), st.integers(1, 10**6)),
                clock_hz=st.one_of(st.none(), st.floats(1.0, 1e11)),
            ),
            min_size=1,
            max_size=3,
        ).map(tuple),
    )
)
@settings(deadline=None, max_examples=60)
def test_whatever_a_file_says_its_card_says_the_same(foreign: Foreign) -> None:
    card = card_from(card_text(foreign), "card")
    assert isinstance(card, HardwareCard)
    for one, figure in zip(card.given, foreign.figures, strict=True):
        assert (one.value, one.u, one.batch, one.provenance) == (figure.value, figure.u, figure.batch, str(figure.provenance))
        assert one.clock == figure.clock_hz or one.clock == pytest.approx(figure.clock_hz)
