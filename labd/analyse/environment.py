"""The machine and the packages that figures were computed with: what bit-for-bit reproduction depends on."""

from __future__ import annotations

import platform
import sys
from importlib import metadata
from typing import Any

import numpy as np

PACKAGES = ("labd", "numpy", "pyarrow", "pyvisa", "pyvisa-py", "uncertainties")


def versions() -> dict[str, str]:
    """Package (and `python`) -> version; `unknown` for one that is not installed as a package."""
    return {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()}


def environment() -> dict[str, Any]:
    """Machine type, CPU features as numpy found them, and the linear algebra library behind it."""
    config: Any = np.show_config(mode="dicts")
    return {
        "machine": platform.machine(),
        "system": platform.platform(),
        "python": sys.version.split()[0],
        "blas": config["Build Dependencies"]["blas"]["name"],
        "simd": config["SIMD Extensions"].get("found", []),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "unknown"
