"""Spiking nets: NIR graphs and results of NeuroBench."""

from __future__ import annotations

import json
from pathlib import Path

import nir
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd.errors import FileError
from labd.models.neurobench import read_neurobench
from labd.models.read import model_figures


def lif(n: int) -> nir.LIF:
    one = np.ones(n)
    return nir.LIF(tau=one, r=one, v_leak=one, v_threshold=one)


def written(path: Path) -> Path:
    """8 inputs, 16 and 4 neurons; half of the first weights are zero."""
    first = np.ones((16, 8), np.float32)
    first[:8] = 0
    second = np.ones((4, 16), np.float32)
    net = nir.NIRGraph.from_list(nir.Linear(first), lif(16), nir.Affine(second, np.ones(4, np.float32)), lif(4))
    nir.write(path, net)
    return path


def test_a_nir_graph_by_hand(tmp_path: Path) -> None:
    """128 and 64 synapses, 4 biases; 64 of 192 weights are zero."""
    found = {one.id: one.value for one in model_figures(written(tmp_path / "net.nir"))}
    assert (found["model.dense_synops"], found["model.parameters"], found["model.neurons"]) == (192, 196, 20)
    assert found["model.weight_sparsity"] == pytest.approx(64 / 192)
    assert "model.macs" not in found


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_a_cut_nir_file_is_an_error_with_its_name(tmp_path: Path, share: float) -> None:
    whole = written(tmp_path / "net.nir").read_bytes()
    (tmp_path / "cut.nir").write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(FileError, match=r"cut\.nir: no NIR graph"):
        model_figures(tmp_path / "cut.nir")


def test_a_result_of_neurobench() -> None:
    document = {
        "Footprint": 583900,
        "ConnectionSparsity": 0.25,
        "ActivationSparsity": 0.9668,
        "SynapticOperations": {"Effective_MACs": 0.0, "Effective_ACs": 3289834.3, "Dense": 29030400.0},
        "ClassificationAccuracy": 0.85,
    }
    found = {one.id: one.value for one in read_neurobench(json.dumps(document).encode())}
    assert found == {
        "model.footprint": 583900,
        "model.weight_sparsity": 0.25,
        "model.activation_sparsity": 0.9668,
        "model.effective_macs": 0,
        "model.effective_acs": 3289834.3,
        "model.dense_synops": 29030400,
    }


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[1]", "a NeuroBench result is an object, this is a list"),
        ("{", "no JSON"),
        ('{"a": 1}', "no figure of NeuroBench is in it"),
        ('{"Footprint": -1}', "Footprint is -1, a number from 0 on is meant"),
        ('{"ActivationSparsity": 96.7}', "a share from 0 to 1 is meant"),
        ('{"Dense": NaN}', "Dense is nan"),
    ],
)
def test_what_is_no_result_is_told(text: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_neurobench(text.encode())


@settings(max_examples=200)
@given(st.binary(max_size=60))
def test_any_bytes_are_a_clear_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"no JSON|NeuroBench"):
        read_neurobench(data)
