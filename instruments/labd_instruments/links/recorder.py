"""A link that writes down what passes through it, in the form that `scripted` plays."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, TextIO

from numpy.typing import NDArray

from labd_instruments.errors import LinkTimeoutError, NotConnectedError, ReplyError
from labd_instruments.links.link import Link


class RecorderLink:
    """Wraps a link; a context manager that closes both the link and the file.

    title: first comment line of the transcript (origin, date, instrument, licence).
    """

    def __init__(self, link: Link, path: Path, *, title: str) -> None:
        self.resource = link.resource
        self.timeout_s = link.timeout_s
        self._link = link
        self._file: TextIO = path.open("w", encoding="utf-8")
        self._note(f"# {title}")

    def write(self, command: str) -> None:
        with self._noted(command):
            self._link.write(command)

    def query(self, command: str) -> str:
        with self._noted(command):
            reply = self._link.query(command)
            self._note(f"< {reply}")
            return reply

    def query_definite_block(self, command: str, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        with self._noted(command):
            return self._kept(self._link.query_definite_block(command, dtype, timeout_s=timeout_s))

    def query_indefinite_block(self, command: str, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        with self._noted(command):
            return self._kept(self._link.query_indefinite_block(command, n_values, dtype, timeout_s=timeout_s))

    def resync(self) -> None:
        self._link.resync()

    def close(self) -> None:
        self._link.close()
        self._file.close()

    def __enter__(self) -> RecorderLink:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _kept(self, block: NDArray[Any]) -> NDArray[Any]:
        # str() of a numpy float32 is the shortest text that reads back to the same value
        self._note(f"<b {block.dtype.str[1:]} " + " ".join(str(value) for value in block))
        return block

    @contextlib.contextmanager
    def _noted(self, command: str) -> Iterator[None]:
        self._note(f"> {command}")
        try:
            yield
        except LinkTimeoutError:
            self._note("<t")
            raise
        except NotConnectedError as error:
            self._note(f"<e {error}")
            raise
        except ReplyError as error:
            self._note(f"<r {error}")
            raise

    def _note(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()  # a recording is most wanted when the program dies
