"""Counts of TFLite flatbuffers against values worked by hand."""

from __future__ import annotations

import functools

import pytest
import tflite
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.models.graph import figures
from labd.models.tflite_file import read_tflite
from tests.models.flatbuffer import Flat, ds_cnn

small = functools.cache(ds_cnn)
OP = tflite.BuiltinOperator


def counted(data: bytes) -> dict[str, float | None]:
    return {one.id: one.value for one in figures(read_tflite(data))}


def test_ds_cnn_of_keyword_spotting_in_8_bits() -> None:
    """Work and parameters as worked by hand for the ONNX file; 22 016 weights of 1 byte and 588 biases of 4."""
    found = counted(small())
    assert (found["model.macs"], found["model.parameters"], found["model.layers"]) == (2_656_768, 22_604, 12)
    assert found["model.footprint"] == 22_016 + 4 * 588
    assert (found["model.max_activation"], found["model.activation_bits"]) == (25 * 5 * 64, 8)
    assert found["model.weight_bits"] == pytest.approx((8 * 22_016 + 32 * 588) / 22_604)
    assert found["model.footprint.file"] == len(small())


def test_a_transposed_convolution_counts_what_goes_in() -> None:
    """Each of 7*7*8 inputs goes through 3x3 into 16 channels."""
    net = Flat(1, 7, 7, 8)
    net.operator(OP.TRANSPOSE_CONV, [net.bias(4), net.weights(16, 3, 3, 8), net.last], (1, 15, 15, 16))
    assert (counted(net.written())["model.macs"], counted(net.written())["model.parameters"]) == (7 * 7 * 8 * 144, 1152)


def test_a_grouped_convolution_counts_its_own_channels() -> None:
    net = Flat(1, 7, 7, 8)
    net.operator(OP.CONV_2D, [net.last, net.weights(16, 3, 3, 2), net.bias(16)], (1, 5, 5, 16))
    assert counted(net.written())["model.macs"] == 5 * 5 * 16 * 18


def test_an_lstm_counts_every_gate_at_every_step() -> None:
    """10 steps of 4 gates x 16 x (8 inputs + 16 of its own)."""
    net = Flat(1, 10, 8)
    inputs = [net.last, *(net.weights(16, 8) for _ in range(4)), *(net.weights(16, 16) for _ in range(4)), -1, -1, -1]
    net.operator(OP.UNIDIRECTIONAL_SEQUENCE_LSTM, [*inputs, *(net.bias(16) for _ in range(4))], (1, 10, 16))
    assert (counted(net.written())["model.macs"], counted(net.written())["model.parameters"]) == (15_360, 64 * 24 + 64)


def test_work_that_is_not_known_leaves_no_count() -> None:
    net = Flat(1, 8)
    net.operator(OP.CUSTOM, [net.last], (1, 8))
    assert counted(net.written())["model.macs"] is None


def test_other_bytes_are_told() -> None:
    with pytest.raises(ValueError, match="no TFLite model: bytes 4 to 8 are b'ello', not b'TFL3'"):
        read_tflite(b"hellello world")


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_cut_or_damaged_bytes_are_a_clear_error_or_a_model(data: st.DataObject) -> None:
    raw = bytearray(small())
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, min(len(raw), 600) - 1))] = data.draw(st.integers(0, 255))
    told = ""
    try:
        figures(read_tflite(bytes(raw)))
    except ValueError as error:
        told = str(error)
    assert told or len(raw) > 8
