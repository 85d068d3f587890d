"""Processes that are watched: signals are forwarded, the others of a failed one end, and which was lost is known."""

import signal
from collections.abc import Callable

import pytest

from dlcli.workflow.launch.supervision import GRACE_SECONDS, KILL_SECONDS, Ended, supervise

TERM, KILL, INT = int(signal.SIGTERM), int(signal.SIGKILL), int(signal.SIGINT)


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Fake:
    """A process that ends with a status at a time, or by some signals; each signal it gets is noted with its time."""

    def __init__(
        self, clock: Clock, status: int | None, at: float = 0.0, obeys: tuple[int, ...] = (TERM, KILL, INT)
    ) -> None:
        self._clock = clock
        self._status = status
        self._at = at
        self._obeys = obeys
        self.signals: list[tuple[int, float]] = []

    def poll(self) -> int | None:
        return self._status if self._status is not None and self._clock.now >= self._at else None

    def send(self, number: int) -> None:
        self.signals.append((number, self._clock.now))
        if number in self._obeys:
            self._status, self._at = -number, self._clock.now


def run(*fakes: Callable[[Clock], Fake], received: dict[float, int] | None = None) -> tuple[Ended, list[Fake]]:
    clock = Clock()
    processes = [fake(clock) for fake in fakes]
    signals: list[int] = []

    def sleep(seconds: float) -> None:
        clock.sleep(seconds)
        signals.extend(n for at, n in (received or {}).items() if clock.now - seconds < at <= clock.now)

    return supervise(processes, signals, clock=clock, sleep=sleep), processes


def test_a_worker_that_is_done_first_waits_for_the_chief() -> None:
    ended, processes = run(lambda c: Fake(c, 0, 900.0), lambda c: Fake(c, 0, 5.0))
    assert ended == Ended((0, 0), None, {})
    assert not any(process.signals for process in processes)


def test_a_killed_worker_is_lost_and_the_others_end_by_themselves() -> None:
    ended, processes = run(lambda c: Fake(c, 1, 13.0), lambda c: Fake(c, -KILL, 10.0), lambda c: Fake(c, 1, 14.0))
    assert ended == Ended((1, -KILL, 1), 1, {1: "was killed by SIGKILL"})
    assert ended.status == 1
    assert not any(process.signals for process in processes)


def test_the_others_of_a_failed_one_are_ended() -> None:
    """Here the chief waits for a worker that cannot start; it is not lost."""
    ended, (chief, _) = run(lambda c: Fake(c, None), lambda c: Fake(c, 2, 1.0))
    assert ended == Ended((-TERM, 2), 1, {})
    assert ended.status == 128 + TERM
    assert [number for number, _ in chief.signals] == [TERM]
    assert chief.signals[0][1] == pytest.approx(1 + GRACE_SECONDS, abs=0.5)


def test_a_process_that_hangs_is_killed_and_lost() -> None:
    ended, (_, worker) = run(lambda c: Fake(c, 1, 30.0), lambda c: Fake(c, None, obeys=(KILL,)))
    assert ended == Ended((1, -KILL), 0, {1: "did not respond"})
    assert [number for number, _ in worker.signals] == [TERM, KILL]
    assert worker.signals[1][1] == pytest.approx(30 + GRACE_SECONDS + KILL_SECONDS, abs=1.0)


def test_signals_are_forwarded_and_nobody_is_lost_by_them() -> None:
    ended, processes = run(
        lambda c: Fake(c, 143, 9.0, ()), lambda c: Fake(c, None), lambda c: Fake(c, 0, 1.0), received={5.0: TERM}
    )
    assert ended == Ended((143, -TERM, 0), 1, {})
    assert [[number for number, _ in process.signals] for process in processes] == [[TERM], [TERM], []]
