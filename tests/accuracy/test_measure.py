"""Data sets through a stock DUT on a pseudo-terminal: what comes out, what survives, and what is taken up again."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from labd.accuracy.dataset import Dataset, read_dataset
from labd.accuracy.measure import Measurement, Progress
from labd.accuracy.score import score
from labd.accuracy.session import Session, Subject, open_session
from labd.dut.device import Device
from labd.errors import DutFailure, StoreError
from tests.dut.met import met
from tests.dut.stock_dut import Fault, StockDut, misuse
from tests.dut.stock_firmware import AD, KWS, StockFirmware, StockModel

SMALL = StockModel("kws01", 40, KWS.run, KWS.show)


def _input(k: int, size: int) -> bytes:
    return bytes((k * 31 + 7 * at) % 256 for at in range(size))


def made(folder: Path, samples: int, *, wrong: int = 0, model: StockModel = SMALL) -> Dataset:
    """A labelled data set of which the model, run here, gets all but `wrong` right."""
    rows = []
    for k in range(samples):
        data = _input(k, model.input_size)
        scores = [round(value, 3) for value in model.run(data)]
        label = (scores.index(max(scores)) + (k < wrong)) % len(scores)
        (folder / f"{k:03d}.bin").write_bytes(data)
        rows.append(f"{k:03d}.bin,{len(scores)},{label}\n")
    (folder / "y_labels.csv").write_text("".join(rows))
    return read_dataset(folder)


def _subject(device: Device, dataset: Dataset) -> Subject:
    return Subject("bench", "board", device.identity, dataset.name, dataset.sha256, len(dataset.samples))


def _opened(store: Path, device: Device, dataset: Dataset, *, fresh: bool = False) -> Session:
    return open_session(store, _subject(device, dataset), dataset, fresh=fresh)


def _quiet(_: Progress) -> None: ...


async def test_the_score_is_that_of_the_model_run_elsewhere(tmp_path: Path) -> None:
    dataset = made(tmp_path, 30, wrong=4)
    shown: list[Progress] = []
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            with _opened(tmp_path / "store", device, dataset) as session:
                await Measurement(device, dataset, session).run(shown.append)
        assert misuse(bytes(dut.raw)) == []
    found = score([one.prediction for one in session.done])
    assert found is not None
    assert found.value == pytest.approx(26 / 30)
    assert found.n == 30
    assert [one.done for one in shown] == list(range(31))
    assert all(one.latency_s == pytest.approx(2059e-6) for one in session.done)
    assert dut.heard.count("db print") == 1


@pytest.mark.parametrize(("every", "prints"), [(0, 1), (1, 12), (5, 3)])
async def test_uploads_are_read_back_as_often_as_asked(tmp_path: Path, every: int, prints: int) -> None:
    dataset = made(tmp_path, 12)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            with _opened(tmp_path / "store", device, dataset) as session:
                await Measurement(device, dataset, session, verify_every=every).run(_quiet)
    assert dut.heard.count("db print") == prints
    assert sum(one.verified for one in session.done) == prints


async def test_an_upload_that_had_to_be_made_again_is_read_back(tmp_path: Path) -> None:
    dataset = made(tmp_path, 6)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:

            def spoil(progress: Progress) -> None:
                if progress.done == 3:
                    dut.to_dut.set({14: Fault("drop")})

            with _opened(tmp_path / "store", device, dataset) as session:
                await Measurement(device, dataset, session).run(spoil)
    assert dut.heard.count("db print") == 2
    found = score([one.prediction for one in session.done])
    assert found is not None
    assert found.value == 1.0


async def test_an_anomaly_score_is_the_mean_over_the_windows_of_a_file(tmp_path: Path) -> None:
    model = StockModel("ad01", 8, AD.run)
    (tmp_path / "a.bin").write_bytes(bytes(range(14)))
    (tmp_path / "b.bin").write_bytes(bytes(range(40, 48)))
    (tmp_path / "y_labels.csv").write_text("a.bin,2,1,8,2\nb.bin,2,0,8,2\n")
    dataset = read_dataset(tmp_path)
    with StockDut(StockFirmware(model)) as dut:
        async with met(dut) as device:
            with _opened(tmp_path / "store", device, dataset) as session:
                await Measurement(device, dataset, session).run(_quiet)
    windows = [round(model.run(bytes(range(at, at + 8)))[0], 3) for at in (0, 2, 4, 6)]
    assert session.done[0].prediction.scores[0] == pytest.approx(sum(windows) / 4)
    assert [one.label for one in session.done] == [1, 0]


async def test_a_board_that_reboots_once_loses_nothing(tmp_path: Path) -> None:
    dataset, firmware = made(tmp_path, 8), StockFirmware(SMALL)
    with StockDut(firmware) as dut:
        async with met(dut) as device:

            def trip(progress: Progress) -> None:
                if progress.done in (2, 5):
                    firmware.reboots_in.add("infer" if progress.done == 2 else "db")

            with _opened(tmp_path / "store", device, dataset) as session:
                measurement = Measurement(device, dataset, session)
                await measurement.run(trip)
    assert measurement.reboots == 2
    found = score([one.prediction for one in session.done])
    assert found is not None
    assert (found.value, found.n) == (1.0, 8)
    assert dut.heard.count("db print") == 3


class _AlwaysReboots(StockFirmware):
    def feed(self, data: bytes) -> bytes:
        self.reboots_in.add("infer")
        return StockFirmware.feed(self, data)


async def test_a_board_that_reboots_each_time_is_named_with_its_sample(tmp_path: Path) -> None:
    dataset = made(tmp_path, 2)
    with StockDut(_AlwaysReboots(SMALL)) as dut:
        async with met(dut) as device:
            with (
                _opened(tmp_path / "store", device, dataset) as session,
                pytest.raises(DutFailure, match=r"y_labels.csv: line 1: .* browned out.*, 3 times at this sample"),
            ):
                await Measurement(device, dataset, session).run(_quiet)


async def test_the_data_set_of_another_model_is_named(tmp_path: Path) -> None:
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            for model, problem in (
                (StockModel("x", 38, KWS.run), "line 1: the DUT refused `infer 1 0`: Input db has 38 elemented, expected 40"),
                (
                    StockModel("x", 40, lambda data: KWS.run(data)[:10]),
                    r"line 1: the DUT \(kws01\) gives 12 scores, the data set has 10 classes",
                ),
            ):
                folder = tmp_path / f"{model.input_size}-{len(model.run(bytes(40)))}"
                folder.mkdir()
                dataset = made(folder, 2, model=model)
                with _opened(tmp_path / "store", device, dataset) as session, pytest.raises(DutFailure, match=problem):
                    await Measurement(device, dataset, session).run(_quiet)


async def _broken_off(device: Device, dataset: Dataset, store: Path, *, after: int) -> Session:
    """A run that ended at a sample, as by a cancelled task."""

    def end(progress: Progress) -> None:
        if progress.done == after:
            raise KeyError("here")

    with _opened(store, device, dataset) as session:
        with pytest.raises(KeyError):
            await Measurement(device, dataset, session).run(end)
        return session


def _tear(session: Session) -> None:
    with (session.folder / "samples.jsonl").open("a") as file:
        file.write('{"n": 5, "fi')


@pytest.mark.parametrize("damage", [lambda _: None, _tear], ids=["whole", "torn last line"])
async def test_a_run_that_broke_off_goes_on_where_it_was(tmp_path: Path, damage: Callable[[Session], None]) -> None:
    dataset = made(tmp_path, 9, wrong=2)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            first = await _broken_off(device, dataset, tmp_path / "store", after=5)
            damage(first)
            sent = len(dut.heard)
            shown: list[Progress] = []
            with _opened(tmp_path / "store", device, dataset) as session:
                assert (session.id, len(session.done)) == (first.id, 5)
                await Measurement(device, dataset, session).run(shown.append)
                session.end({"score": None})
            assert sum(text.startswith("infer") for text in dut.heard[sent:]) == 4
            assert [json.loads(line)["n"] for line in (session.folder / "samples.jsonl").read_text().splitlines()] == list(range(9))
            assert shown[0] == Progress(5, 9, 5, 0)
            found = score([one.prediction for one in session.done])
            assert found is not None
            assert found.value == pytest.approx(7 / 9)
            assert found.n == 9
            assert _opened(tmp_path / "store", device, dataset).id != first.id  # what has ended is not taken up


async def test_a_fresh_run_another_data_set_and_another_dut_begin_anew(tmp_path: Path) -> None:
    dataset = made(tmp_path, 4)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            first = await _broken_off(device, dataset, tmp_path / "store", after=2)
            assert _opened(tmp_path / "store", device, dataset).id == first.id
            assert not _opened(tmp_path / "store", device, dataset, fresh=True).done
            other = made(tmp_path, 4, wrong=1)
            assert not _opened(tmp_path / "store", device, other).done
    with StockDut(StockFirmware(SMALL, energy=True)) as dut:
        async with met(dut) as device:
            assert not _opened(tmp_path / "store", device, made(tmp_path, 4)).done


async def test_samples_of_two_nets_that_call_themselves_alike_never_mix(tmp_path: Path) -> None:
    dataset, store = made(tmp_path, 4), tmp_path / "store"
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            subject = _subject(device, dataset)
            first = await _broken_off(device, dataset, store, after=2)
    assert open_session(store, subject, dataset, fresh=False).id == first.id
    for other in (replace(subject, model="dnn_pruned"), replace(subject, firmware_sha256="ab" * 32)):
        assert not open_session(store, other, dataset, fresh=False).done
        with pytest.raises(StoreError, match=r"would be of two subjects: (model|firmware_sha256) was '' and is '"):
            open_session(store, other, dataset, fresh=False, begun=first.id)


async def test_who_has_begun_a_run_goes_on_with_that_one_and_no_newer(tmp_path: Path) -> None:
    dataset, store = made(tmp_path, 4), tmp_path / "store"
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            subject = _subject(device, dataset)
            first = await _broken_off(device, dataset, store, after=2)
            newer = _opened(store, device, dataset, fresh=True)
    assert open_session(store, subject, dataset, fresh=False).id == newer.id
    for fresh in (False, True):
        mine = open_session(store, subject, dataset, fresh=fresh, begun=first.id)
        assert (mine.id, len(mine.done)) == (first.id, 2)
    with pytest.raises(StoreError, match="is gone or cannot be read; ask for a new one"):
        open_session(store, subject, dataset, fresh=False, begun="20260101-000000-words")


async def test_a_line_that_is_not_the_last_and_cannot_be_read_is_named(tmp_path: Path) -> None:
    dataset = made(tmp_path, 4)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            session = await _broken_off(device, dataset, tmp_path / "store", after=3)
            path = session.folder / "samples.jsonl"
            lines = path.read_text().splitlines()
            path.write_text("\n".join([lines[0], "{}", lines[2]]) + "\n")
            with pytest.raises(StoreError, match=r"samples.jsonl: line 2 cannot be read .*--fresh"):
                _opened(tmp_path / "store", device, dataset)
            path.write_text("\n".join([lines[0], lines[2]]) + "\n")
            with pytest.raises(StoreError, match="line 2 is not sample 1"):
                _opened(tmp_path / "store", device, dataset)


async def test_what_is_kept_is_plain_json_line_by_line(tmp_path: Path) -> None:
    dataset = made(tmp_path, 2)
    with StockDut(StockFirmware(SMALL)) as dut:
        async with met(dut) as device:
            with _opened(tmp_path / "store", device, dataset) as session:
                await Measurement(device, dataset, session).run(_quiet)
                session.end({"score": 1})
    rows = [json.loads(line) for line in (session.folder / "samples.jsonl").read_text().splitlines()]
    assert [row["file"] for row in rows] == ["000.bin", "001.bin"]
    assert rows[0]["results"] == [[round(value, 3) for value in SMALL.run(_input(0, 40))]]
    assert json.loads((session.folder / "session.json").read_text())["dut"]["model"] == "kws01"
