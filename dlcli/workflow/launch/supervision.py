"""Processes that train together, watched until all have ended: signals are forwarded, and none outlives the others."""

import contextlib
import signal
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from dlcli.errors import STOP_SIGNALS

POLL_SECONDS = 0.2
GRACE_SECONDS = 45.0  # for the others to notice that one is lost, and to end; they need up to 30
KILL_SECONDS = 10.0  # from SIGTERM to SIGKILL


class Process(Protocol):
    """A process of this machine or another one."""

    def poll(self) -> int | None:
        """Its exit status, or the negative number of the signal that killed it; None while it runs."""

    def send(self, number: int) -> None:
        """Send a signal; do nothing if it has ended."""


@dataclass(frozen=True)
class Ended:
    """How the processes have ended.

    Attributes:
        statuses: exit statuses; negative numbers of signals for those that were killed.
        first: the index of the one that failed first; None if none did.
        lost: why each process was lost that was killed by someone else, crashed, or did not respond any more.
    """

    statuses: tuple[int, ...]
    first: int | None
    lost: dict[int, str]

    @property
    def status(self) -> int:
        """The exit status of the chief; 128 + N if signal N has killed it."""
        chief = self.statuses[0]
        return chief if chief >= 0 else 128 - chief


def supervise(
    processes: Sequence[Process],
    received: Sequence[int],
    *,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Ended:
    """Watch processes until all have ended, the chief first.

    When one has failed, or the chief has ended, the others have some time to end too; then they get SIGTERM, and
    SIGKILL in the end.

    Args:
        received: stop signals that this process has received so far, which grows; each is forwarded to all.
    """
    statuses: dict[int, int] = {}
    lost: dict[int, str] = {}
    first, num_forwarded, sent = None, 0, 0
    deadline: float | None = None
    while True:
        for index, process in enumerate(processes):
            status = None if index in statuses else process.poll()
            if status is None:
                continue
            statuses[index] = status
            if status < 0 and not sent and not received:
                lost[index] = f"was killed by {_name(-status)}"
            if status != 0 and first is None:
                first = index
            if deadline is None and (status != 0 or index == 0):
                deadline = clock() + GRACE_SECONDS
        running = [process for index, process in enumerate(processes) if index not in statuses]
        if not running:
            return Ended(tuple(statuses[index] for index in range(len(processes))), first, lost)
        for number in received[num_forwarded:]:
            num_forwarded += 1
            for process in running:
                process.send(number)
        if deadline is not None and clock() >= deadline:
            sent, deadline = (signal.SIGKILL if sent else signal.SIGTERM), clock() + KILL_SECONDS
            for index, process in enumerate(processes):
                if index not in statuses:
                    if sent == signal.SIGKILL and not received:
                        lost.setdefault(index, "did not respond")
                    process.send(sent)
        sleep(POLL_SECONDS)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:  # one without a name
        return f"signal {number}"


@contextlib.contextmanager
def collecting_signals() -> Iterator[list[int]]:
    """A context in which stop signals are collected in a list; those that are ignored, as under nohup, stay ignored."""
    received: list[int] = []
    handled = [number for number in STOP_SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
    earlier = {number: signal.signal(number, lambda number, frame: received.append(number)) for number in handled}
    try:
        yield received
    finally:
        for number, handler in earlier.items():
            signal.signal(number, handler)
