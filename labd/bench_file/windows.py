"""`[windows]` of a plan: how stock MLPerf Tiny firmware is measured, which only runs inferences back to back."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import Field

from labd.bench.expand import MOST_INFERENCES
from labd.config.problems import file_error
from labd.config.section import Section, Wrong
from labd.config.types import Count, Seconds, Words

FEWEST = 3  # windows: a line through two has nothing left to tell its own uncertainty by


class WindowsSection(Section):
    """How stock firmware is measured: windows of inferences back to back, of two or more numbers of them."""

    count: Count = Field(default=5, description="windows of each number of inferences")
    length: Seconds = Field(default=10.0, description="the shorter ones last at least this long; MLPerf Tiny wants 10 s")
    inferences: tuple[Count, ...] = Field(
        default=(), description="numbers of inferences, two or more; left out: as many as take `length`, and twice as many"
    )
    input: Words | None = Field(
        default=None, description="file with the input, raw bytes, relative to this one; left out: zeros, as many as the board file says"
    )

    def wrong(self) -> Iterator[Wrong]:
        if len(self.inferences) == 1 or len(set(self.inferences)) < len(self.inferences):
            yield Wrong(
                "inferences",
                "expected two different numbers or more: what every window holds besides its inferences (the loop at the pin, printing) is "
                "told apart by their difference",
            )
        if any(number > MOST_INFERENCES for number in self.inferences):
            yield Wrong("inferences", f"expected at most {MOST_INFERENCES}, which is what the firmware reads")
        if self.inferences and "length" in self.model_fields_set:
            yield Wrong("length", "expected either length or inferences, got both")
        if self.count * (len(self.inferences) or 2) < FEWEST:
            yield Wrong(
                "count", f"expected {FEWEST} windows or more in all, of both numbers of inferences: from fewer nothing tells their scatter"
            )

    def input_bytes(self, plan: Path) -> bytes | None:
        """The bytes of `input`, None where the plan names none. Raises FileError."""
        if self.input is None:
            return None
        path = Path(self.input)
        if not path.is_absolute() and not plan.is_file():
            text = f"a plan that was sent to a daemon needs an absolute path, got {self.input!r}"
            raise file_error(str(plan), [Wrong("windows.input", text)])
        path = plan.parent / path
        try:
            data = path.read_bytes()
        except OSError as error:
            raise file_error(str(plan), [Wrong("windows.input", f"{path} cannot be read: {error.strerror}")]) from error
        if not data:
            raise file_error(str(plan), [Wrong("windows.input", f"{path} is empty")])
        return data
