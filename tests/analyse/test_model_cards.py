"""A model card that names a file is told by the file, and refused where both differ."""

from __future__ import annotations

from pathlib import Path

import pytest

from labd import bench_file
from labd.analyse import declared
from labd.analyse.model_cards import stored_card, with_absolute_file
from labd.bench_file.cards import with_cards
from labd.cards.disclosure import untold
from labd.cards.read import card_of
from labd.config.document import read_source
from labd.errors import FileError
from labd.records import Provenance
from labd.resources import path as resource
from tests.models.architectures import ds_cnn

CARD = 'schema = 1\ncard = "model"\nname = "kws"\nfamily = "dnn"\nfile = "kws.onnx"\n'
MACS, PARAMETERS = 2_656_768, 22_604


@pytest.fixture
def card(tmp_path: Path) -> Path:
    (tmp_path / "kws.onnx").write_bytes(ds_cnn())
    (tmp_path / "model.toml").write_text(CARD, encoding="utf-8")
    return tmp_path / "model.toml"


def test_what_a_card_leaves_out_its_file_tells(card: Path) -> None:
    found = stored_card(card_of(read_source(card)))
    assert (found["macs"], found["parameters"]) == (MACS, PARAMETERS)
    assert found["weight_sparsity"]["unit"] == "1"
    assert "Conv" in found["structure"]
    assert (found["of_file"]["file"], len(found["of_file"]["sha256"])) == ("kws.onnx", 64)
    missing = {key for one in untold(found) for key in one.missing}
    assert not {"macs", "parameters", "structure", "weight_bits", "weight_sparsity", "largest_activation"} & missing


def test_a_run_s_figures_of_the_file_are_computed_and_say_which_file(card: Path) -> None:
    cards = {"model": {"dnn": stored_card(card_of(read_source(card)))}}
    facts = declared.models(cards)["dnn"]
    assert facts.macs is not None
    assert (facts.macs.value, facts.macs.provenance, facts.macs.source) == (MACS, Provenance.COMPUTED, "kws.onnx")
    records = {r.id: r for r in declared.records(cards)}
    assert {"model.layers", "model.weight_bits", "model.max_activation", "model.ops"} <= records.keys()
    assert {(r.provenance, r.method) for r in records.values()} == {(Provenance.COMPUTED, "kws.onnx")}
    assert records["model.ops"].value == 2 * MACS


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ("macs = 7\n", r"model\.toml: macs: 7 is typed, .*kws\.onnx has 2656768"),
        ('largest_activation = "3 B"\n', r"largest_activation: 3 is typed"),
    ],
)
def test_a_figure_that_is_another_than_the_file_s_is_refused(card: Path, more: str, says: str) -> None:
    card.write_text(CARD + more, encoding="utf-8")
    with pytest.raises(FileError, match=says):
        stored_card(card_of(read_source(card)))


def test_a_file_that_is_not_there_is_named_with_the_card_and_its_key(card: Path) -> None:
    (card.parent / "kws.onnx").unlink()
    with pytest.raises(FileError, match=r"model\.toml: file: .*kws\.onnx: no such file"):
        stored_card(card_of(read_source(card)))


def plan(card: Path) -> Path:
    text = (resource("fixtures") / "plans/demo.toml").read_text("utf-8")
    folder = resource("fixtures") / "cards/demo"
    text = text.replace('model.dnn = "../cards/demo/model-dnn.toml"', f'model.dnn = "{card}"').replace('"../cards/demo', f'"{folder}')
    (card.parent / "plan.toml").write_text(text, encoding="utf-8")
    return card.parent / "plan.toml"


def test_a_plan_stores_them_with_its_cards_and_sends_the_file_s_place(card: Path) -> None:
    at = plan(card)
    kept = bench_file.load_plan(at).stored_cards["model"]["dnn"]
    assert kept["macs"] == MACS
    sent = with_cards(at.read_text("utf-8"), at)
    again = bench_file.plan_of(sent, Path("plan")).stored_cards["model"]["dnn"]
    assert again["of_file"] == kept["of_file"]


def test_a_card_that_was_sent_names_its_file_by_an_absolute_path(card: Path) -> None:
    at = plan(card)
    sent = with_cards(at.read_text("utf-8"), at).replace(str(card.parent.resolve() / "kws.onnx"), "kws.onnx")
    with pytest.raises(
        FileError, match=r"file: a card that was sent to a daemon names its model file by an absolute path, got 'kws\.onnx'"
    ):
        bench_file.plan_of(sent, Path("plan"))
    assert with_absolute_file("no card [", card) == "no card ["
    assert with_absolute_file('file = "/a/b.onnx"\n', card) == 'file = "/a/b.onnx"\n'
