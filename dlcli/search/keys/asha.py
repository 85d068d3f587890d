"""Asynchronous successive halving: most trials stop after few epochs, and the best of each rung continue.

Sources: Li et al. 2018, "A system for massively parallel hyperparameter tuning", algorithm 2; for brackets Li et al.
2017, "Hyperband: a novel bandit-based approach to hyperparameter optimization", which the former runs asynchronously.
"""

import bisect
import itertools
import math
from dataclasses import dataclass

from dlcli.search.keys.samplers import Tpe, same
from dlcli.search.keys.space import Draws, Space, Values

MAX_LOST = 256  # trials that a killed process was running: no sweep has more workers


def rung_epochs(min_epochs: int, max_epochs: int, reduction: int) -> tuple[int, ...]:
    """The epochs after which trials are compared: ``min_epochs``, ``reduction`` times as many, …, ``max_epochs``."""
    epochs = [min(min_epochs, max_epochs)]
    while epochs[-1] < max_epochs:
        epochs.append(min(epochs[-1] * reduction, max_epochs))
    return tuple(epochs)


@dataclass(frozen=True)
class Job:
    """What to train next.

    Attributes:
        values: of the trial.
        root: the trial that started with these values; None if this one does.
        parent: the trial that is continued; None if this one starts.
        epochs: to train to, from the start.
    """

    values: Values
    root: int | None
    parent: int | None
    epochs: int


class Asha:
    """Promotes a trial as soon as it is among the best ``1 / reduction`` of its rung; else starts another one.

    Args:
        space: what to draw the values from.
        rungs: the epochs of each rung, ascending.
        reduction: one trial in this many continues.
        num_trials: number of trials that are started; None for no limit.
        seed: of what is drawn.
        is_tpe: whether values are chosen by TPE, by what is known of all trials so far, in place of at random.
        brackets: of Hyperband, at most as many as rungs. Trials go to each in turn; those of bracket b, from 0, start
            with the epochs of rung b, and are compared with each other.
    """

    def __init__(
        self,
        space: Space,
        rungs: tuple[int, ...],
        *,
        reduction: int,
        num_trials: int | None,
        seed: int,
        is_tpe: bool = False,
        brackets: int = 1,
    ) -> None:
        self._space = space
        self._seed = seed
        self._draws = None if is_tpe else Draws(space, seed)
        self._latest: dict[int, tuple[Values, float, int]] = {}  # values, score and epochs of the trials that started
        self._epochs = rungs
        self._reduction = reduction
        self._num_trials = num_trials
        self._brackets = brackets
        # (-score, trial), the best first, of each rung of each bracket
        self._rungs: list[list[list[tuple[float, int]]]] = [[[] for _ in rungs] for _ in range(brackets)]
        self._continued: set[int] = set()  # trials that were promoted, or are being continued
        self._running: dict[int, Job] = {}
        self._numbers: dict[int, int] = {}  # of what is drawn, of the trials that were started or are running
        self._jobs: dict[int, Job] = {}

    def ask(self, trial: int) -> Job | None:
        """What to train as this trial; None if nothing is left, or that depends on trials that are running."""
        job = self._promotion() or self._start()
        if job is not None:
            self._running[trial] = job
            if job.parent is None:
                self._numbers[trial] = self._free_number()
            else:
                self._continued.add(job.parent)
        return job

    def _promotion(self) -> Job | None:
        for rung, bracket in itertools.product(reversed(range(len(self._epochs) - 1)), range(self._brackets)):
            done = self._rungs[bracket][rung]
            for negative, trial in done[: len(done) // self._reduction]:
                if trial not in self._continued and negative < math.inf:
                    told = self._jobs[trial]
                    root = trial if told.root is None else told.root
                    return Job(told.values, root, trial, self._epochs[rung + 1])
        return None

    def _start(self) -> Job | None:
        if self._num_trials is not None and len(self._numbers) >= self._num_trials:
            return None
        number = self._free_number()
        values = self._values(number)
        return None if values is None else Job(values, None, None, self._epochs[number % self._brackets])

    def _values(self, number: int) -> Values | None:
        if self._draws is not None:
            return self._draws.draw(number)
        tpe = Tpe(self._space, self._seed)
        for values, score, epochs in self._latest.values():
            if epochs == self._epochs[-1]:
                tpe.tell(values, score)
            else:
                tpe.tell_stopped(values, score, epochs)
        return tpe.ask(number)

    def _free_number(self) -> int:
        """The smallest number that no trial has: one that a killed process was running is drawn again."""
        used = set(self._numbers.values())
        return next(number for number in itertools.count() if number not in used)

    def _number_of(self, values: Values) -> int:
        """The number of which these values are drawn; the smallest free one if that is unknown, as with TPE."""
        if self._draws is None:
            return self._free_number()
        used = set(self._numbers.values())
        candidates = (number for number in range(len(used) + MAX_LOST) if number not in used)
        known = (number for number in candidates if same(self._draws.draw(number), values))
        return next(known, self._free_number())

    def number(self, trial: int) -> int:
        """The number of a trial that was started, from 0 in the order in which values are drawn."""
        return self._numbers[trial]

    def tell(self, trial: int, job: Job, score: float | None) -> None:
        """A trial has reached its rung; without a score it counts as the worst."""
        self._running.pop(trial, None)
        self._jobs[trial] = job
        if job.parent is not None:
            self._continued.add(job.parent)
        elif trial not in self._numbers:
            self._numbers[trial] = self._number_of(job.values)
        if score is not None:
            self._latest[self._root(trial, job)] = job.values, score, job.epochs
        rung, bracket = (self._epochs.index(one.epochs) for one in (job, self._jobs[self._root(trial, job)]))
        bisect.insort(self._rungs[bracket][rung], (math.inf if score is None else -score, trial))

    def continuable(self) -> set[int]:
        """The roots of the trials that run or may still be promoted: all others need no checkpoint any more.

        No rung has more trials than are started, so that one with a rank beyond ``num_trials // reduction`` stays.
        """
        found = {self._root(trial, job) for trial, job in self._running.items()}
        limit = None if self._num_trials is None else self._num_trials // self._reduction
        for done in itertools.chain.from_iterable(rungs[:-1] for rungs in self._rungs):
            found |= {
                self._root(trial, self._jobs[trial])
                for negative, trial in done[:limit]
                if trial not in self._continued and negative < math.inf
            }
        return found

    @staticmethod
    def _root(trial: int, job: Job) -> int:
        return trial if job.root is None else job.root
