"""`labd accuracy` on a virtual board with the real firmware; the truth is a numpy model of its net."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from labd import resources
from tests.cli.bench_apart import LABD, START_S, bench_apart, labd
from tests.dut.other_dialects import InterfaceBoardDouble
from tests.dut.stock_dut import StockDut, misuse
from tests.dut.stock_firmware import KWS, StockFirmware
from tests.firmware.test_workloads import BANDS, FRAMES, draws, reference_dnn, signed

pytestmark = pytest.mark.compiler

DEMO = resources.path("fixtures") / "benches/demo.toml"


def made(folder: Path, samples: int, *, wrong: int) -> Path:
    folder.mkdir()
    rows = []
    for k in range(samples):
        frames = signed(draws(k, FRAMES * BANDS), 8).reshape(FRAMES, BANDS)
        (folder / f"{k:03d}.bin").write_bytes(frames.astype(np.int8).tobytes())
        scores = reference_dnn(frames)[1]
        rows.append(f"{k:03d}.bin,12,{(int(np.argmax(scores)) + (k < wrong)) % 12}\n")
    (folder / "y_labels.csv").write_text("".join(rows))
    return folder


def test_the_score_of_a_board_is_that_of_its_model(tmp_path: Path) -> None:
    dataset = made(tmp_path / "words", 10, wrong=3)
    ended = labd("accuracy", DEMO, dataset, "--store", tmp_path / "store", "--json")
    assert ended.code == 0, ended.err
    found = json.loads(ended.out)
    assert (found["score"]["metric"], found["score"]["value"], found["score"]["n"]) == ("top_1", 0.7, 10)
    assert found["resumed"] == 0
    kept = json.loads((Path(found["folder"]) / "result.json").read_text())
    assert kept["score"] == found["score"]
    assert kept["dataset"] == "words"
    assert (kept["verified"], kept["inputs"], kept["reboots"]) == (1, 10, 0)


def test_a_model_that_the_board_has_not_is_refused_before_anything_is_switched_on(tmp_path: Path) -> None:
    ended = labd("accuracy", DEMO, made(tmp_path / "words", 1, wrong=0), "--model", "dnm", "--store", tmp_path / "store")
    assert ended.code == 2
    assert "virtual-m4.toml: models: this board has no model 'dnm', which the accuracy is asked for; did you mean \"dnn\"?" in ended.err


def test_the_example_of_the_how_to_runs_as_it_stands(tmp_path: Path) -> None:
    root = Path(__file__).parents[2]
    page = (root / "docs/how-to/accuracy-run.md").read_text("utf-8").partition("## Try it without hardware")[2]
    program = page.partition("```python\n")[2].partition("```")[0]
    _, command, bench, *rest = page.partition("```\n$ ")[2].partition("\n")[0].split()
    (tmp_path / "fixtures").symlink_to(root / "fixtures")
    subprocess.run([sys.executable, "-c", program], cwd=tmp_path, check=True)
    words = [*LABD, command, bench, *rest, "--store", str(tmp_path / "store")]
    ended = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert ended.stdout.startswith("kws01: 20 samples of words\ntop-1 ")


def test_a_run_that_was_killed_goes_on(tmp_path: Path) -> None:
    dataset = made(tmp_path / "words", 40, wrong=4)
    with bench_apart(tmp_path) as bench:
        words = [*LABD, "accuracy", str(bench.file), str(dataset), "--store", str(tmp_path / "store")]
        process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            while not _kept(tmp_path / "store"):
                assert process.poll() is None, process.communicate()
        finally:
            process.send_signal(signal.SIGKILL)
            process.communicate(timeout=START_S)
        ended = labd("accuracy", bench.file, dataset, "--store", tmp_path / "store")
        assert ended.code == 0, ended.err
        made_before = int(ended.out.split(" of them made before")[0].split()[-1])
        assert 0 < made_before < 40
        assert "top-1 0.9, 95 % interval 0.7695 to 0.9604, of 40 samples" in ended.out
        assert "; the closed division asks for 0.9: met, by less than the interval can tell" in ended.out
        assert "Top 1% = 90.00" in ended.out.splitlines()
        assert "2 of 40 uploads read back; what was damaged on its way to another shows in nothing" in ended.out  # one of each process
        assert not bench.output_on()


def test_a_board_with_stock_firmware_behind_an_interface_board_is_scored_too(tmp_path: Path) -> None:
    dataset = tmp_path / "words"
    dataset.mkdir()
    rows = []
    for k in range(6):
        data = bytes((k + 3 * at) % 256 for at in range(KWS.input_size))
        scores = KWS.run(data)
        (dataset / f"{k}.bin").write_bytes(data)
        rows.append(f"{k}.bin,12,{(scores.index(max(scores)) + (k == 0)) % 12}\n")
    (dataset / "y_labels.csv").write_text("".join(rows))
    with bench_apart(tmp_path) as bench, StockDut(InterfaceBoardDouble(StockFirmware(energy=True))) as dut:
        text = re.sub(r'(?m)^port = "[^"]*"', f'port = "{dut.port}"\nvia = "interface-board"\ndut_baud = 9600', bench.file.read_text())
        (tmp_path / "stock.toml").write_text(text)
        bench.folders.add(tmp_path)
        ended = labd("accuracy", tmp_path / "stock.toml", dataset, "--store", tmp_path / "store", "--json", "--verify-every", "1")
        assert ended.code == 0, ended.err
        found = json.loads(ended.out)
        assert (found["score"]["value"], found["latency_s"]) == (5 / 6, None)
        assert found["subject"]["dut"]["extensions"] is None
        assert misuse(bytes(dut.raw).replace(b"dut ", b"")) == []
        assert sum(text == "dut db print" for text in dut.heard) == 6


def _kept(store: Path) -> int:
    return sum(len(path.read_bytes().splitlines()) for path in store.glob("accuracy/*/samples.jsonl"))


def test_a_bad_data_set_is_named_before_anything_is_switched_on(tmp_path: Path) -> None:
    dataset = made(tmp_path / "words", 2, wrong=0)
    (dataset / "y_labels.csv").write_text("000.bin,12,3\n001.bin,12,12\n002.bin,12,1\n")
    ended = labd("accuracy", DEMO, dataset, "--store", tmp_path / "store")
    assert ended.code == 2
    assert [line.split("y_labels.csv: ")[1][:7] for line in ended.lines] == ["line 2:", "line 3:"]
    ended = labd("accuracy", DEMO, dataset, "--verify-every", "-1")
    assert (ended.code, ended.lines) == (2, ["labd: error: --verify-every: expected 0 or more, got -1"])
