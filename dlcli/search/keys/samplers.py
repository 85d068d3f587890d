"""Methods that choose the values of trials: all combinations, at random, or by TPE.

A trial is asked for by its number; the trials that were reported decide, in their order. A higher score is better, and
None is a trial that failed.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from dlcli.search.keys.space import Draws, Interval, Options, Space, Values, grid

NUM_STARTUP = 10  # random trials before the model of TPE, as in Optuna


class Sampler(Protocol):
    """A method that chooses the values of trials."""

    def ask(self, number: int) -> Values | None:
        """The values of the trial with this number, from 0; None if there are none left."""

    def tell(self, values: Values, score: float | None) -> None:
        """A trial has ended."""


class Grid:
    """All combinations, in order."""

    def __init__(self, space: Mapping[str, Options]) -> None:
        self._all = grid(space)

    def ask(self, number: int) -> Values | None:
        return self._all[number] if number < len(self._all) else None

    def tell(self, values: Values, score: float | None) -> None:
        """Nothing depends on it."""


class Random:
    """Independent random values (Bergstra and Bengio 2012)."""

    def __init__(self, space: Space, seed: int) -> None:
        self._draws = Draws(space, seed)

    def ask(self, number: int) -> Values | None:
        return self._draws.draw(number)

    def tell(self, values: Values, score: float | None) -> None:
        """Nothing depends on it."""


class Tpe:
    """The tree-structured Parzen estimator (Bergstra et al. 2011) of Optuna, after ten random trials.

    Each trial gets a study of its own with the trials so far, so that a trial is the same after a restart.
    """

    def __init__(self, space: Space, seed: int) -> None:
        import optuna

        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._seed = seed
        self._told: list[tuple[Values, float]] = []
        self._stopped: list[tuple[Values, float, int]] = []

    def ask(self, number: int) -> Values:
        import optuna

        seed = int(np.random.SeedSequence([self._seed, number]).generate_state(1)[0])
        sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=NUM_STARTUP)
        study = study_of(self._space, self._told, sampler, self._stopped)
        found = study.ask(distributions(self._space)).params
        return {key: _value(axis, found[key]) for key, axis in self._space.items()}

    def tell(self, values: Values, score: float | None) -> None:
        if score is not None:
            self._told.append((values, score))

    def tell_stopped(self, values: Values, score: float, epochs: int) -> None:
        """A trial has paused or stopped early; Optuna ranks such trials below complete ones, by epochs, then score."""
        self._stopped.append((values, score, epochs))


def importances(space: Space, told: list[tuple[Values, float]], seed: int) -> dict[str, float]:
    """The share of the variance of the scores that each key explains, the largest first: fANOVA (Hutter et al. 2014).

    Args:
        told: values and scores of at least two trials; if all scores are equal, every share is 0.
    """
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    if len({score for _, score in told}) < 2:
        return dict.fromkeys(space, 0.0)
    study = study_of(space, told, None)
    evaluator = optuna.importance.FanovaImportanceEvaluator(seed=seed)
    found = optuna.importance.get_param_importances(study, evaluator=evaluator)
    return {key: float(share) for key, share in found.items()}


def study_of(
    space: Space,
    told: list[tuple[Values, float]],
    sampler: Any,
    stopped: Sequence[tuple[Values, float, int]] = (),
) -> Any:
    """An Optuna study in memory with these trials, of which some were stopped after some epochs."""
    import optuna

    study = optuna.create_study(direction="maximize", sampler=sampler)
    named = distributions(space)
    for values, score in told:
        params = {key: _number(axis, values[key]) for key, axis in space.items()}
        study.add_trial(optuna.trial.create_trial(params=params, distributions=named, value=score))
    for values, score, epochs in stopped:
        params = {key: _number(axis, values[key]) for key, axis in space.items()}
        pruned = optuna.trial.TrialState.PRUNED
        known = {"params": params, "distributions": named, "intermediate_values": {epochs: score}}
        study.add_trial(optuna.trial.create_trial(state=pruned, **known))
    return study


def distributions(space: Space) -> dict[str, Any]:
    """The axes as Optuna has them; values of any kind by their index."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    named: dict[str, Any] = {}
    for key, axis in space.items():
        if isinstance(axis, Options):
            named[key] = CategoricalDistribution(range(len(axis.values)))
        elif axis.scale == "whole":
            named[key] = IntDistribution(int(axis.low), int(axis.high))
        else:
            named[key] = FloatDistribution(axis.low, axis.high, log=axis.scale == "log")
    return named


def _value(axis: Interval | Options, found: Any) -> Any:
    if isinstance(axis, Options):
        return axis.values[found]
    return int(found) if axis.scale == "whole" else axis.rounded(float(found))


def _number(axis: Interval | Options, value: Any) -> Any:
    """The inverse of `_value`."""
    if not isinstance(axis, Options):
        return value
    return next(index for index, option in enumerate(axis.values) if same(option, value))


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal, one of them maybe read from JSON: a list is equal to a tuple, 1 is not to true."""
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return isinstance(one, bool) == isinstance(other, bool) and bool(one == other)
