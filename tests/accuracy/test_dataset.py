"""Data sets as MLPerf Tiny writes them: what is read, and every mistake by file and line."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labd.accuracy.dataset import Window, read_dataset, read_inputs
from labd.errors import FileError


def written(folder: Path, labels: str | None, **files: bytes) -> Path:
    for name, data in files.items():
        (folder / f"{name}.bin").write_bytes(data)
    if labels is not None:
        (folder / "y_labels.csv").write_text(labels)
    return folder


def test_rows_are_samples_in_their_order(tmp_path: Path) -> None:
    read = read_dataset(written(tmp_path, "b.bin,12,7\na.bin, 12, 0\n\n", a=bytes(4), b=b"abcd"))
    assert [(one.file, one.line, one.label) for one in read.samples] == [("b.bin", 1, 7), ("a.bin", 2, 0)]
    assert (read.classes, read.input_size, read.name) == (12, 4, tmp_path.name)
    assert [read_inputs(read, one) for one in read.samples] == [[b"abcd"], [bytes(4)]]


def test_the_label_file_may_be_named_and_may_have_a_heading(tmp_path: Path) -> None:
    written(tmp_path, None, a=bytes(4))
    (tmp_path / "truth.csv").write_text("\ufefffile,classes,class\na.bin,2,1\n", encoding="utf-8")
    assert [one.label for one in read_dataset(tmp_path / "truth.csv").samples] == [1]


def test_a_window_slides_over_the_file(tmp_path: Path) -> None:
    read = read_dataset(written(tmp_path, "a.bin,2,1,4,2\n", a=b"abcdefghi"))
    assert read.samples[0].window == Window(4, 2)
    assert read.input_size == 4
    assert read_inputs(read, read.samples[0]) == [b"abcd", b"cdef", b"efgh"]


def test_a_bare_folder_has_inputs_and_no_labels(tmp_path: Path) -> None:
    read = read_dataset(written(tmp_path, None, b=bytes(3), a=bytes(3)))
    assert [(one.file, one.label) for one in read.samples] == [("a.bin", None), ("b.bin", None)]
    assert read.classes is None


@pytest.mark.parametrize(
    ("labels", "problem"),
    [
        ("a.bin,12\n", r"line 1: expected 3 or 5 fields \(file,classes,class.*\), got 2"),
        ("a.bin,12,3,4\n", "line 1: expected 3 or 5 fields"),
        ("a.bin,12,12\n", r"line 1: class: expected 0 to 11 \(12 classes\), got 12"),
        ("a.bin,1,0\n", "line 1: classes: expected a whole number, at least 2, got '1'"),
        ("a.bin,12,x\n", "line 1: class: expected a whole number, at least 0, got 'x'"),
        ("a.bin,2,1,4,0\n", "line 1: stride: expected a whole number, at least 1, got '0'"),
        ("a.bin,2,1,9,1\n", "line 1: a.bin: bytes_to_send: expected at most the file's 4 bytes, got 9"),
        (",12,3\n", "line 1: file: expected the name of a file"),
        ("../a.bin,12,3\n", "line 1: file: expected a file in the data set's folder"),
        ("a.bin,12,3\nc.bin,12,1\n", "line 2: c.bin: there is no such file"),
        ("a.bin,12,3\nempty.bin,12,1\n", "line 2: empty.bin: is empty"),
        ("a.bin,12,3\nb.bin,12,1\n", "line 2: b.bin: an input of 5 bytes, a.bin has one of 4"),
        ("a.bin,12,3\na.bin,12,1\n", "line 2: a.bin: is on line 1 already"),
        ("a.bin,12,3\nd.bin,10,1\n", "line 2: d.bin: classes: expected 12 as before, got 10"),
        ("\n\n", "no sample is in it"),
    ],
)
def test_a_mistake_is_named_by_file_and_line(tmp_path: Path, labels: str, problem: str) -> None:
    written(tmp_path, labels, a=bytes(4), b=bytes(5), d=bytes(4), empty=b"")
    with pytest.raises(FileError, match=problem) as caught:
        read_dataset(tmp_path)
    assert str(caught.value).startswith(str(tmp_path / "y_labels.csv"))


def test_every_mistake_is_told_at_once(tmp_path: Path) -> None:
    with pytest.raises(FileError) as caught:
        read_dataset(written(tmp_path, "a.bin,12,99\nx.bin,12,1\nb.bin,12,1\n", a=b"1", b=b"1"))
    assert [text.removeprefix(f"{tmp_path}/y_labels.csv: ")[:6] for text in caught.value.problems] == ["line 1", "line 2"]


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_what_is_no_data_set_is_named(tmp_path: Path, name: str) -> None:
    with pytest.raises(FileError, match="data set"):
        read_dataset(tmp_path / name)


def test_a_file_that_changed_after_it_was_read_is_no_sample(tmp_path: Path) -> None:
    read = read_dataset(written(tmp_path, "a.bin,2,1\n", a=b"abcd"))
    (tmp_path / "a.bin").write_bytes(b"abce")
    with pytest.raises(FileError, match=r"line 1: a\.bin is not what it was"):
        read_inputs(read, read.samples[0])


def test_another_label_or_content_is_another_data_set(tmp_path: Path) -> None:
    digests = set()
    for labels, content in [("a.bin,2,1\n", b"abcd"), ("a.bin,2,0\n", b"abcd"), ("a.bin,2,1\n", b"abce"), ("a.bin,2,1,4,1\n", b"abcd")]:
        digests.add(read_dataset(written(tmp_path, labels, a=content)).sha256)
    assert len(digests) == 4


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.one_of(st.binary(max_size=200), st.text(alphabet="ab.in,012\n\"' -\t", max_size=60).map(str.encode)))
def test_no_label_file_leads_to_anything_but_samples_or_a_named_mistake(tmp_path: Path, raw: bytes) -> None:
    written(tmp_path, None, a=bytes(4))
    (tmp_path / "y_labels.csv").write_bytes(raw)
    found: set[str] = set()
    with suppress(FileError):
        found = {one.file for one in read_dataset(tmp_path).samples}
    assert found <= {"a.bin"}
