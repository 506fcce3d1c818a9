"""Fairness rules about what is compared: the use case, the data, the net, the chip and how one came onto the other. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

from labd.cards.directions import ENERGY, PER_OPERATION, is_any
from labd.cards.side import Found, Scored, Severity, Side
from labd.kpi.targets import Answer
from labd.records import Provenance

LEAST_SAMPLES = 100  # below it the interval of an accuracy of 90 % is wider than 12 points (Wilson)
SAME_USE_CASE = ("name", "version", "targets", "events")
SAME_DATA = ("name", "version", "sha256", "split", "samples", "preprocessing", "preprocessing_at", "preprocessing_counted")
TASK = ("task",)
PEAKS = ("hardware.peak_throughput", "throughput", "energy_efficiency", "hardware.power")
SPEEDS = ("throughput", "energy_efficiency", "energy_per_op", "area_efficiency", "utilisation")
Says = Iterator[Found]
_PREFIXES = (("G", 1e9), ("M", 1e6), ("k", 1e3))  # of a clock
_TOLD = frozenset({Provenance.DECLARED, Provenance.ESTIMATED})


def same_use_case(sides: Sequence[Side]) -> Says:
    """By its card, else by the words of the plan."""
    for a, b in combinations(sides, 2):
        if a.card("use_case") and b.card("use_case"):
            yield from _unlike(a, b, "use_case", SAME_USE_CASE)
        elif a.use_case and b.use_case:
            if a.use_case != b.use_case:
                yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "use case", a.use_case, b.use_case))
        else:
            yield Found(Severity.FLAG, (a.name, b.name), f"the use case is not told by {_who((a, b), lambda s: s.use_case)}")


def same_data(sides: Sequence[Side]) -> Says:
    """The samples, what is done to them where, and what an inference is given."""
    for a, b in combinations(sides, 2):
        yield from _unlike(a, b, "dataset", SAME_DATA)
        if a.activity is not None and b.activity is not None and a.activity != b.activity:
            shown = (f"{side.activity:.3g} of the input changes from frame to frame" for side in (a, b))
            yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "input", *shown))
        if a.input and b.input and a.input != b.input:
            yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "input", a.input, b.input))
        if (a.activity is None) != (b.activity is None) and (a.input or b.input):
            shown = (side.input or f"frames of which {side.activity:.3g} changes" for side in (a, b))
            yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "input", *shown))
        if a.scored is not None and b.scored is not None:
            yield from _scored_alike(a, b, a.scored, b.scored)


def _scored_alike(a: Side, b: Side, first: Scored, second: Scored) -> Says:
    """Whatever the cards say, the boards have answered these samples."""
    if first.sha256 and second.sha256 and first.sha256 != second.sha256:
        shown = (f"{one.dataset} ({one.sha256[:8]})".lstrip() for one in (first, second))
        yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "data set of the accuracy run", *shown), TASK)
    if first.samples != second.samples:
        yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "samples of the accuracy run", first.samples, second.samples), TASK)


def accuracy_on_the_device(sides: Sequence[Side]) -> Says:
    """A task KPI counts where the board itself answered often enough."""
    for side in sides:
        task = side.of("task")
        few = [one for one in task if one.record.provenance is Provenance.MEASURED and one.record.n < LEAST_SAMPLES]
        if few:
            text = f"{counted(few[0].record.n, 'sample', 'samples')} on the board, {LEAST_SAMPLES} are the least"
            yield Found(Severity.REFUSE, (side.name,), text, tuple(dict.fromkeys(one.record.id for one in few)))
        told = [one for one in task if one.record.provenance in _TOLD]
        if told:
            text = "accuracy is given by a card, of the training side perhaps; it was not measured on the board"
            yield Found(Severity.FLAG, (side.name,), text, tuple(dict.fromkeys(one.record.id for one in told)), ranks=False)
        if not task:
            text = f"how well {side.model} does the task on this board was not measured (`labd accuracy`): nothing may be free of charge"
            yield Found(Severity.FLAG, (side.name,), text)


def meets_the_targets(sides: Sequence[Side]) -> Says:
    """Met from 95 % chance on, missed from 5 % down. A net that misses the accuracy does not do the task, and is no contender."""
    for side in sides:
        for one in side.targets:
            if one.answer is Answer.MISSED:
                missed = one.target == "accuracy"
                yield Found(Severity.REFUSE if missed else Severity.FLAG, (side.name,), f"misses its target: {one.text}")
            elif one.answer is not Answer.MET:
                yield Found(Severity.FLAG, (side.name,), f"undecided: {one.text}")


def pipeline_told(sides: Sequence[Side]) -> Says:
    """Field by field; the hardware card is another rule's."""
    for side in sides:
        items = [line for kind, lines in side.untold.items() if kind != "hardware" for line in lines]
        if not side.firmware_sha256:
            items.append("SHA-256 of the firmware (run)")
        if items:
            yield Found(Severity.FLAG, (side.name,), f"{counted(len(items), 'thing is', 'things are')} not told: {'; '.join(items)}")


def hardware_told(sides: Sequence[Side]) -> Says:
    """Complete, and with the same things inside the boundary."""
    for side in sides:
        if items := side.untold.get("hardware"):
            yield Found(Severity.FLAG, (side.name,), f"{counted(len(items), 'thing is', 'things are')} not told: {'; '.join(items)}")
    for a, b in combinations(sides, 2):
        for kind, key, what in (("hardware", "boundary", "boundary"), ("setup", "rails", "rails measured")):
            first, second = a.said(kind, key), b.said(kind, key)
            if first and second and plain(first) != plain(second):
                yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, what, first, second), ENERGY)
            elif bool(first) != bool(second):
                yield Found(Severity.FLAG, (a.name, b.name), f"{what}: not told by {b.name if first else a.name}", ENERGY)
        inside = [side.conditions.regulator for side in (a, b)]
        if plain(inside[0]) != plain(inside[1]):
            text = _said(a, b, "regulator", *(one or "not told" for one in inside))
            yield Found(Severity.FLAG, (a.name, b.name), f"{text}; what it loses is in the figures of a board that has it inside", ENERGY)
        if not _same_board(a, b):
            continue
        for key in ("clock", "core_voltage"):
            first, second = a.said("hardware", key), b.said("hardware", key)
            if first and second and first != second:
                yield Found(Severity.FLAG, (a.name, b.name), _said(a, b, key.replace("_", " "), first, second))


def exploited_alike(sides: Sequence[Side]) -> Says:
    """One net on several platforms, or each platform with a net of its own: figure 1.1 of the paper, (a) and (b)."""
    fixed: list[tuple[Side, Side]] = []
    own: list[tuple[Side, Side]] = []
    for a, b in combinations(sides, 2):
        if _same_board(a, b):
            continue
        first, second = (side.said("toolchain", "optimised_for_platform") for side in (a, b))
        if first and second and first != second:
            yield Found(Severity.FLAG, (a.name, b.name), _said(a, b, "optimised for its platform", first, second))
        (fixed if _same_net(a, b) else own).append((a, b))
    for a, b in fixed:
        text = "model-fixed: the same net on two platforms; comparable, perhaps unfair to the one that another net would suit"
        yield Found(Severity.FLAG, (a.name, b.name), text)
    for a, b in own:
        text = "use-case-fixed: each platform has a net of its own; what depends on its operations is not said to be better or worse"
        yield Found(Severity.TELL, (a.name, b.name), text, PER_OPERATION, ranks=False)
    if fixed and own:
        names = tuple(side.name for side in sides)
        text = "the same net on some platforms and nets of their own on others: no ranking; compare the two kinds apart"
        yield Found(Severity.FLAG, names, text, ranks=False)


def precision_told(sides: Sequence[Side]) -> Says:
    """What an operation is: its bits, and how operations are counted."""
    keys = ("weight_bits", "activation_bits")
    for side in sides:
        untold = [key for key in keys if side.said("model", key) is None]
        if untold and any(side.of(kpi) for kpi in PER_OPERATION):
            text = f"model card of {side.model}: {', '.join(untold)} not told; an operation of 4 bits is another than one of 32"
            yield Found(Severity.REFUSE, (side.name,), text, PER_OPERATION)
    for a, b in combinations(sides, 2):
        both = {key.partition("_")[0]: [side.said("model", key) for side in (a, b)] for key in keys}
        told = {what: pair for what, pair in both.items() if None not in pair}  # what a side leaves out is refused above
        if any(plain(one) != plain(other) for one, other in told.values()):
            first, second = (", ".join(f"{what} {pair[number]}" for what, pair in told.items()) for number in (0, 1))
            text = _said(a, b, "bits", first, second)
            yield Found(Severity.FLAG, (a.name, b.name), text, PER_OPERATION, ranks=False)
        first, second = _counted(a), _counted(b)
        if first and second and first != second:
            yield Found(Severity.FLAG, (a.name, b.name), _said(a, b, "operations", first, second), PER_OPERATION, ranks=False)


def peak_is_no_measurement(sides: Sequence[Side]) -> Says:
    """A maker's peak, with what was reached elsewhere."""
    measured = [side for side in sides if any(one.record.provenance not in _TOLD for kpi in SPEEDS for one in side.of(kpi))]
    for side in sides:
        given = [one["id"] for one in side.card("hardware").get("given", ()) if is_any(str(one.get("id")), PEAKS)]
        if given and measured:
            names = ", ".join(dict.fromkeys(str(one) for one in given))
            text = f"{names} of the hardware card is a peak that the maker declares; no net reached it here"
            yield Found(Severity.FLAG, (side.name,), text, PEAKS[:1])


def measured_not_told(sides: Sequence[Side]) -> Says:
    """Silicon with silicon; what is declared or estimated is shown as that."""
    for a, b in combinations(sides, 2):
        first, second = _origin(a), _origin(b)
        apart = a.conditions.simulated != b.conditions.simulated  # known from the instruments, whatever the cards leave out
        if apart or (first != second and "" not in (first, second)):
            yield Found(Severity.REFUSE, (a.name, b.name), _said(a, b, "figures are of", first or "a real board", second or "a real board"))
    for side in sides:
        told = [one.record.id for one in side.figures if one.record.provenance in _TOLD]
        if told:
            ids = tuple(dict.fromkeys(told))
            text = f"declared or estimated, never measured: {', '.join(ids)}"
            yield Found(Severity.TELL, (side.name,), text, ids, ranks=False)


def search_told(sides: Sequence[Side]) -> Says:
    """The least of many noisy figures is too low."""
    searched = [side for side in sides if plain(side.said("toolchain", "search") or "none") != "none"]
    for side in searched:
        text = f"{side.said('toolchain', 'search')}: the best of k candidates is low by about u sqrt(2 ln k); measure the winner anew"
        only = len(searched) < len(sides)
        yield Found(Severity.FLAG if only else Severity.TELL, (side.name,), text)


def counted(number: int, one: str, more: str) -> str:
    return f"{number} {one if number == 1 else more}"


def plain(text: Any) -> str:
    """Words as they are held against each other: case, blanks and the end do not matter."""
    return " ".join(str(text).lower().split()).rstrip(".")


def _unlike(a: Side, b: Side, kind: str, keys: Sequence[str]) -> Says:
    """Keys of a card that differ are refused, those that only one side tells flagged, those that nobody can know told: each once."""
    card = f"{kind.replace('_', ' ')} card"
    differ: list[str] = []
    untold: dict[str, list[str]] = {}
    unknown: list[str] = []
    for key in keys:
        first, second, what = a.said(kind, key), b.said(kind, key), key.replace("_", " ")
        if first is not None and second is not None:
            if (plain(first) if isinstance(first, str) else first) != (plain(second) if isinstance(second, str) else second):
                differ.append(f"{what} ({a.name} {_words(first)}; {b.name} {_words(second)})")
        elif first is not None or second is not None:
            untold.setdefault(b.name if second is None else a.name, []).append(what)
        elif a.is_unknown(kind, key) or b.is_unknown(kind, key):
            unknown.append(what)
    names = (a.name, b.name)
    if differ:
        yield Found(Severity.REFUSE, names, f"{card}: {', '.join(differ)}")
    for who, left_out in untold.items():
        yield Found(Severity.FLAG, names, f"{card}: {', '.join(left_out)} not told by {who}")
    if unknown:
        yield Found(Severity.TELL, names, f"{card}: nobody knows {', '.join(unknown)}; the two are alike as far as is told")


def _same_board(a: Side, b: Side) -> bool:
    first, second = a.said("hardware", "chip"), b.said("hardware", "chip")
    return plain(first) == plain(second) and a.board == b.board if first and second else a.board == b.board


def _same_net(a: Side, b: Side) -> bool:
    """By the hash of what is deployed or was trained, else by what the cards tell of it."""
    for key in ("deployed_sha256", "trained_sha256"):
        first, second = a.said("model", key), b.said("model", key)
        if first and second:
            return bool(first == second)
    keys = ("name", "version", "family", "structure", "parameters", "macs")
    if a.card("model") and b.card("model"):
        return all(a.said("model", key) == b.said("model", key) for key in keys)
    return a.model == b.model


def _counted(side: Side) -> str:
    """How its operations came to be counted; the source in brackets of the note is no part of the convention."""
    notes = (one.record.note.partition(";")[0].partition(":")[0] for kpi in PER_OPERATION for one in side.of(kpi))
    return next((note for note in notes if note), "")


def _origin(side: Side) -> str:
    """silicon, fpga, simulation or virtual; the bench knows when it is virtual, whatever a card says."""
    return "virtual" if side.conditions.simulated else str(side.said("hardware", "origin") or "")


def _said(a: Side, b: Side, what: str, first: Any, second: Any) -> str:
    return f"{what}: {a.name} {_words(first)}; {b.name} {_words(second)}"


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict) and "unit" in value:
        prefix, size = next((one for one in _PREFIXES if value["unit"] == "Hz" and value["value"] >= one[1]), ("", 1.0))
        return f"{value['value'] / size:g} {prefix}{value['unit']}"
    if isinstance(value, dict):
        return ", ".join(f"{key.replace('_', ' ')} {_words(one)}" for key, one in value.items() if one not in (None, ""))
    return str(value)


def _who(sides: Sequence[Side], told: Any) -> str:
    return " and ".join(side.name for side in sides if not (told(side) or side.card("use_case")))
