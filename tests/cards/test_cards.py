"""Cards: what is read, what is refused and how, what they tell of what the paper asks for."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labd import bench_file, resources
from labd.bench_file.cards import with_cards
from labd.bench_file.run_facts import new_run
from labd.cards.disclosure import ASKED, told, untold
from labd.cards.kinds import KINDS, ModelCard
from labd.cards.read import card_from, stored
from labd.cards.template import schema, template
from labd.cli.main import run_command
from labd.errors import FileError

FIXTURES = resources.path("fixtures")
DEMO = (
    *("dataset.toml", "hardware-virtual-m4.toml", "model-dnn.toml", "model-snn.toml"),
    *("setup.toml", "task.toml", "toolchain.toml", "use-case.toml"),
)
ROOT = Path(__file__).parents[2]
MODEL = 'schema = 1\ncard = "model"\nname = "net"\n'


def demo(name: str) -> Path:
    return FIXTURES / "cards/demo" / name


def filled(kind: str) -> str:
    """The template with every key that it explains written out."""
    text = re.sub(r"^# (\[\[given\]\]|[a-z_0-9]+ = .*)$", r"\1", template(kind), flags=re.MULTILINE).replace("unknown = []\n", "")
    for key, value in {"name": "word", "id": "latency", "unit": "s", "metric": "f1"}.items():
        text = re.sub(rf'^{key} = ".*"$', f'{key} = "{value}"', text, flags=re.MULTILINE)
    return text


@pytest.mark.parametrize("name", DEMO)
def test_every_demo_card_is_valid_and_follows_the_published_schema(name: str) -> None:
    text = demo(name).read_text("utf-8")
    card = card_from(text, name)
    jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(text))
    assert json.loads(json.dumps(stored(card), allow_nan=False))["name"] == card.name
    assert untold(stored(card)) == []


def test_the_demo_discloses_its_whole_deployment_pipeline() -> None:
    bench = bench_file.load_bench(FIXTURES / "benches/demo.toml")
    run = new_run(bench, bench_file.load_plan(FIXTURES / "plans/demo.toml"), [])
    assert [one.where for one in told(run.cards, models=("dnn",), known={}) if one.missing and not one.asked.from_run] == []
    assert {kind: run.cards[kind]["name"] for kind in ("task", "use_case", "hardware")} == {
        "task": "keyword spotting",
        "use_case": "keyword spotting, 12 classes",
        "hardware": bench.board.name,
    }


def header(name: str, struct: str) -> dict[str, int]:
    """Bytes of each array of a structure of the firmware, by the sizes its header writes."""
    text = (ROOT / "firmware/core" / name).read_text("utf-8") + (ROOT / "firmware/core/labd_task.h").read_text("utf-8")
    defined = {key: value.split("/*")[0].strip() for key, value in re.findall(r"#define (\w+) (.+)", text)}

    def number(words: str) -> int:
        while names := re.findall(r"[A-Z][A-Z_0-9]+", words):
            for one in names:
                words = words.replace(one, defined[one])
        return int(eval(re.sub(r"(\d)u", r"\1", words)))

    (body,) = re.findall(rf"struct {struct} \{{(.*?)\}};", text, re.DOTALL)
    width = {"int8_t": 1, "uint8_t": 1, "int16_t": 2, "int32_t": 4}
    return {field: width[kind] * number(size) for kind, field, size in re.findall(r"(\w+) (\w+)\[([^\]]+)\];", body)}


def test_the_model_cards_of_the_demo_are_those_of_the_firmware() -> None:
    weights, biases = header("labd_dnn.h", "labd_dnn_weights"), header("labd_dnn.h", "labd_dnn_biases")
    scratch = header("labd_dnn.h", "labd_dnn_scratch")
    dnn = card_from(demo("model-dnn.toml").read_text("utf-8"), "dnn")
    assert isinstance(dnn, ModelCard)
    assert dnn.parameters == sum(weights.values()) + sum(biases.values()) // 4
    assert dnn.largest_activation == scratch["ping"] == scratch["pong"]
    assert dnn.footprint == sum(weights.values()) + sum(biases.values()) + sum(scratch.values())
    assert f"{dnn.macs} MAC an inference" in (ROOT / "firmware/core/labd_dnn.h").read_text("utf-8")
    snn = card_from(demo("model-snn.toml").read_text("utf-8"), "snn")
    assert isinstance(snn, ModelCard)
    potentials = header("labd_snn.h", "labd_snn_scratch")
    assert snn.parameters == sum(header("labd_snn.h", "labd_snn_parameters").values())
    assert snn.neurons == sum(potentials[layer] // 2 for layer in ("first", "second", "third"))
    assert snn.footprint == snn.parameters + sum(potentials.values())
    assert snn.largest_activation == max(potentials.values())


@pytest.mark.parametrize("kind", KINDS)
def test_a_template_is_a_card_and_explains_keys_that_tell_all_that_is_asked(kind: str) -> None:
    with pytest.raises(FileError, match=re.escape('new.toml: name: still says "...", as the template does')):
        card_from(template(kind), "new.toml")
    empty = card_from(template(kind).replace('"..."', '"a name"'), "new.toml")
    assert empty.card == kind
    assert len(untold(stored(empty))) == sum(asked.card == kind and not asked.from_run for asked in ASKED)
    text = filled(kind)
    full = (
        re.sub(r'= ""$', '= "word"', text, flags=re.MULTILINE)
        .replace("= []", '= ["word"]')
        .replace("= 0\n", "= 1\n")
        .replace("= 0.0\n", "= 1.0\n")
    )
    card = card_from(full, "full.toml")
    jsonschema.Draft202012Validator(schema()).validate(tomllib.loads(full))
    assert untold(stored(card)) == []


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('schema = 1\nname = "a"\n', 'a.toml: card: this key is required: the kind of card, one of "task", "dataset"'),
        ('schema = 1\ncard = "modle"\nname = "a"\n', 'a.toml: card: expected one of "task", .* got "modle"; did you mean "model"?'),
        ('schema = 1\ncard = 3\nname = "a"\n', "a.toml: card: expected one of .* got 3"),
        (MODEL + "paramters = 3\n", "a.toml: paramters: no such key; did you mean parameters?"),
        (MODEL + "parameters = 0\n", "a.toml: parameters: expected 1 or more, got 0"),
        (MODEL + "macs = 2.5\n", "a.toml: macs: expected a whole number"),
        (MODEL + 'weight_sparsity = "120 %"\n', "a.toml: weight_sparsity: expected a fraction .* at most 100 %"),
        (MODEL + 'footprint = "7 kg"\n', 'a.toml: footprint: expected a size such as "20 GB"'),
        (MODEL + 'family = "rnn"\n', 'a.toml: family: expected one of "dnn", "snn", "other", got "rnn"'),
        (MODEL + 'unknown = ["mac"]\n', "a.toml: unknown[0]: this card has no key 'mac'; did you mean \"macs\"?"),
        (MODEL + 'macs = 3\nunknown = ["macs"]\n', "a.toml: unknown[0]: macs is said to be unknown and is given"),
        (MODEL + '[[given]]\nid = "latency"\nunit = "s"\nsource = "p. 3"\n', "a.toml: given[0].value: one of value, least and most"),
        (MODEL + '[[given]]\nid = "x"\nvalue = "3"\nunit = "s"\nsource = "p"\n', "given[0].value: expected a number such as 2.5"),
        (MODEL + '[[given]]\nid = "x"\nleast = 3\nmost = 2\nunit = "s"\nsource = "p"\n', "given[0].least: expected at most 2"),
        (
            MODEL + '[[given]]\nid = "latncy"\nvalue = 3\nunit = "s"\nsource = "p"\n',
            "given[0].id: no KPI has the id 'latncy' .*; did you mean \"latency\"?",
        ),
        (
            MODEL + '[[given]]\nid = "latency.p95"\nvalue = 3\nunit = "J"\nsource = "p"\n',
            "given[0].unit: expected the UCUM code of latency.p95, s, or one with another prefix, got 'J'",
        ),
        ('schema = 1\ncard = "task"\nname = "a"\nmetric = "acuracy"\n', "a.toml: metric: .* got 'acuracy'; did you mean \"accuracy\"?"),
        (
            'schema = 1\ncard = "use_case"\nname = "a"\n[targets]\naccuracy_metric = "wer"\n',
            "a.toml: targets.accuracy_metric: expected a task KPI, `objective` for one of your own, got 'wer'",
        ),
        ("card = [", "a.toml: is not TOML"),
    ],
)
def test_a_wrong_card_names_file_key_value_and_what_would_be_right(text: str, says: str) -> None:
    with pytest.raises(FileError) as caught:
        card_from(text, "a.toml")
    assert re.search(says.replace("[0]", r"\[0\]").replace("?", r"\?").replace("(", r"\("), str(caught.value))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_a_card_or_is_refused_by_name(text: str) -> None:
    with pytest.raises(FileError, match=r"^a\.toml"):
        card_from(text, "a.toml")


@settings(deadline=None)
@given(
    macs=st.none() | st.integers(0, 2**53),
    synops=st.none() | st.floats(0, 1e15),
    bits=st.sampled_from(["", "8", "mixed 4/8"]),
    sparsity=st.none() | st.integers(0, 100),
)
def test_a_card_that_was_stored_says_what_its_file_says(macs: int | None, synops: float | None, bits: str, sparsity: int | None) -> None:
    lines = [f"macs = {macs}"] if macs is not None else []
    lines += [f"synops = {synops!r}"] if synops is not None else []
    lines += [f'weight_sparsity = "{sparsity} %"'] if sparsity is not None else []
    found = stored(card_from(MODEL + "\n".join([*lines, f'weight_bits = "{bits}"']), "a"))
    assert (found["macs"], found["synops"], found["weight_bits"]) == (macs, synops, bits)
    assert found["weight_sparsity"] == (None if sparsity is None else {"value": pytest.approx(sparsity / 100), "unit": "1"})


def test_what_is_not_told_is_named_with_its_card_key_and_reason() -> None:
    found = {one.asked.item: one for one in told({}, models=("dnn",), known={("hardware", "origin"): "virtual"})}
    assert found["Process node"].missing == ("process_node",)
    assert found["Process node"].where == "hardware card: process_node"
    assert found["Process node"].asked.why
    assert not found["Silicon measured, or simulated figures"].missing
    assert len([one for one in found.values() if one.missing]) == len(ASKED) - 1


def test_operations_are_asked_of_one_family_and_spikes_of_the_other() -> None:
    def items(family: str) -> set[str]:
        card = stored(card_from(MODEL + f'family = "{family}"\n', "a"))
        return {one.asked.item for one in told({"model": {"net": card}}, models=("net",), known={})}

    spikes, macs = "Synaptic operations and spikes per inference", "Operations per inference (MAC; 1 MAC = 2 operations)"
    assert {spikes, macs} & items("dnn") == {macs}
    assert {spikes, macs} & items("snn") == {spikes}
    assert {spikes, macs} & items("other") == {spikes, macs}


def test_several_models_are_told_one_by_one() -> None:
    card = stored(card_from(MODEL + "parameters = 3\n", "a"))
    found = [one for one in told({"model": {"a": card}}, models=("a", "b"), known={}) if one.asked.item == "Parameters"]
    assert [(one.model, one.missing) for one in found] == [("a", ()), ("b", ("parameters",))]
    assert found[1].where == "model card of b: parameters"


@pytest.mark.parametrize(
    ("cards", "says"),
    [
        ('task = "nowhere.toml"', r"plan\.toml: cards\.task: there is no file .*nowhere\.toml"),
        ('task = "."', r"plan\.toml: cards\.task: expected a card, a file, got the folder "),
        ('task = "setup.toml"', r'cards\.task: expected a card of the kind "task", .*setup\.toml is one of the kind "setup"'),
        ('model.snn = "model-snn.toml"', r"cards\.model\.snn: this plan has no model 'snn'"),
        ('tsak = "task.toml"', r"cards\.tsak: no such key; did you mean task\?"),
    ],
)
def test_a_plan_that_names_a_wrong_card_is_refused(cards: str, says: str, tmp_path: Path) -> None:
    for name in DEMO:
        (tmp_path / name).write_bytes(demo(name).read_bytes())
    text = (FIXTURES / "plans/demo.toml").read_text("utf-8")
    (tmp_path / "plan.toml").write_text(re.sub(r"\[cards\].*?\n\n", f"[cards]\n{cards}\n\n", text, flags=re.DOTALL), encoding="utf-8")
    with pytest.raises(FileError, match=says):
        bench_file.load_plan(tmp_path / "plan.toml")


def test_a_plan_whose_text_alone_was_sent_names_cards_by_absolute_paths() -> None:
    text = (FIXTURES / "plans/demo.toml").read_text("utf-8")
    with pytest.raises(FileError, match=r"cards\.task: a file that was sent to a daemon names cards by absolute paths"):
        bench_file.plan_of(text, Path("plan"))
    absolute = text.replace('"../cards/demo', f'"{FIXTURES / "cards/demo"}')
    assert set(bench_file.plan_of(absolute, Path("plan")).stored_cards) == {"task", "dataset", "use_case", "toolchain", "setup", "model"}


def test_a_card_is_written_to_fill_in_and_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    new = tmp_path / "cards/of/hw.toml"
    assert run_command(["cards", "new", "hardware", "--out", str(new)]) == 0
    assert run_command(["cards", "new", "hardware", "--out", str(new)]) == 2
    assert "exists already" in capsys.readouterr().err
    new.write_text(new.read_text("utf-8").replace('"..."', '"a board"'), encoding="utf-8")
    assert run_command(["cards", "check", str(new), str(demo("task.toml"))]) == 0
    said = capsys.readouterr().out
    assert f"ok   {new}: hardware card of a board, 12 things are not told" in said
    assert "     process_node: Process node; it sets active power, leakage and cost [1.3.1]" in said
    assert f"ok   {demo('task.toml')}: task card of keyword spotting\n" in said
    new.write_text(new.read_text("utf-8").replace('card = "hardware"', 'card = "hard"'), encoding="utf-8")
    assert run_command(["cards", "check", str(new), "--json"]) == 2
    found: dict[str, Any] = json.loads(capsys.readouterr().out)
    assert found["cards"] == []
    assert "expected one of" in found["problems"][0]


def test_a_plan_is_sent_with_the_texts_of_its_cards_in_place_of_their_names() -> None:
    file = FIXTURES / "plans/demo.toml"
    text = file.read_text("utf-8")
    sent = with_cards(text, file)
    assert bench_file.plan_of(sent, Path("plan")).stored_cards == bench_file.load_plan(file).stored_cards
    assert with_cards(sent, Path("elsewhere/plan.toml")) == sent
    assert with_cards("no plan", file) == "no plan"


def test_a_card_inside_a_plan_is_refused_by_the_plans_key(tmp_path: Path) -> None:
    file = FIXTURES / "plans/demo.toml"
    sent = with_cards(file.read_text("utf-8"), file)
    with pytest.raises(FileError, match=r"plan: cards\.task.* metrik: no such key; did you mean metric\?"):
        bench_file.plan_of(sent.replace("\\nmetric", "\\nmetrik"), Path("plan"))
    with pytest.raises(FileError, match=r'cards\.task: expected a card of the kind "task", this is one of the kind "setup"'):
        bench_file.plan_of(
            sent.replace('card = \\"task\\"', 'card = \\"setup\\"')
            .replace("objective", "place")
            .replace("\\nmetric", "\\nrails")
            .replace("\\ninput", "\\nmodifications")
            .replace("\\noutput", "\\nnotes"),
            Path("plan"),
        )
    (tmp_path / "plan.toml").write_text(file.read_text("utf-8"), encoding="utf-8")
    with pytest.raises(FileError, match=r"cards\.task: there is no file .*task\.toml"):
        with_cards(file.read_text("utf-8"), tmp_path / "plan.toml")


def test_a_run_that_is_gone_on_with_keeps_its_cards_whatever_became_of_their_files() -> None:
    text = (FIXTURES / "plans/demo.toml").read_text("utf-8")
    kept = bench_file.load_plan(FIXTURES / "plans/demo.toml").stored_cards
    assert bench_file.plan_of(text, Path("job 7 (demo)"), cards=kept).stored_cards == kept
