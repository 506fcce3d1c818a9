"""Which candidate is tried next: Optuna's samplers over a study that outlives the process."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from labd.errors import NotFound
from labd.search.space import Choice, Space, Value

if TYPE_CHECKING:
    import optuna

SAME_AGAIN = 20  # proposals of what is known already, after which one that is not is taken by chance
START = 8  # candidates by chance before there is anything to learn from
POPULATION = 8
MISSING = 'a search needs optuna: pip install "labd[search]"'
_KEY = "choice"


@dataclass(frozen=True, slots=True)
class Asked:
    """number: of the candidate, unique in its study and the same when it is asked for again after a crash."""

    number: int
    choice: Choice


class Study:
    """Blocking; used by one thread. Every step is in the file before the next one; what was asked for and not told is asked for again.

    The sampler is seeded anew for each candidate, by seed and number: a search that was killed goes on as it would have gone on.
    Raises NotFound without Optuna.
    """

    def __init__(self, path: Path, space: Space, *, maximise: Sequence[bool], method: Literal["tpe", "nsga2"], seed: int) -> None:
        self._optuna = _optuna()
        self._space = space
        self._maximise = tuple(maximise)
        self._method = method
        self._seed = seed
        self._storage = self._optuna.storages.RDBStorage(f"sqlite:///{path}")
        directions = ["maximize" if one else "minimize" for one in maximise]
        self._study = self._optuna.create_study(storage=self._storage, study_name="search", directions=directions, load_if_exists=True)

    def close(self) -> None:
        self._storage.remove_session()
        self._storage.engine.dispose()

    def open_questions(self) -> list[Asked]:
        """Asked for by a process that died, not told; one that was not asked for whole is given up."""
        found = []
        for trial in self._study.get_trials(deepcopy=False, states=(self._optuna.trial.TrialState.RUNNING,)):
            if len(trial.params) == len(self._space.dimensions):
                found.append(Asked(trial.number, self._choice(trial.params)))
            else:
                self.fail(trial.number)
        return found

    def ask(self) -> Asked | None:
        """The next candidate, one that was not asked for before; None where there is none left."""
        same = 0
        while True:
            known = self._known()
            if len(known) >= self._space.size:
                return None
            if same >= SAME_AGAIN:
                free = self._free(known)
                if free is None:
                    return None
                self._study.enqueue_trial(self._parameters(free))
            self._study.sampler = self._sampler(len(self._study.get_trials(deepcopy=False)))
            trial = self._study.ask()
            choice = {name: self._suggested(trial, name, values) for name, values in self._space.dimensions.items()}
            before = known.get(_key(choice))
            if before is None:
                return Asked(trial.number, choice)
            self._repeat(trial, before)
            same += 1

    def tell(self, number: int, values: Sequence[float] | None, violations: Mapping[str, float]) -> None:
        """values: of the objectives, None where it was stopped before all of them were measured. violations: by target, how far beyond it,
        as a share of it; at most 0 where it is met."""
        trial = self._optuna.trial.Trial(self._study, self._trial_id(number))
        for name in sorted(violations.keys() - trial.constraints.keys()):  # a kill in between leaves some of them told
            trial.set_constraint(name, violations[name])
        worst = [-math.inf if one else math.inf for one in self._maximise]
        self._study.tell(number, list(worst if values is None else values), skip_if_finished=True)

    def fail(self, number: int) -> None:
        """Nothing is known of it, or ever will be."""
        self._study.tell(number, state=self._optuna.trial.TrialState.FAIL, skip_if_finished=True)

    def _trial_id(self, number: int) -> int:
        return int(self._study.get_trials(deepcopy=False)[number]._trial_id)

    def _repeat(self, trial: optuna.Trial, before: optuna.trial.FrozenTrial) -> None:
        """A proposal of what is known already: told the same, so that the sampler goes on."""
        if before.values is None:
            self.fail(trial.number)
        else:
            self.tell(trial.number, before.values, before.constraints)

    def _known(self) -> dict[str, optuna.trial.FrozenTrial]:
        """The first trial of each choice, by its key; what was killed before it was asked for whole is none."""
        found: dict[str, optuna.trial.FrozenTrial] = {}
        for trial in self._study.get_trials(deepcopy=False):
            if len(trial.params) == len(self._space.dimensions):
                found.setdefault(_key(self._choice(trial.params)), trial)
        return found

    def _free(self, known: Mapping[str, object]) -> dict[str, Value] | None:
        return next((choice for choice in self._space.listed(seed=self._seed) if _key(choice) not in known), None)

    def _sampler(self, number: int) -> optuna.samplers.BaseSampler:
        seed = (self._seed * 1_000_003 + number) % 2**32
        samplers = self._optuna.samplers
        chosen: optuna.samplers.BaseSampler = (
            samplers.TPESampler(seed=seed, n_startup_trials=START)
            if self._method == "tpe"
            else samplers.NSGAIISampler(seed=seed, population_size=POPULATION)
        )
        return chosen

    def _suggested(self, trial: optuna.Trial, name: str, values: Sequence[Value]) -> Value:
        """Numbers by their place in order, so that the sampler can tell near from far."""
        if _numbers(values):
            return values[trial.suggest_int(name, 0, len(values) - 1)]
        return str(trial.suggest_categorical(name, [str(value) for value in values]))

    def _choice(self, parameters: Mapping[str, Any]) -> dict[str, Value]:
        """Of what a trial has stored."""
        return {name: values[parameters[name]] if _numbers(values) else parameters[name] for name, values in self._space.dimensions.items()}

    def _parameters(self, choice: Choice) -> dict[str, Any]:
        return {name: values.index(choice[name]) if _numbers(values) else choice[name] for name, values in self._space.dimensions.items()}


def _numbers(values: Sequence[Value]) -> bool:
    return not any(isinstance(value, str) for value in values)


def _key(choice: Choice) -> str:
    return "\0".join(f"{name}={value}" for name, value in sorted(choice.items()))


def _optuna() -> Any:
    """Raises NotFound."""
    try:
        import optuna
    except ImportError as error:
        raise NotFound(MISSING) from error
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    logging.getLogger("alembic").setLevel(logging.ERROR)
    return optuna
