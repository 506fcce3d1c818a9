"""The part of Lua that a TSP instrument's users send: assignments, calls, arithmetic, comparisons, `for`, `if`, `while`, `local`.

No functions, no tables, no strings' library: a line that holds one is refused as a syntax error, which the real instrument would run.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

Value = Any  # float, str, bool, None, a Thing or a Function
Function = Callable[[list[Value]], Awaitable[list[Value]]]
Run = Callable[[], Awaitable[list[Value]]]

_TOKEN = re.compile(
    r"(?P<space>[ \t\r]+|--[^\n]*)|(?P<line>\n)|(?P<number>0[xX][0-9a-fA-F]+|(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<string>\"[^\"\n]*\"|'[^'\n]*')|(?P<sign>==|~=|<=|>=|\.\.|[-+*/^=<>()\[\]{}.,;:#])"
)
_KEYWORDS = frozenset(("and", "do", "else", "elseif", "end", "false", "for", "function", "if", "local", "nil", "not", "or"))
_KEYWORDS |= {"then", "true", "while"}
_COMPARE: Mapping[str, Callable[[Any, Any], bool]] = {"<": operator.lt, ">": operator.gt, "<=": operator.le, ">=": operator.ge}
_ARITHMETIC: Mapping[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "^": operator.pow,
}
_STRENGTH = {"or": 1, "and": 2, "<": 3, ">": 3, "<=": 3, ">=": 3, "~=": 3, "==": 3, "..": 4, "+": 5, "-": 5, "*": 6, "/": 6, "^": 8}


class TspError(Exception):
    """What goes into the instrument's error queue. severity: 20 recoverable, 30 serious (2600BS-901-01 Rev. B p. 7-83)."""

    def __init__(self, code: int, text: str, severity: int = 20) -> None:
        super().__init__(f"{code} {text}")
        self.code, self.text, self.severity = code, text, severity


class Thing:
    """A table of the instrument: attributes that may be read or written. `named` says how it is called in messages."""

    def read(self, key: Value) -> Value:
        """None (nil) for what it has not."""
        raise NotImplementedError

    def write(self, key: Value, value: Value) -> None:
        """Raises TspError."""
        raise NotImplementedError


def runtime_error(text: str, line: int = 1) -> TspError:
    return TspError(-286, f"TSP Runtime error at line {line}: {text}")


def printed(value: Value, precision: int) -> str:
    """As print writes it: numbers with an exponent (2600BS-901-01 Rev. C p. 7-101)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "nil"
    if isinstance(value, float):
        return f"{value:.{precision - 1}e}"
    return value if isinstance(value, str) else "table: 0x0"


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    line: int


def _tokens(text: str) -> list[_Token]:
    found, position, line = [], 0, 1
    while position < len(text):
        match = _TOKEN.match(text, position)
        if match is None:
            raise TspError(-285, f"TSP Syntax error at line {line}: unexpected symbol near `{text[position]}'")
        position, kind = match.end(), str(match.lastgroup)
        if kind == "line":
            line += 1
        elif kind != "space":
            word = match[0]
            found.append(_Token("keyword" if kind == "name" and word in _KEYWORDS else kind, word, line))
    return [*found, _Token("end", "<eof>", line)]


@dataclass(frozen=True, slots=True)
class _Place:
    """Something at the beginning of a statement. kind: `global` or `field`, which may stand left of `=`, `call`, or `value`."""

    kind: str
    read: Run
    name: str
    line: int
    owner: Run | None = None
    key: Run | None = None

    @property
    def said(self) -> str:
        """As messages name it."""
        return f"{self.kind} `{self.name}'"


class Script:
    """Source text, parsed at once (raises TspError -285), run with `run`."""

    def __init__(self, text: str, names: dict[str, Value]) -> None:
        self._names = names
        self._left = _tokens(text)
        self._body = self._block(("<eof>",))
        self._expect("<eof>")

    async def run(self) -> None:
        for step in self._body:
            await step()

    # --- tokens

    @property
    def _here(self) -> _Token:
        return self._left[0]

    def _next(self) -> _Token:
        return self._left.pop(0) if len(self._left) > 1 else self._left[0]

    def _takes(self, *texts: str) -> bool:
        if self._here.kind in ("sign", "keyword") and self._here.text in texts:
            self._next()
            return True
        return False

    def _expect(self, text: str) -> None:
        if self._here.text != text or self._here.kind == "string":
            raise self._syntax(f"`{text}' expected near `{self._here.text}'")
        self._next()

    def _syntax(self, text: str) -> TspError:
        return TspError(-285, f"TSP Syntax error at line {self._here.line}: {text}")

    # --- statements

    def _block(self, ends: tuple[str, ...]) -> list[Run]:
        steps: list[Run] = []
        while not (self._here.kind in ("keyword", "end") and self._here.text in ends):
            if self._takes(";"):
                continue
            steps.append(self._statement())
        return steps

    def _statement(self) -> Run:
        if self._takes("for"):
            return self._for()
        if self._takes("while"):
            return self._while()
        if self._takes("if"):
            return self._if()
        self._takes("local")
        places = [self._suffixed()]
        while self._takes(","):
            places.append(self._suffixed())
        if self._takes("="):
            if any(p.kind not in ("global", "field") for p in places):
                raise self._syntax("unexpected symbol near `='")
            return self._assignment(places, self._expressions())
        if len(places) != 1 or places[0].kind != "call":
            raise self._syntax(f"`=' expected near `{self._here.text}'")
        return places[0].read

    def _assignment(self, places: list[_Place], values: Run) -> Run:
        async def run() -> list[Value]:
            given = await values()
            for k, place in enumerate(places):
                await self._store(place, given[k] if k < len(given) else None)
            return []

        return run

    async def _store(self, place: _Place, value: Value) -> None:
        if place.owner is None or place.key is None:
            self._names[place.name] = value
            return
        owner, key = _first(await place.owner()), _first(await place.key())
        if not isinstance(owner, Thing):
            raise runtime_error(f"attempt to index field `?' ({_kind(owner)} value)", place.line)
        owner.write(key, value)

    def _for(self) -> Run:
        name = self._next()
        if name.kind != "name":
            raise self._syntax(f"<name> expected near `{name.text}'")
        self._expect("=")
        bounds = self._expressions()
        self._expect("do")
        body = self._block(("end",))
        self._expect("end")

        async def run() -> list[Value]:
            start, stop, *rest = await bounds()
            step = rest[0] if rest else 1.0
            at = start
            while at <= stop if step > 0 else at >= stop:
                self._names[name.text] = at
                for statement in body:
                    await statement()
                at += step
            return []

        return run

    def _while(self) -> Run:
        condition = self._expression()
        self._expect("do")
        body = self._block(("end",))
        self._expect("end")

        async def run() -> list[Value]:
            while _true(_first(await condition())):
                for statement in body:
                    await statement()
            return []

        return run

    def _if(self) -> Run:
        arms: list[tuple[Run | None, list[Run]]] = []
        condition: Run | None = self._expression()
        self._expect("then")
        while True:
            arms.append((condition, self._block(("elseif", "else", "end"))))
            if self._takes("elseif"):
                condition = self._expression()
                self._expect("then")
            elif self._takes("else"):
                condition = None
            else:
                break
        self._expect("end")

        async def run() -> list[Value]:
            for test, body in arms:
                if test is None or _true(_first(await test())):
                    for statement in body:
                        await statement()
                    break
            return []

        return run

    # --- expressions

    def _expressions(self) -> Run:
        """A list: the last one keeps all its values, the others their first."""
        parts = [self._expression()]
        while self._takes(","):
            parts.append(self._expression())

        async def run() -> list[Value]:
            values = [_first(await part()) for part in parts[:-1]]
            return values + await parts[-1]()

        return run

    def _expression(self, least: int = 0) -> Run:
        left = self._unary()
        while self._here.kind in ("sign", "keyword") and _STRENGTH.get(self._here.text, 0) > least:
            sign = self._next()
            strength = _STRENGTH[sign.text]
            right = self._expression(strength - 1 if sign.text in ("^", "..") else strength)
            left = _binary(sign, left, right)
        return left

    def _unary(self) -> Run:
        if self._takes("-"):
            operand = self._expression(7)
            return _mapped(operand, lambda v: -_number(v))
        if self._takes("not"):
            operand = self._expression(7)
            return _mapped(operand, lambda v: not _true(v))
        return self._simple()

    def _simple(self) -> Run:
        token = self._here
        if token.kind == "number":
            self._next()
            return _constant(float(int(token.text, 16)) if token.text[:2].lower() == "0x" else float(token.text))
        if token.kind == "string":
            self._next()
            return _constant(token.text[1:-1])
        for word, value in (("true", True), ("false", False), ("nil", None)):
            if self._takes(word):
                return _constant(value)
        return self._suffixed().read

    def _suffixed(self) -> _Place:
        token = self._next()
        if token.text == "(" and token.kind == "sign":
            place = _Place("value", _mapped(self._expression(), lambda v: v), "?", token.line)
            self._expect(")")
        elif token.kind == "name":
            place = _Place("global", self._global(token.text), token.text, token.line)
        else:
            raise TspError(-285, f"TSP Syntax error at line {token.line}: unexpected symbol near `{token.text}'")
        while True:
            if self._takes("."):
                name = self._next()
                if name.kind != "name":
                    raise self._syntax(f"<name> expected near `{name.text}'")
                place = self._indexed(place, _constant(name.text), name.text)
            elif self._takes("["):
                key = self._expression()
                self._expect("]")
                place = self._indexed(place, key, "?")
            elif self._takes("("):
                arguments = _constants([]) if self._here.text == ")" else self._expressions()
                self._expect(")")
                place = self._called(place, arguments)
            else:
                return place

    def _global(self, name: str) -> Run:
        async def run() -> list[Value]:
            return [self._names.get(name)]

        return run

    def _indexed(self, owner: _Place, key: Run, name: str) -> _Place:
        async def run() -> list[Value]:
            found, wanted = _first(await owner.read()), _first(await key())
            if not isinstance(found, Thing):
                raise runtime_error(f"attempt to index {owner.said} ({_kind(found)} value)", owner.line)
            return [found.read(wanted)]

        return _Place("field", run, name, owner.line, owner.read, key)

    def _called(self, place: _Place, arguments: Run) -> _Place:
        async def run() -> list[Value]:
            function = _first(await place.read())
            if not callable(function):
                raise runtime_error(f"attempt to call {place.said} ({_kind(function)} value)", place.line)
            result: list[Value] = await function(await arguments())
            return result

        return _Place("call", run, place.name, place.line)


def _first(values: list[Value]) -> Value:
    return values[0] if values else None


def _true(value: Value) -> bool:
    return value is not None and value is not False


def _kind(value: Value) -> str:
    names = {float: "a number", str: "a string", bool: "a boolean", type(None): "a nil"}
    return names.get(type(value), "a table")


def _number(value: Value) -> float:
    if isinstance(value, bool) or not isinstance(value, float):
        raise runtime_error(f"attempt to perform arithmetic on {_kind(value)} value")
    return value


def _constant(value: Value) -> Run:
    return _constants([value])


def _constants(values: list[Value]) -> Run:
    async def run() -> list[Value]:
        return list(values)

    return run


def _mapped(operand: Run, function: Callable[[Value], Value]) -> Run:
    async def run() -> list[Value]:
        return [function(_first(await operand()))]

    return run


def _binary(sign: _Token, left: Run, right: Run) -> Run:
    async def run() -> list[Value]:
        a = _first(await left())
        if sign.text == "and":
            return [_first(await right())] if _true(a) else [a]
        if sign.text == "or":
            return [a] if _true(a) else [_first(await right())]
        b = _first(await right())
        if sign.text in ("==", "~="):
            return [(a == b and type(a) is type(b)) == (sign.text == "==")]
        if sign.text == "..":
            return [printed(a, 14) + printed(b, 14)]
        if sign.text in _COMPARE:
            return [_COMPARE[sign.text](_number(a), _number(b))]
        try:
            return [_ARITHMETIC[sign.text](_number(a), _number(b))]
        except ZeroDivisionError:
            return [9.91e37]

    return run
