"""The report of a search: one self-contained page without scripts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from labd.records import Mode, Phase
from labd.report import style
from labd.report.svg import Markup, tag
from labd.search.plot import plots
from labd.search.result import Judged, Result
from labd.search.text import again, dropped, figure, percent, sentence, words

_NO_FETCH = "default-src 'none'; style-src 'unsafe-inline'"
RULE = (
    "A candidate stays on the front unless another one is better beyond both 95 % intervals in one objective, and in every other one "
    "better beyond them or equal. Filled marks are not dominated by their values alone either."
)


def render(result: Result) -> str:
    """The whole page; every text from outside is escaped, and nothing is fetched."""
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", http_equiv="Content-Security-Policy", content=_NO_FETCH),
        tag("title", f"{result.name}: search over {', '.join(result.platforms)}"),
        tag("style", Markup(style.sheet(tuple(Mode), tuple(Phase), 0) + _MORE)),
    )
    parts = [
        ("Answer", [_answer(result)]),
        ("Front", [*plots(result), tag("p", RULE, class_="note"), _table(result, result.front, "The Pareto front over all platforms")]),
        ("Platforms", [_platforms(result)]),
        ("Candidates", [_table(result, [one.outcome.name for one in result.candidates], "Every candidate", told=True)]),
    ]
    main = tag("main", *(tag("section", tag("h2", title), *body) for title, body in parts))
    body = tag("body", _header(result), main, tag("footer", tag("p", "± is the half width of the 95 % interval.")))
    return "<!DOCTYPE html>\n" + tag("html", head, body, lang="en") + "\n"


_MORE = """
svg .bar{stroke:var(--rule);stroke-width:1.2}
svg .limit{stroke:var(--warn);stroke-dasharray:5 4}
svg .pt{fill:none;stroke-width:1.5} svg .on{fill:currentColor}
.k0{color:var(--r0);stroke:var(--r0)} .k1{color:var(--r4);stroke:var(--r4)} .k2{color:var(--r2);stroke:var(--r2)}
.k3{color:var(--r3);stroke:var(--r3)} .k4{color:var(--r5);stroke:var(--r5)} svg .faint{opacity:.35}
"""


def _header(result: Result) -> Markup:
    events = f"{result.rate_hz:g} events a second, {result.statistics}"
    how = f"{result.method}, seed {result.seed}; data set {result.dataset}, {result.samples} samples; {events}"
    described = [tag("p", result.description)] if result.description else []
    return tag("header", tag("h1", result.name), tag("p", f"Search {result.id}: {how}.", class_="sub"), *described)


def _answer(result: Result) -> Markup:
    before = [tag("p", line) for line in dropped(result)]
    if not result.best:
        return tag("div", *before, tag("p", "No candidate is known to meet every target."), class_="answer")
    best = result.of(result.best)
    shown = result.again if result.again is not None and result.again.outcome.figures else best
    lines = [sentence(target, shown.outcome.figures.get(name), shown.answers[name]) for name, target in result.targets.items()]
    told = [tag("p", again(result.again.outcome))] if result.again is not None else []
    title = tag("p", f"Best of those that meet every target: {result.best} ({best.outcome.settings.key}), run {best.outcome.run_id}.")
    return tag("div", *before, title, *told, tag("ul", *(tag("li", line) for line in lines)), class_="answer")


def _platforms(result: Result) -> Markup:
    head = ("Platform", "Bench", "Candidates", "Measured", "Stopped early", "Failed", "Front", "Best")
    rows = [
        (
            name,
            one.bench,
            one.candidates,
            one.measured,
            one.stopped,
            one.failed,
            len(one.front),
            one.best or "none known to meet every target",
        )
        for name, one in result.platforms.items()
    ]
    return _scroll("Platforms", head, [[str(cell) for cell in row] for row in rows])


def _table(result: Result, names: Sequence[str], caption: str, *, told: bool = False) -> Markup:
    keys = list(dict.fromkeys([*result.objectives, *result.targets]))
    head = ("Candidate", "Settings", *(words(key) for key in keys), "Targets", *(("Run or reason",) if told else ()))
    rows = []
    for name in names:
        judged = result.of(name)
        outcome = judged.outcome
        cells = [name, outcome.settings.key, *(figure(outcome.figures.get(key)) for key in keys), _targets(judged)]
        rows.append([*cells, *([outcome.why or outcome.run_id] if told else [])])
    return _scroll(caption, head, rows)


def _targets(judged: Judged) -> str:
    chances = [one.chance for one in judged.answers.values() if one.chance is not None]
    least = f", each with at least {percent(min(chances))}" if judged.meets and chances else ""
    return {True: f"met{least}", False: "missed", None: "open"}[judged.meets]


def _scroll(caption: str, head: Iterable[str], rows: Iterable[Sequence[str]]) -> Markup:
    body = [tag("tr", tag("th", row[0], scope="row"), *(tag("td", cell) for cell in row[1:])) for row in rows]
    top = tag("thead", tag("tr", *(tag("th", cell, scope="col") for cell in head)))
    table = tag("table", tag("caption", caption), top, tag("tbody", *body))
    return tag("div", table, class_="scroll", tabindex="0", role="region", aria_label=caption)
