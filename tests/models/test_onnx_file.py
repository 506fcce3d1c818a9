"""Counts of ONNX files against values worked by hand."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import numpy_helper

from labd.errors import FileError, NotFound
from labd.models.graph import figures
from labd.models.onnx_file import read_onnx
from labd.models.read import check_typed, facts_of, model_figures
from tests.models import architectures

small = functools.cache(architectures.ds_cnn)


def counted(data: bytes) -> dict[str, float | None]:
    return {one.id: one.value for one in figures(read_onnx(data))}


def test_ds_cnn_of_keyword_spotting() -> None:
    """Output of the first layer 25 x 5 x 64 (stride 2, padded):
    conv 10x4: 25*5*64 * 40 = 320 000; four times depthwise 25*5*64 * 9 = 72 000 and pointwise 25*5*64 * 64 = 512 000: 2 336 000;
    dense 64*12 = 768; together 2 656 768.
    Parameters: 40*64+64 = 2624; four times (9*64+64) + (64*64+64) = 4800: 19 200; 64*12+12 = 780; together 22 604.
    """
    found = counted(small())
    assert (found["model.macs"], found["model.ops"], found["model.parameters"]) == (2_656_768, 5_313_536, 22_604)
    assert found["model.max_activation"] == 25 * 5 * 64 * 4
    assert found["model.neurons"] == 9 * 25 * 5 * 64 + 12
    assert found["model.footprint"] == 22_604 * 4
    assert (found["model.weight_bits"], found["model.activation_bits"], found["model.weight_sparsity"]) == (32, 32, 0)


def test_mobilenet_of_visual_wake_words() -> None:
    """First: 48*48*8 * 27 = 497 664. Depthwise, outputs x 9: 48^2*8, 24^2*16, 24^2*32, 12^2*32, 12^2*64, 6^2*64, five 6^2*128, 3^2*128,
    3^2*256: 88 704 outputs, 798 336. Pointwise: 294 912 in each of the five blocks that double the channels, 589 824 in each of the eight
    others: 6 193 152. Dense 512. Together 7 489 664.
    Parameters: 27*8+8 = 224; depthwise 10 for each of 1240 channels = 12 400; pointwise 196 224 weights and 1488 biases; 256*2+2 = 514:
    together 210 850.
    """
    found = counted(architectures.mobilenet())
    assert (found["model.macs"], found["model.parameters"]) == (7_489_664, 210_850)


def test_resnet_8_of_image_classification() -> None:
    """32^2*16 * 27 = 442 368; two of 32^2*16 * 144 = 2 359 296; 16^2*32 * 144 = 1 179 648, * 288 = 2 359 296, shortcut * 16 = 131 072;
    8^2*64 * 288 = 1 179 648, * 576 = 2 359 296, shortcut * 32 = 131 072; dense 640: together 12 501 632.
    Parameters: 448 + 2*2320 + 4640 + 9248 + 544 + 18 496 + 36 928 + 2112 + 650 = 77 706.
    """
    found = counted(architectures.resnet8())
    assert (found["model.macs"], found["model.parameters"]) == (12_501_632, 77_706)


@pytest.mark.parametrize(
    ("data", "macs", "parameters"),
    [
        # 10 steps of 4 gates x 16 x (8 inputs + 16 of its own); biases 8 x 16
        (architectures.single("LSTM", [10, 1, 8], [(1, 64, 8), (1, 64, 16), (1, 128)], hidden_size=16), 15_360, 64 * 24 + 128),
        # 3 gates
        (architectures.single("GRU", [10, 1, 8], [(1, 48, 8), (1, 48, 16)], hidden_size=16), 11_520, 48 * 24),
        # 4 groups of 2 into 4 channels: 5*5*16 outputs x 9 x 2
        (architectures.single("Conv", [1, 8, 7, 7], [(16, 2, 3, 3)], group=4), 5 * 5 * 16 * 18, 288),
        # each of 7*7*8 inputs goes through 3x3 into 16 channels
        (architectures.single("ConvTranspose", [1, 8, 7, 7], [(8, 16, 3, 3)], strides=[2, 2]), 7 * 7 * 8 * 144, 1152),
        (architectures.single("MatMul", [2, 5, 8], [(8, 3)]), 2 * 5 * 3 * 8, 24),
        (architectures.single("Relu", [1, 8], []), 0, 0),
    ],
)
def test_corner_cases(data: bytes, macs: int, parameters: int) -> None:
    found = counted(data)
    assert (found["model.macs"], found["model.parameters"]) == (macs, parameters)


def test_zeros_count_as_sparse_and_biases_do_not() -> None:
    model = onnx.load_model_from_string(architectures.single("Gemm", [1, 8], [(8, 4), (4,)]))
    weights = np.ones((8, 4), np.float32)
    weights[:6] = 0
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(weights, "w0"))
    model.graph.initializer[1].CopyFrom(numpy_helper.from_array(np.zeros(4, np.float32), "w1"))
    assert counted(model.SerializeToString())["model.weight_sparsity"] == 0.75


def test_work_that_is_not_known_leaves_no_count() -> None:
    data = architectures.single("Einsum", [2, 3], [(3, 4)], equation="ij,jk->ik")
    assert read_onnx(data).uncounted == ("Einsum y: its work is not known",)
    assert counted(data)["model.macs"] is None


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_cut_or_damaged_bytes_are_a_clear_error_or_a_model(data: st.DataObject) -> None:
    raw = bytearray(small())
    raw = raw[: data.draw(st.integers(0, len(raw)))]
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, min(len(raw), 400) - 1))] = data.draw(st.integers(0, 255))
    told = ""
    try:
        figures(read_onnx(bytes(raw)))
    except ValueError as error:
        told = str(error)
    assert told or raw


def test_errors_name_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.onnx").write_bytes(b"\xff\xff\xff")
    (tmp_path / "a.pt").write_bytes(b"")
    with pytest.raises(FileError, match=r"a\.onnx: no ONNX model"):
        model_figures(tmp_path / "a.onnx")
    with pytest.raises(FileError, match=r"a\.pt: \.pt is no model file that labd reads: \.onnx, \.tflite"):
        model_figures(tmp_path / "a.pt")
    with pytest.raises(NotFound, match="no such file"):
        model_figures(tmp_path / "none.onnx")


def test_a_typed_figure_that_the_file_contradicts_is_an_error_by_name() -> None:
    found = figures(read_onnx(small()))
    check_typed("card.toml", {"macs": 2_656_768, "model.parameters": 22_604}, found, file="a.onnx")
    with pytest.raises(FileError, match=r"card\.toml: parameters: 22605 is typed, a\.onnx has 22604") as raised:
        check_typed("card.toml", {"macs": 2_656_768, "parameters": 22_605}, found, file="a.onnx")
    assert raised.value.key == "parameters"
    facts = facts_of("net", found, source="a.onnx")
    assert facts.macs is not None
    assert (facts.macs.value, facts.macs.provenance) == (2_656_768, "computed")
