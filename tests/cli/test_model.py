"""`labd model FILE` prints what a file says about its model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from labd.cli import model
from tests.cli.local_app import Commands
from tests.models.architectures import ds_cnn


def test_every_figure_is_printed_with_what_it_is(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kws.onnx").write_bytes(ds_cnn())
    out = Commands(capsys, model)("model", tmp_path / "kws.onnx").out
    assert "2656768" in out
    assert "multiply-accumulates of one inference, biases left out" in out
    found = {one["id"]: one["value"] for one in json.loads(Commands(capsys, model)("model", tmp_path / "kws.onnx", "--json").out)}
    assert found["model.parameters"] == 22_604


def test_a_file_that_is_no_model_ends_with_its_name(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "kws.tflite").write_bytes(b"nothing")
    answer = Commands(capsys, model)("model", tmp_path / "kws.tflite")
    assert (answer.code, "kws.tflite: no TFLite model" in answer.error) == (2, True)
