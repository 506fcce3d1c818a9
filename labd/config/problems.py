"""What is wrong with a file, as lines a person can act on: file, key, value, and what would be right."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from labd.config.quantity import shown
from labd.config.section import Section, Wrong, bare_or_quoted, key_path, section_types, written_name
from labd.config.types import As
from labd.errors import FileError


def file_error(file: str, wrongs: Sequence[Wrong]) -> FileError:
    """One error for all problems of one file."""
    return files_error([(file, wrong) for wrong in wrongs])


def files_error(wrongs: Sequence[tuple[str, Wrong]]) -> FileError:
    """One error for problems of several files; `wrongs` holds (file, problem) pairs, at least one."""
    safe = [(_one_line(file), Wrong(_one_line(w.key), _one_line(w.text))) for file, w in wrongs]
    lines = tuple(f"{file}: {w.key}: {w.text}" if w.key else f"{file}: {w.text}" for file, w in safe)
    file, first = safe[0]
    return FileError(file, first.key, first.text, lines)


def wrongs_of(error: ValidationError, model: type[Section]) -> list[Wrong]:
    """Each of pydantic's findings as one line; a misspelt key and the required key it was meant for give one line."""
    details = error.errors(include_url=False)
    wrongs = [(d, Wrong(key_path(_location(d)), _text(d, model))) for d in details]
    meant = {_meant_path(d, model) for d, _ in wrongs if d["type"] == "extra_forbidden"}
    return [w for d, w in wrongs if not (d["type"] == "missing" and w.key in meant)]


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """`; did you mean "current"?`, or the choice when nothing is near."""
    choice = sorted(known)
    near = nearest(word, choice)
    if near:
        return f'; did you mean "{near}"?'
    return "; there is " + ", ".join(choice[:12]) + (" ..." if len(choice) > 12 else "") if choice else ""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """The most similar word, or None when none resembles it."""
    choice = list(known)
    other_case = next((k for k in choice if k.lower() == word.lower()), None)
    return other_case or next(iter(difflib.get_close_matches(word[:60], choice, n=1)), None)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in text)


def _location(detail: ErrorDetails) -> tuple[int | str, ...]:
    return tuple(part for part in detail["loc"] if part != "[key]")


def _text(detail: ErrorDetails, model: type[Section]) -> str:
    kind, context = detail["type"], detail.get("ctx", {})
    match kind:
        case "labd":
            return str(context["text"])
        case "extra_forbidden":
            return _unknown_key(detail, model)
        case "missing":
            return f"this key is required{_what_it_holds(_location(detail), model)}"
        case "literal_error" | "enum":
            return _one_of(detail["input"], str(context["expected"]))
    return f"expected {_expected(kind, context)}, got {shown(detail['input'])}"


def _expected(kind: str, context: Mapping[str, Any]) -> str:
    words = {
        "string_type": "text in quotes",
        "string_too_short": "some text",
        "string_pattern_mismatch": "a name of letters, digits, - and _",
        "bool_type": "true or false (without quotes)",
        "int_type": "a whole number (without quotes)",
        "tuple_type": "a list in square brackets",
        "model_type": "a table",
        "dict_type": "a table",
        "too_short": "at least one entry",
    }
    if kind in words:
        return words[kind]
    bounds = {"greater_than_equal": ("ge", "{} or more"), "less_than_equal": ("le", "{} or less"), "greater_than": ("gt", "more than {}")}
    if kind in bounds:
        key, text = bounds[kind]
        return text.format(context[key])
    return f"something else ({kind.replace('_', ' ')})"


def _one_of(value: object, expected: str) -> str:
    choice = expected.replace("'", '"').replace(" or ", ", ")
    words = [word.strip().strip('"') for word in choice.split(",")]
    near = nearest(value, words) if isinstance(value, str) else None
    hint = f'; did you mean "{near}"?' if near else ""
    what = choice if len(words) == 1 else f"one of {choice}"
    return f"expected {what}, got {shown(value)}{hint}"


def _unknown_key(detail: ErrorDetails, model: type[Section]) -> str:
    *above, key = _location(detail)
    keys = _keys_at(above, model)
    near = nearest(str(key), keys)
    if near:
        return f"no such key; did you mean {near}?"
    return "no such key; the keys here are " + ", ".join(keys)


def _meant_path(detail: ErrorDetails, model: type[Section]) -> str:
    *above, key = _location(detail)
    near = nearest(str(key), _keys_at(above, model))
    return key_path([*above, near]) if near else ""


def _what_it_holds(location: Sequence[int | str], model: type[Section]) -> str:
    *above, key = location
    field = _fields_at(above, model).get(str(key))
    if field is None:
        return ""
    quantity = next((m for m in field.metadata if isinstance(m, As)), None)
    if quantity is not None:
        return f': {bare_or_quoted(str(key))} = "{quantity.kind.example}" or the like'
    return f": {field.description}" if field.description else ""


def _keys_at(location: Sequence[int | str], model: type[Section]) -> list[str]:
    return list(_fields_at(location, model))


def _fields_at(location: Sequence[int | str], model: type[Section]) -> dict[str, FieldInfo]:
    """The fields, by their key in the file, of the section at a location; names of tables and list positions are passed over."""
    here = model
    for part in location:
        field = _by_key(here).get(str(part))
        here = next(section_types(field.annotation), here) if field is not None else here
    return _by_key(here)


def _by_key(model: type[Section]) -> dict[str, FieldInfo]:
    return {written_name(name, field): field for name, field in model.model_fields.items()}
