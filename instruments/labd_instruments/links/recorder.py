"""A link that writes down what passes through it, in the form that `scripted` plays."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TextIO

from numpy.typing import NDArray

from labd_instruments.errors import LinkTimeoutError, NotConnectedError
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
        self._note(f"> {command}")
        try:
            self._link.write(command)
        except (LinkTimeoutError, NotConnectedError) as error:
            self._failed(error)
            raise

    def query(self, command: str) -> str:
        self._note(f"> {command}")
        try:
            reply = self._link.query(command)
        except (LinkTimeoutError, NotConnectedError) as error:
            self._failed(error)
            raise
        self._note(f"< {reply}")
        return reply

    def read_definite_block(self, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        try:
            return self._kept(self._link.read_definite_block(dtype, timeout_s=timeout_s))
        except (LinkTimeoutError, NotConnectedError) as error:
            self._failed(error)
            raise

    def read_indefinite_block(self, n_values: int, dtype: str, *, timeout_s: float | None = None) -> NDArray[Any]:
        try:
            return self._kept(self._link.read_indefinite_block(n_values, dtype, timeout_s=timeout_s))
        except (LinkTimeoutError, NotConnectedError) as error:
            self._failed(error)
            raise

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

    def _failed(self, error: Exception) -> None:
        self._note("<t" if isinstance(error, LinkTimeoutError) else f"<e {error}")

    def _note(self, line: str) -> None:
        self._file.write(line + "\n")
        self._file.flush()  # a recording is most wanted when the program dies
