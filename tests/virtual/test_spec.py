"""The bench's spec."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd_virtual.spec import BenchSpec, SpecError, read_spec

FULL: dict[str, Any] = {
    "seed": 7,
    "time": "real",
    "mains_hz": 60,
    "board": {"capacitance_f": 1e-5, "clock_error": 0.02},
    "instruments": {
        "smu": {
            "persona": "keysight_n6705c",
            "options": {"channel": 1},
            "accuracy": [{"quantity": "current", "range": 1e-5, "gain": 2.5e-4, "offset": 8e-9}],
            "timebase": 5e-5,
            "sense_fault": "open",
        }
    },
    "supply": "smu",
    "wires": {"smu.fire": "TRIG", "smu.marker": "MARK"},
    "uart": {"baud": 9600, "driven": True},
    "unkind": {"hum_a": 1e-7},
    "firmware": {"dir": "/somewhere", "energy_mode": True},
}


def test_an_empty_object_is_a_whole_bench() -> None:
    assert read_spec("{}") == BenchSpec()


def test_every_part_is_read() -> None:
    spec = read_spec(json.dumps(FULL))
    assert (spec.seed, spec.time, spec.mains_hz) == (7, "real", 60.0)
    assert spec.board.capacitance_f == 1e-5
    assert spec.board.clock_error == 0.02
    assert spec.instruments["smu"].accuracy[0].range == 1e-5
    assert spec.instruments["smu"].options == {"channel": 1}
    assert spec.wires["smu.fire"] == "TRIG"
    assert spec.uart.driven
    assert spec.firmware.energy_mode


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"sed": 1}, "sed: no such key"),
        ({"time": "fast"}, "time: 'fast' is not one of stepped, real"),
        ({"seed": 1.5}, "seed: 1.5 is not a int"),
        ({"seed": True}, "seed: True is not a int"),
        ({"board": {"capacitance_f": -1}}, "board.capacitance_f: -1 is not from"),
        ({"board": {"power_on_v": 1.0}}, "board.power_on_v"),
        ({"board": 3}, "board: 3 is not an object"),
        ({"instruments": {"smu": {"persona": "x", "accuracy": [{"quantity": "smell"}]}}}, "instruments.smu.accuracy[0].quantity"),
        ({"instruments": {"smu": {"persona": "../evil"}}}, "not the name of a file"),
        ({"supply": "psu"}, "supply: 'psu'"),
        ({"wires": {"psu.fire": "TRIG"}}, "wires: 'psu.fire'"),
        ({"instruments": {"a": {"persona": "x"}}, "wires": {"a.fire": "PA0"}}, "TRIG and MARK"),
    ],
)
def test_a_wrong_spec_is_one_line_that_names_the_key(change: dict[str, Any], words: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_spec(json.dumps(change))
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


@given(
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["seed", "board", "instruments", "uart", "wires", "time", "smu", "persona", "accuracy", "baud"]),
            inner | st.lists(inner, max_size=2),
            max_size=4,
        ),
    )
)
def test_no_json_breaks_the_reader(document: object) -> None:
    with contextlib.suppress(SpecError):
        read_spec(json.dumps(document))
