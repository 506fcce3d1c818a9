"""GUM Supplement 1: the coverage interval of a value from draws of the errors it depends on."""

from __future__ import annotations

import hashlib
import math

import numpy as np
from numpy.typing import NDArray

from labd.kpi.terms import Term, Uncertain, parts

DRAWS = 20_000
LEVEL = 0.95
_KEPT = 128  # draws of Student's t, those last asked for: figures of one sweep rest on the same errors over and over
_EXACT_BELOW = 4.0  # degrees of freedom under which the cube-root approximation of chi-squared is not used


class Draws:
    """One matrix of draws for all values of a capture (or a sweep): a row a shared error, seeded by `seed` and the error's name."""

    def __init__(self, seed: int, key: str, *, size: int = DRAWS) -> None:
        self.size = size
        self._seed = [seed, _number(key)]
        self._rows: dict[str, NDArray[np.float64]] = {}
        self._of_t: dict[tuple[int, float], NDArray[np.float64]] = {}

    def _generator(self, name: str) -> np.random.Generator:
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence([*self._seed, _number(name)])))

    def _shared(self, term: Term) -> NDArray[np.float64]:
        row = self._rows.get(term.name)
        if row is None:
            rng = self._generator(term.name)
            row = rng.uniform(-1.0, 1.0, self.size) if term.distribution == "rectangular" else rng.standard_normal(self.size)
            self._rows[term.name] = row
        return row

    def _own(self, number: int, dof: float) -> NDArray[np.float64]:
        """Draws of the number-th Type A error of one value. Errors that no two values share may share their draws."""
        z = self._shared(Term(f"own.z{number}", "A", "normal"))
        if math.isinf(dof) or dof > 1e4:
            return z
        found = self._of_t.pop((number, dof), None)
        if found is None:
            found = self._t(number, dof, z)
        self._of_t[number, dof] = found
        if len(self._of_t) > _KEPT:
            del self._of_t[next(iter(self._of_t))]
        return found

    def _t(self, number: int, dof: float, z: NDArray[np.float64]) -> NDArray[np.float64]:
        if dof < _EXACT_BELOW:
            return self._generator(f"own.t{number}.{dof!r}").standard_t(dof, self.size)
        w = self._shared(Term(f"own.w{number}", "A", "normal"))
        c = 2 / (9 * dof)  # Wilson and Hilferty 1931: chi2/dof is nearly the cube of a normal
        out: NDArray[np.float64] = z / np.maximum(1 - c + math.sqrt(c) * w, 1e-3) ** 1.5
        return out

    def errors(self, value: Uncertain) -> NDArray[np.float64]:
        """Draws of value minus its nominal value, float64 [size]."""
        total = np.zeros(self.size)
        own = 0
        for variable, c in parts(value):
            term: Term = variable.tag
            if term.distribution == "unknown":
                continue
            if term.distribution == "t":
                total += c * self._own(own, float(term.dof or 1.0))
                own += 1
            else:
                total += c * self._shared(term)
        return total

    def half_width(self, value: Uncertain) -> float:
        """Half-width of the 95 % interval. Every error is symmetric about zero, so the interval is, and both tails serve to find it."""
        errors = np.abs(self.errors(value))
        rank = math.ceil(LEVEL * self.size) - 1
        return float(np.partition(errors, rank)[rank])


def _number(name: str) -> int:
    return int.from_bytes(hashlib.blake2b(name.encode(), digest_size=8).digest(), "little")
