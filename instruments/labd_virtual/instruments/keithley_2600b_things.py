"""What the objects of a virtual 2600B are made of: attributes with limits, named values, functions and children.

Errors: the code of a limit of zero, 1102, is in the manual (2600BS-901-01 Rev. F p. 9-245), and so are -285 and -286 (Rev. C p. 8-2). The
other numbers and texts are those of the manual's error list as an independent driver has copied them; which of them an attribute gives
is not in a page at hand and was chosen by the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from labd_virtual.instruments.keithley_2600b_lua import Function, Thing, TspError, Value, runtime_error

TOO_BIG = TspError(1101, "Parameter Too Big")
TOO_SMALL = TspError(1102, "Parameter Too Small")


def illegal() -> TspError:
    return TspError(-224, "Illegal Parameter Value")


class Attributes(Thing):
    """An object of the instrument, filled by its owner."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._read: dict[str, Callable[[], Value]] = {}
        self._write: dict[str, Callable[[Value], None]] = {}

    def read(self, key: Value) -> Value:
        found = self._read.get(key) if isinstance(key, str) else None
        return None if found is None else found()

    def write(self, key: Value, value: Value) -> None:
        setter = self._write.get(key) if isinstance(key, str) else None
        if setter is None:
            raise runtime_error(f"cannot set field `{key}' of {self.name}")
        setter(value)

    def constant(self, name: str, value: Value) -> None:
        """A named value, a child or a function."""
        self._read[name] = lambda: value

    def constants(self, **values: float) -> None:
        for name, value in values.items():
            self.constant(name, float(value))

    def shown(self, name: str, read: Callable[[], Value]) -> None:
        """Read only."""
        self._read[name] = read

    def number(self, name: str, read: Callable[[], float], write: Callable[[float], None], *, low: float, high: float) -> None:
        """Limits are inclusive. Raises 1101 and 1102 outside."""

        def set_it(value: Value) -> None:
            given = numeric(value)
            if given > high * (1 + 1e-12):
                raise TspError(TOO_BIG.code, TOO_BIG.text)
            if given < low - abs(low) * 1e-12:
                raise TspError(TOO_SMALL.code, TOO_SMALL.text)
            write(given)

        self._read[name], self._write[name] = lambda: float(read()), set_it

    def choice(self, name: str, read: Callable[[], float], write: Callable[[int], None], values: Iterable[int]) -> None:
        allowed = frozenset(values)

        def set_it(value: Value) -> None:
            given = numeric(value)
            if given not in allowed:
                raise illegal()
            write(int(given))

        self._read[name], self._write[name] = lambda: float(read()), set_it

    def boolean(self, name: str, read: Callable[[], bool], write: Callable[[bool], None]) -> None:
        def set_it(value: Value) -> None:
            if not isinstance(value, bool):
                raise illegal()
            write(value)

        self._read[name], self._write[name] = read, set_it

    def action(self, name: str, act: Callable[[], None]) -> None:
        """A function without arguments or results, done at once."""

        async def call(_: list[Value]) -> list[Value]:
            act()
            return []

        self.constant(name, call)

    def function(self, name: str, call: Function) -> None:
        self.constant(name, call)

    def child(self, name: str) -> Attributes:
        made = Attributes(f"{self.name}.{name}")
        self.constant(name, made)
        return made


class Row(Thing):
    """Things by number, from 1 on; `error` is raised for a number that there is not."""

    def __init__(self, things: Iterable[Thing]) -> None:
        self._things = {float(k): thing for k, thing in enumerate(things, 1)}

    def read(self, key: Value) -> Value:
        return self._things.get(key) if isinstance(key, float) else None

    def write(self, key: Value, value: Value) -> None:
        raise runtime_error(f"cannot set index {key}")


def numeric(value: Value) -> float:
    """Raises TspError when it is no number."""
    if isinstance(value, bool) or not isinstance(value, float):
        raise TspError(-104, "Data Type")
    return value


def stored(thing: object, name: str) -> tuple[Callable[[], float], Callable[[float], None]]:
    """Getter and setter of a plain field of a Python object."""
    return (lambda: float(getattr(thing, name))), (lambda value: setattr(thing, name, value))
