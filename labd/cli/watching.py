"""What happens in a run, on a terminal: a bar with the time left, and lines for what a person must see."""

from __future__ import annotations

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.text import Text

from labd.bench.progress import TimeLeft
from labd.stream.news import News, NewsKind


class Watching:
    """A context manager; `show` takes the news of one run after the other."""

    def __init__(self, console: Console, *, quiet: bool) -> None:
        self._bar = Progress(
            TextColumn("[progress.description]{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[left]}"),
            console=console,
            disable=quiet or not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._left: TimeLeft | None = None

    def __enter__(self) -> Watching:
        return self

    def __exit__(self, *error: object) -> None:
        if self._task is not None:
            self._bar.stop()

    def show(self, news: News) -> None:
        match news.kind:
            case NewsKind.RUN_STARTED | NewsKind.RUN_RESUMED:
                self._begin(news)
            case NewsKind.CAPTURE_STARTED:
                self._describe(news.text)
            case NewsKind.CAPTURE_ENDED:
                self._ended(news)
            case NewsKind.NOTICE | NewsKind.RUN_PAUSED | NewsKind.RUN_CONTINUED:
                self._describe(news.text)
            case NewsKind.RUN_ENDED if self._task is not None:
                self._bar.stop()

    def _begin(self, news: News) -> None:
        captures = news.data["captures"]
        todo = {one["key"]: float(one["duration_s"]) for one in captures if one["todo"]}
        self._task = self._bar.add_task(news.run, total=len(captures), completed=len(captures) - len(todo), left="")
        self._left = TimeLeft(todo)

    def _describe(self, text: str) -> None:
        if self._task is not None:
            self._bar.start()  # not before: what fails until here is one line
            self._bar.update(self._task, description=text)

    def _ended(self, news: News) -> None:
        error = str(news.data.get("error", ""))
        if error and news.data["goes_on"]:  # what ends the run is told at its end
            self._bar.console.print(Text(f"labd: failed: {news.capture}: {error}"), soft_wrap=True)
        if self._left is not None:
            self._left.ended(news.capture)
        if self._task is not None:
            self._bar.update(self._task, advance=1, left=_left(self._left.seconds() if self._left else None))


def _left(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s left" if seconds < 120 else f"{seconds / 60:.0f} min left"
