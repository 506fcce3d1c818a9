"""The page and the JSON Schemas of the builder contract: `python -m labd.search.reference` writes them again."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from labd.cards.template import FileSchema
from labd.config.reference import reference
from labd.search.contract import Answer, Request, schemas
from labd.search.use_case import UseCase

_INTRO = """A builder makes one candidate of a search: it trains or converts a net, compiles it, and says what came out. It is any command.
A use-case file names it, `builder = ["python3", "build.py"]`; `python3` as the first word is the Python that runs labd, so that
a builder finds the same packages. labd runs it in the use-case file's folder, with the path of `request.json` as its last
argument. It writes whatever it makes into the request's `folder`, then `answer.json` there, and ends with 0. What it prints is
kept in `builder.log`.

A candidate that cannot be (it does not fit, the board cannot run it) is answered with `refused` and the reason. Any other
failure ends with another exit status, after a last line that says why. After its time limit a builder is killed with all that
it has started.

What was built is kept under a hash of the request (without its folder), the command, every file in the folders of the files
that the command names, and what else the use case says that it `depends` on: a candidate is built again only where one of these
has changed. What failed last lies in the cache's folder `failed`.

| error | when |
|---|---|
| BuilderNotFound | the command cannot be started |
| BuilderHung | it did not end in its time |
| BuilderCrashed | it ended with another status than 0, or by a signal; its last line is told |
| BuilderSilent | it ended with 0 and wrote no answer |
| WrongAnswer | the answer is no JSON, has wrong keys, or names files that are not there; or a card is none, or another model's |
| CandidateRefused | the answer has `refused` |

JSON Schemas: [builder-request.schema.json](builder-request.schema.json),
[builder-answer.schema.json](builder-answer.schema.json). This page is made by `python -m labd.search.reference`."""


_USE_CASE = """What a system integrator asks, and the candidates that may answer: targets, event statistics, and for each platform its
bench, the command that builds candidates ([candidate-builder.md](candidate-builder.md)) and what may be chosen. `labd search FILE`
reads it. The targets and events are those of a use-case card, which every run of the search carries. Quantities are written as in a
plan file. As JSON Schema: [use-case.schema.json](use-case.schema.json). This page is made by `python -m labd.search.reference`."""


def use_case_schema() -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of a use-case file as its TOML parses."""
    made = UseCase.model_json_schema(by_alias=True, schema_generator=FileSchema)
    head = {"$schema": "https://json-schema.org/draft/2020-12/schema", "$id": "urn:labd:schema:use-case:1"}
    return {**head, **made, "title": "labd use case, version 1"}


def pages() -> Mapping[str, str]:
    """File name to text."""
    request = reference(Request, "The request", "`request.json`").replace("\n## ", "\n### ").replace("# ", "## ", 1)
    answer = reference(Answer, "The answer", "`answer.json`").replace("\n## ", "\n### ").replace("# ", "## ", 1)
    made = {"use-case-file.md": reference(UseCase, "Use-case file", _USE_CASE)}
    made["use-case.schema.json"] = json.dumps(use_case_schema(), indent=1) + "\n"
    made |= {name: json.dumps(schema, indent=1) + "\n" for name, schema in schemas().items()}
    return {"candidate-builder.md": f"# Builders of candidates\n\n{_INTRO}\n\n{request}\n{answer}", **made}


def write_pages(folder: Path) -> None:
    for name, text in pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    write_pages(Path(__file__).parents[2] / "docs" / "reference")
