"""The order in which a search sends its data set."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from pathlib import Path

from labd.accuracy.dataset import Dataset, Sample
from labd.search.order import shuffled

CLASSES = [0] * 60 + [1] * 30 + [2] * 10  # as a label file has them that is sorted by class


def dataset(labels: list[int] | list[None], *, sha256: str = "ab") -> Dataset:
    samples = tuple(Sample(f"{k:03d}.bin", k + 1, 3, label, None, f"{k}") for k, label in enumerate(labels))
    return Dataset("sorted", Path("sorted"), None, 3, 250, samples, sha256)


def test_any_first_part_has_its_share_of_each_class() -> None:
    sent = shuffled(dataset(CLASSES), seed=1).samples
    for part in (20, 50, 77):
        found = Counter(one.label for one in sent[:part])
        for label, share in ((0, 0.6), (1, 0.3), (2, 0.1)):
            assert abs(found[label] - share * part) <= 1.5, (part, found)


def test_every_sample_is_sent_once_and_in_the_same_order_the_next_time() -> None:
    whole = dataset(CLASSES)
    sent = shuffled(whole, seed=1)
    assert sorted(one.file for one in sent.samples) == [one.file for one in whole.samples]
    assert sent == shuffled(whole, seed=1)
    assert sent.sha256 == whole.sha256


def test_within_a_class_chance_decides_and_another_seed_or_data_set_decides_otherwise() -> None:
    whole = dataset(CLASSES)
    first = [one.file for one in shuffled(whole, seed=1).samples if one.label == 0]
    assert first != sorted(first)
    for other in (shuffled(whole, seed=2), shuffled(replace(whole, sha256="cd"), seed=1)):
        assert [one.file for one in other.samples if one.label == 0] != first


def test_without_labels_it_is_one_class() -> None:
    sent = [one.file for one in shuffled(dataset([None] * 40), seed=1).samples]
    assert sent != sorted(sent)
    assert len(set(sent)) == 40
