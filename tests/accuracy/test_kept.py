"""Data sets that were sent: whole or not there, one for the same content, and nothing outside their folder."""

from __future__ import annotations

import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labd.accuracy.dataset import Dataset, read_dataset
from labd.accuracy.kept import FOLDER, forget, kept_dataset, kept_datasets, pack, take_in
from labd.errors import FileError, LabdError, NotFound, StoreError


@pytest.fixture
def dataset(tmp_path: Path) -> Dataset:
    folder = tmp_path / "words"
    (folder / "a").mkdir(parents=True)
    (folder / "a/0.bin").write_bytes(bytes(8))
    (folder / "1.bin").write_bytes(bytes(range(8)))
    (folder / "y_labels.csv").write_text("a/0.bin,3,0\n1.bin,3,2\n")
    return read_dataset(folder)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    folder = tmp_path / "store"
    folder.mkdir()
    return folder


def left(store: Path) -> list[str]:
    return sorted(str(path.relative_to(store)) for path in store.rglob("*") if path.is_file())


def test_what_was_packed_is_what_is_kept(dataset: Dataset, store: Path, tmp_path: Path) -> None:
    pack(dataset, tmp_path / "out.zip")
    kept = take_in(tmp_path / "out.zip", store)
    assert (kept.name, kept.samples, kept.classes, kept.input_size) == ("words", 2, 3, 8)
    found = kept_dataset(store, kept.id)
    assert (found.sha256, found.name, found.samples) == (dataset.sha256, "words", dataset.samples)
    assert take_in(tmp_path / "out.zip", store) == kept
    assert kept_datasets(store) == [kept]
    assert all(name.startswith(f"{FOLDER}/{kept.id}/words/") for name in left(store))


def test_the_folder_may_be_without_labels(store: Path, tmp_path: Path) -> None:
    (tmp_path / "bare").mkdir()
    (tmp_path / "bare/0.bin").write_bytes(b"abc")
    pack(read_dataset(tmp_path / "bare"), tmp_path / "out.zip")
    assert take_in(tmp_path / "out.zip", store).classes is None


def test_what_is_forgotten_is_gone(dataset: Dataset, store: Path, tmp_path: Path) -> None:
    pack(dataset, tmp_path / "out.zip")
    kept = take_in(tmp_path / "out.zip", store)
    forget(store, kept.id)
    assert left(store) == []
    for act in (forget, kept_dataset):
        with pytest.raises(NotFound, match=kept.id):
            act(store, kept.id)


def test_what_was_changed_by_hand_is_not_that_data_set_any_more(dataset: Dataset, store: Path, tmp_path: Path) -> None:
    pack(dataset, tmp_path / "out.zip")
    kept = take_in(tmp_path / "out.zip", store)
    (store / FOLDER / kept.id / "words/1.bin").write_bytes(bytes(range(1, 9)))
    with pytest.raises(FileError, match="send it again"):
        kept_dataset(store, kept.id)


@pytest.mark.parametrize(
    ("members", "said"),
    [
        ({}, "holds no file"),
        ({"0.bin": b"x"}, "one folder"),
        ({"../0.bin": b"x"}, "one folder"),
        ({"a/../../0.bin": b"x"}, "one folder"),
        ({"/etc/0.bin": b"x"}, "one folder"),
        ({"a\\..\\0.bin": b"x"}, "one folder"),
        ({"a/0.bin": b"x", "b/0.bin": b"x"}, "one folder"),
        ({".a/0.bin": b"x"}, "letters, digits"),
    ],
)
def test_a_zip_of_another_form_is_refused(members: dict[str, bytes], said: str, store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    with pytest.raises(FileError, match=said):
        take_in(tmp_path / "in.zip", store)
    assert left(tmp_path) == ["in.zip"]


def test_a_wrong_label_is_told_by_its_place_in_the_zip(store: Path, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "in.zip", "w") as archive:
        archive.writestr("words/0.bin", b"x")
        archive.writestr("words/y_labels.csv", "0.bin,3,3\n")
    with pytest.raises(FileError) as raised:
        take_in(tmp_path / "in.zip", store)
    assert str(raised.value) == "words/y_labels.csv: line 1: class: expected 0 to 2 (3 classes), got 3"
    assert raised.value.problems == (str(raised.value),)
    assert left(store) == []


def test_what_is_no_sample_is_not_kept(dataset: Dataset, store: Path, tmp_path: Path) -> None:
    pack(dataset, tmp_path / "in.zip")
    with zipfile.ZipFile(tmp_path / "in.zip", "a") as archive:
        archive.writestr("words/nets/build.py", "raise SystemExit")
    with pytest.raises(FileError, match=r"nets/build\.py"):
        take_in(tmp_path / "in.zip", store)
    assert left(store) == []


def test_without_room_nothing_is_unpacked(dataset: Dataset, store: Path, tmp_path: Path) -> None:
    def room(size: int) -> None:
        raise StoreError(f"no room for {size}")

    pack(dataset, tmp_path / "out.zip")
    with pytest.raises(StoreError, match="no room for 38"):
        take_in(tmp_path / "out.zip", store, room=room)
    assert left(store) == []


@given(cut=st.integers(0, 400), changed=st.integers(0, 255))
def test_damage_is_an_error_of_labd_and_leaves_nothing(cut: int, changed: int, tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    (folder / "words").mkdir()
    (folder / "words/0.bin").write_bytes(bytes(range(100)))
    pack(read_dataset(folder / "words"), folder / "out.zip")
    data = bytearray((folder / "out.zip").read_bytes())
    at = cut % len(data)
    damaged = bytes(data[:at]) if changed % 2 else bytes(data[:at]) + bytes([data[at] ^ changed]) + bytes(data[at + 1 :])
    (folder / "in.zip").write_bytes(damaged)
    (folder / "store").mkdir()
    try:
        kept = take_in(folder / "in.zip", folder / "store")
    except LabdError:
        assert left(folder / "store") == []
    else:
        assert kept.samples == 1
