"""A Joulescope behind the publish/subscribe interface of its vendor's package, whose failures become named errors.

pyjoulescope_driver 2.2.12 (read in its binding.pyx): a value is published to a topic and the device's return code awaited; a TimeoutError
is no return code, a RuntimeError one that is not zero (`jsdrv_publish failed 16 NOT_FOUND | what it means | topic`). Subscribers are called
from a thread of the package's own. The package is the extra `joulescope` of labd and is imported when a device on USB is opened.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from typing import Any, Protocol

from labd_instruments.drivers._joulescope_remote import open_remote
from labd_instruments.errors import LinkTimeoutError, NotConnectedError, OutOfRangeError, RefusedError, ReplyError

EXTRA = "pip install 'labd[joulescope]'"
GONE = {4: "IO", 16: "NOT_FOUND", 21: "IN_USE", 22: "CLOSED"}  # of ErrorCode (binding.pyx): nobody is there, or somebody else is
Received = Callable[[str, Any], None]


class Library(Protocol):
    """What is used of `pyjoulescope_driver.Driver`. timeout: seconds, 0 does not wait for the return code."""

    def device_paths(self, timeout: float | None = None) -> list[str]: ...

    def open(self, device_prefix: str, mode: str | None = None, timeout: float | None = None) -> None: ...

    def close(self, device_prefix: str, timeout: float | None = None) -> None: ...

    def publish(self, topic: str, value: Any, timeout: float | None = None) -> None: ...

    def query(self, topic: str, timeout: float | None = None) -> Any: ...

    def subscribe(self, topic: str, flags: str, fn: Received, timeout: float | None = None) -> None: ...

    def unsubscribe(self, topic: str, fn: Received, timeout: float | None = None) -> None: ...

    def finalize(self, timeout: float | None = None) -> None: ...


def address(resource: str) -> tuple[str, int, str]:
    """Host (empty: this machine's USB), port and device path of `joulescope://[HOST:PORT]/u/MODEL/SERIAL`. Raises OutOfRangeError."""
    match = re.fullmatch(r"joulescope://(?:([^/:\s]+):(\d{1,5}))?/(\w/\w+/\w+)", resource)
    if match is None:
        right = "joulescope:///u/js220/SERIAL (its path as `python -m pyjoulescope_driver scan` shows it)"
        raise OutOfRangeError(f"{resource} names no Joulescope, right would be {right}")
    return match[1] or "", int(match[2] or 0), match[3]


def open_joulescope(resource: str, timeout_s: float) -> JoulescopeLink:
    """Open the device as its defaults are. Raises NotConnectedError (not there, in use, no package), LinkTimeoutError, OutOfRangeError."""
    host, port, device = address(resource)
    library = open_remote(host, port, timeout_s) if host else _packaged(resource)
    link = JoulescopeLink(library, resource, device, timeout_s)
    try:
        link.open()
    except BaseException:
        link.close()
        raise
    return link


def _packaged(resource: str) -> Library:
    try:
        from pyjoulescope_driver import Driver
    except ImportError as error:
        raise NotConnectedError(f"{resource}: a Joulescope needs its vendor's package, pyjoulescope_driver ({error}); {EXTRA}") from error
    try:
        library: Library = Driver()
    except (RuntimeError, TimeoutError) as error:
        raise NotConnectedError(f"{resource}: pyjoulescope_driver does not begin: {error}") from error
    return library


class JoulescopeLink:
    """One device. Every method raises LinkTimeoutError, NotConnectedError where it is gone or in use, RefusedError with the code."""

    def __init__(self, library: Library, resource: str, device: str, timeout_s: float) -> None:
        self.resource = resource
        self.device = device
        self.timeout_s = timeout_s
        self._library = library
        self._open = False

    def open(self) -> None:
        """As its defaults are: automatic ranges, no streams."""
        with self._named("looking for devices"):
            there = self._library.device_paths(timeout=self.timeout_s)
        if self.device not in there:
            raise NotConnectedError(f"{self.resource}: there is no {self.device}, there are: {', '.join(there) or 'none'}")
        with self._named("opening"):
            self._library.open(self.device, mode="defaults", timeout=self.timeout_s)
        self._open = True

    def is_there(self) -> bool:
        with self._named("looking for devices"):
            return self.device in self._library.device_paths(timeout=self.timeout_s)

    def publish(self, topic: str, value: int) -> None:
        with self._named(f"{topic} {value}"):
            self._library.publish(f"{self.device}/{topic}", value, timeout=self.timeout_s)

    def query(self, topic: str) -> int:
        """What the package holds for a topic. Raises ReplyError for what is no whole number."""
        with self._named(f"{topic}?"):
            found = self._library.query(f"{self.device}/{topic}", timeout=self.timeout_s)
        if not isinstance(found, int):
            raise ReplyError(f"{self.resource}: {topic} is {found!r}, right would be a whole number")
        return int(found)

    def metadata(self) -> dict[str, Any]:
        """What the device and the package say of each topic: type, default, options."""
        found: dict[str, Any] = {}
        prefix = f"{self.device}/"

        def received(topic: str, value: Any) -> None:
            found[topic.removeprefix(prefix).rstrip("$")] = value

        with self._named("metadata"):
            self._library.subscribe(self.device, "metadata_rsp_retain", received, timeout=self.timeout_s)
            self._library.unsubscribe(self.device, received, timeout=self.timeout_s)
        return found

    def subscribe(self, topic: str, fn: Received) -> None:
        with self._named(f"subscribing to {topic}"):
            self._library.subscribe(f"{self.device}/{topic}", "pub", fn, timeout=self.timeout_s)

    def unsubscribe(self, topic: str, fn: Received) -> None:
        with self._named(f"unsubscribing from {topic}"):
            self._library.unsubscribe(f"{self.device}/{topic}", fn, timeout=self.timeout_s)

    def close(self) -> None:
        """Its ranges stay as they are: nothing is between the supply and the board but its shunt."""
        opened, self._open = self._open, False
        with contextlib.suppress(RuntimeError, TimeoutError, OSError):
            if opened:
                self._library.close(self.device, timeout=self.timeout_s)
        with contextlib.suppress(RuntimeError, TimeoutError, OSError):
            self._library.finalize(timeout=self.timeout_s)

    @contextlib.contextmanager
    def _named(self, doing: str) -> Iterator[None]:
        try:
            yield
        except TimeoutError as error:
            raise LinkTimeoutError(f"{self.resource}: {doing}: {error}") from error
        except OSError as error:
            raise NotConnectedError(f"{self.resource}: {doing}: {error}") from error
        except RuntimeError as error:
            said = re.search(r"failed (\d+) (\w+)", str(error))
            code, name = (int(said[1]), said[2]) if said else (1, "UNSPECIFIED")
            text = f"{self.resource}: {doing}: {error}"
            raise NotConnectedError(text) if code in GONE else RefusedError(text, ((code, name),)) from error
