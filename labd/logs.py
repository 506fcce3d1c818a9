"""The daemon's log: lines of JSON for machines or text for people, with the run they are about, never with a secret."""

from __future__ import annotations

import contextvars
import logging
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pythonjsonlogger.json import JsonFormatter

FIELDS = ("bench", "job", "run", "capture")
TEXT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
SECRET = re.compile(r"(?i)\b(authorization|bearer|token|password|secret)\b(\"?\s*[:=]\s*\"?|\s+)(?:bearer\s+)?([^\s\"',;&]{4,})")

_about: contextvars.ContextVar[dict[str, str]] = contextvars.ContextVar("labd_about")


@contextmanager
def about(**fields: str) -> Iterator[None]:
    """Every line that is logged inside, in this task and those it starts, carries these: bench, job, run, capture."""
    token = _about.set({**_about.get({}), **fields})
    try:
        yield
    finally:
        _about.reset(token)


def configure(*, as_json: bool, level: int = logging.INFO) -> None:
    """Log to standard error, where systemd and a terminal both find it."""
    handler = logging.StreamHandler(sys.stderr)
    if as_json:
        names = {"asctime": "time", "levelname": "level", "name": "logger"}
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s", rename_fields=names))
    else:
        handler.setFormatter(logging.Formatter(TEXT))
    handler.addFilter(masked)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in ("httpx", "httpcore", "aiohttp"):  # a line a request: a sink makes 170 000 of them a day
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access"):
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True


def masked(record: logging.LogRecord) -> bool:
    """Adds what the line is about, and takes secrets out of its text."""
    for name, value in _about.get({}).items():
        setattr(record, name, value)
    text = record.getMessage()
    clean = SECRET.sub(lambda found: f"{found[1]}{found[2]}***", text)
    if clean != text:
        record.msg, record.args = clean, None
    return True
