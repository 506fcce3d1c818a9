"""Whether numba is there (extra `fast`), for who has loops over every sample."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from importlib import import_module
from types import ModuleType

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger(__name__)


@cache
def compiled(module: str) -> ModuleType | None:
    """A module of loops that numba compiles, None without numba. The first call loads it, which takes half a second, and some where nothing
    was compiled before: it pays in a process that goes on."""
    try:
        return import_module(module)
    except ImportError:  # not installed, or not for this numpy
        return None
    except Exception as error:  # noqa: BLE001  numpy does the same, whatever is wrong with numba here
        log.warning("numba is installed and cannot be used: %s", error)
        return None


@cache
def rows() -> Callable[..., None] | None:
    """`labd.compiled.rows`, None without numba."""
    found = compiled("labd.compiled")
    return None if found is None else found.rows


def loaded() -> Callable[..., None] | None:
    """The same for who cannot wait, as an event loop's thread: None also as long as nobody has called `rows` to its end."""
    return rows() if rows.cache_info().currsize else None


def plain(values: NDArray[np.generic]) -> bool:
    """Whether they are as a compiled loop takes them."""
    return values.dtype == np.float32 and values.flags.c_contiguous and values.flags.aligned
