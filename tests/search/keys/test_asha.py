"""ASHA: rungs, promotions in Li's order, saved epochs with the best trial kept, and the same after a restart."""

import math
from typing import Any

import numpy as np
import pytest

from dlcli.search.keys.asha import Asha, Job, rung_epochs
from dlcli.search.keys.space import Interval, Space

SPACE: Space = {"rate": Interval(1e-4, 1.0, "log")}


def make(
    num_trials: int | None = 27,
    rungs: tuple[int, ...] = (1, 3, 9, 27),
    seed: int = 0,
    *,
    is_tpe: bool = False,
    brackets: int = 1,
) -> Asha:
    return Asha(SPACE, rungs, reduction=3, num_trials=num_trials, seed=seed, is_tpe=is_tpe, brackets=brackets)


def quality(job: Job) -> float:
    """Best at 1e-2, and rising with the epochs; the order at one epoch is nearly that at the end."""
    return -((math.log10(job.values["rate"]) + 2) ** 2) - 1 / job.epochs


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ((1, 27, 3), (1, 3, 9, 27)),
        ((1, 20, 3), (1, 3, 9, 20)),
        ((2, 5, 4), (2, 5)),
        ((5, 3, 2), (3,)),
        ((1, 1, 3), (1,)),
    ],
)
def test_rungs(arguments: tuple[int, int, int], expected: tuple[int, ...]) -> None:
    assert rung_epochs(*arguments) == expected


def run(
    asha: Asha, told: list[tuple[int, Job, float | None]], limit: int = 1000
) -> list[tuple[int, Job, float | None]]:
    """One worker: asks and tells until nothing is left."""
    for number in range(len(told), limit):
        job = asha.ask(number)
        if job is None:
            break
        told.append((number, job, quality(job)))
        asha.tell(*told[-1])
    return told


def test_one_worker_trains_as_few_epochs_as_successive_halving_and_finds_the_best() -> None:
    told = run(make(), [])
    started = [job for _, job, _ in told if job.parent is None]
    assert len(started) == 27
    by_rung = [sum(job.epochs == epochs for _, job, _ in told) for epochs in (1, 3, 9, 27)]
    assert by_rung[0] == 27
    assert 9 <= by_rung[1] <= 14  # promotions of the first ones, before better ones came, are in excess
    assert by_rung[3] >= 1
    trained = sum(job.epochs for _, job, _ in told if job.parent is None)
    trained += sum(job.epochs - before.epochs for _, job, _ in told for n, before, _ in told if n == job.parent)
    assert trained < 27 * 27 / 3
    best = max(started, key=quality)
    longest = max((job for _, job, _ in told if job.epochs == 27), key=quality)
    assert longest.values == best.values


def test_each_promotion_continues_a_trial_of_the_best_third_once() -> None:
    told = run(make(), [])
    jobs = {number: (job, score) for number, job, score in told}
    parents = [job.parent for _, job, _ in told if job.parent is not None]
    assert len(parents) == len(set(parents))
    for number, job, _ in told:
        if job.parent is None:
            continue
        before, score = jobs[job.parent]
        assert before.values == job.values
        assert job.root is not None
        assert jobs[job.root][0].values == job.values
        rung = [s for n, j, s in told if n < number and j.epochs == before.epochs and s is not None]
        assert sorted(rung, reverse=True).index(score) < len(rung) // 3


def test_trials_of_a_bracket_start_at_its_rung_and_compete_with_each_other() -> None:
    told = run(make(brackets=3), [])
    jobs = {number: job for number, job, _ in told}
    started = [job.epochs for job in jobs.values() if job.parent is None]
    assert started == [1, 3, 9] * 9
    bracket_of = {number: (job if job.root is None else jobs[job.root]).epochs for number, job in jobs.items()}
    for number, job in jobs.items():
        if job.parent is None:
            continue
        before = jobs[job.parent].epochs
        rivals = [n for n in jobs if n < number and jobs[n].epochs == before and bracket_of[n] == bracket_of[number]]
        ranks = sorted(rivals, key=lambda n: -quality(jobs[n]))
        assert ranks.index(job.parent) < len(rivals) // 3
    assert {job.epochs for job in jobs.values()} == {1, 3, 9, 27}


@pytest.mark.parametrize("brackets", [1, 2])
@pytest.mark.parametrize("kept", [0, 1, 7, 20, 38])
def test_a_restart_continues_as_if_it_had_never_stopped(kept: int, brackets: int) -> None:
    whole = run(make(brackets=brackets), [])
    asha = make(brackets=brackets)
    for one in whole[:kept]:
        asha.tell(*one)
    assert run(asha, whole[:kept]) == whole


def test_running_trials_are_not_started_or_promoted_twice() -> None:
    asha = make(num_trials=6)
    first = [asha.ask(number) for number in range(6)]
    assert len({job.values["rate"] for job in first if job is not None}) == 6
    assert asha.ask(6) is None  # nothing left to start, and nothing known to promote
    for number, job in enumerate(first):
        assert job is not None
        asha.tell(number, job, float(-number))
    promoted = [asha.ask(number) for number in range(6, 9)]
    assert [None if job is None else job.parent for job in promoted] == [0, 1, None]


def test_a_failed_trial_is_never_promoted() -> None:
    asha = make(num_trials=9)
    for number in range(9):
        job = asha.ask(number)
        assert job is not None
        assert job.parent is None
        asha.tell(number, job, None)
    assert asha.ask(9) is None
    assert asha.continuable() == set()


def test_checkpoints_that_no_promotion_can_need_are_known() -> None:
    asha, told = make(), []
    for number in range(1000):
        needed = asha.continuable()
        job = asha.ask(number)
        if job is None:
            break
        if job.root is not None:
            assert job.root in needed
        told.append((number, job, quality(job)))
        asha.tell(*told[-1])
        assert len(asha.continuable()) <= 3 * (27 // 3)
    assert len(asha.continuable()) <= 27


def test_without_a_limit_it_goes_on() -> None:
    asha = make(num_trials=None)
    told = run(asha, [], limit=200)
    assert len(told) == 200
    assert {job.epochs for _, job, _ in told} == {1, 3, 9, 27}
    rates = np.array([job.values["rate"] for _, job, _ in told if job.parent is None])
    assert len(np.unique(rates)) > 0.95 * len(rates)  # of four digits, two may be equal


def test_values_of_a_told_job_need_not_be_its_own_object() -> None:
    asha = make(num_trials=3)
    jobs: list[Any] = [asha.ask(number) for number in range(3)]
    for number, job in enumerate(jobs):
        asha.tell(number, Job(dict(job.values), None, None, 1), float(number))
    promoted = asha.ask(3)
    assert promoted is not None
    assert (promoted.parent, promoted.epochs) == (2, 3)


def test_values_that_a_killed_process_was_training_are_drawn_again() -> None:
    asha = make(num_trials=4)
    jobs: list[Any] = [asha.ask(number) for number in range(4)]
    resumed = make(num_trials=4)
    for number in (3, 0, 1):  # 2 was running
        resumed.tell(number, jobs[number], float(number))
    again = resumed.ask(2)
    assert again is not None
    assert again.parent == 3  # a promotion comes first
    started = resumed.ask(4)
    assert started is not None
    assert started.values == jobs[2].values
    assert [resumed.number(trial) for trial in (0, 1, 3, 4)] == [0, 1, 3, 2]


def test_tpe_draws_better_values_than_chance_and_the_same_after_a_restart() -> None:
    pytest.importorskip("optuna")
    distances: dict[bool, list[float]] = {True: [], False: []}
    for seed in range(4):
        for is_tpe, found in distances.items():
            jobs = [job for _, job, _ in run(make(seed=seed, is_tpe=is_tpe), []) if job.parent is None]
            assert len(jobs) == 27
            found += [abs(math.log10(job.values["rate"]) + 2) for job in jobs[10:]]  # after ten random ones
    assert np.mean(distances[True]) < 0.8 * np.mean(distances[False])
    whole = run(make(is_tpe=True), [])
    for kept in (5, 20):
        asha = make(is_tpe=True)
        for one in whole[:kept]:
            asha.tell(*one)
        assert run(asha, whole[:kept]) == whole
