"""The processes of a cluster, connected: they exchange values, agree to stop, and notice a process that is lost.

The chief listens on its address until every worker has joined; TensorFlow's own server then takes over that port, while
the connections stay. Each process sends a sign of life every few seconds. A process whose connection closes, or that is
silent for ``SILENT_SECONDS``, is lost: the others print one line that names it and exit with status 1. A thread does
this, because the main thread may be inside of an all-reduce that waits for the lost process for good.
"""

import contextlib
import hashlib
import json
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

from dlcli import __version__
from dlcli.errors import InputError, Interrupted, Terminated
from dlcli.printing import escaped_line
from dlcli.runtime.cluster import Cluster
from dlcli.runtime.link import Closed, Link, accept_all, connect

BEAT_SECONDS = 5.0  # between signs of life
SILENT_SECONDS = 30.0  # after which a process is lost
GRACE_SECONDS = 3.0  # for the main thread to end by itself, with its own error
STOP_SECONDS = 15.0  # the same after a signal, such as to record it
MAX_REASON = 2000  # characters of another process's error


class Members:
    """The processes of a cluster, seen from one of them. The methods are called by all of them, in the same order."""

    def __init__(self, cluster: Cluster, links: dict[int, Link]) -> None:
        self.cluster = cluster
        self.remedy = ""  # the end of the line about a lost process
        self.on_lost: list[Callable[[str], None]] = []  # called with that line before the process exits
        self._links = links
        self._ending: tuple[str, int, float] | None = None  # line, exit status, and when the thread ends the process
        self._is_armed = True
        for index, link in links.items():
            threading.Thread(target=self._read, args=(index, link), daemon=True).start()
        threading.Thread(target=self._watch, daemon=True).start()

    @property
    def is_chief(self) -> bool:
        return self.cluster.is_chief

    @property
    def size(self) -> int:
        """The number of processes."""
        return self.cluster.size

    def exchange(self, value: Any) -> list[Any]:
        """The values of all processes, the chief's first; each is anything that JSON can express."""
        if not self.is_chief:
            self._links[0].send({"kind": "value"}, json.dumps(value).encode())
            values: list[Any] = json.loads(self._receive(0))
            return values
        values = [value, *(json.loads(self._receive(index)) for index in sorted(self._links))]
        self.from_chief(json.dumps(values).encode())
        return values

    def from_chief(self, content: bytes = b"") -> bytes:
        """The chief's content, which the workers do not have."""
        if not self.is_chief:
            return self._receive(0)
        for link in self._links.values():
            link.send({"kind": "value"}, content)
        return content

    def check_same(self, what: str, value: Any) -> None:
        """Refuse processes that would train something else than the chief.

        Args:
            what: what is compared: ``the recipe``.
            value: anything that JSON can express.

        Raises:
            InputError: the value differs among the processes, which is named in each of them.
        """
        digests = self.exchange(hashlib.sha256(json.dumps(value, sort_keys=True, default=str).encode()).hexdigest())
        others = [self.cluster.describe(i) for i, digest in enumerate(digests) if digest != digests[0]]
        if others:
            raise InputError(
                f"{', '.join(others)}: {what} must be the same as on {self.cluster.describe(0)}. It differs."
            )

    # The end ----------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def reporting(self) -> Iterator[None]:
        """A context of work by all processes: its end, whether by an error or a signal, is reported to the others."""
        try:
            yield
        except Interrupted:  # agreed
            self.leave()
            raise
        except (KeyboardInterrupt, Terminated) as stop:
            number = stop.signal_number if isinstance(stop, Terminated) else signal.SIGINT
            self._tell({"kind": "stop", "signal": int(number)})
            raise
        except Exception as error:
            self._tell({"kind": "failed", "reason": str(error)[:MAX_REASON]})
            raise
        self.leave()

    def leave(self) -> None:
        """Say that this process has done its part: the others do not take its end for a loss."""
        self._tell({"kind": "leave"})

    def settle(self, seconds: float = SILENT_SECONDS + 2 * GRACE_SECONDS) -> None:
        """After an error of a joint operation: waits whether another process is the reason, and then does not return.

        If it returns, the error is this process's own.
        """
        end = time.monotonic() + seconds
        while time.monotonic() < end or self._ending is not None:
            time.sleep(0.1)

    def _tell(self, message: dict[str, Any]) -> None:
        self._is_armed = False
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.send(message, seconds=GRACE_SECONDS)

    # Threads ----------------------------------------------------------------------------------------------------------

    def _receive(self, index: int) -> bytes:
        while True:
            with contextlib.suppress(queue.Empty):  # wakes up for signals
                return self._links[index].values.get(timeout=1.0)

    def _read(self, index: int, link: Link) -> None:
        name = self.cluster.describe(index)
        try:
            while True:
                message, content = link.receive()
                match message.get("kind"):
                    case "value":
                        link.values.put(content)
                    case "leave":
                        link.has_left = True
                        return
                    case "stop":
                        self._stop(name, int(message["signal"]))
                    case "failed":
                        self._end(f"{name}: {escaped_line(str(message['reason']))}", 1)
                    case "lost":
                        self._end(escaped_line(str(message["line"])), 1)
        except (Closed, OSError, ValueError, KeyError, TypeError):
            self._end(f"{name}: its process has ended, or the connection to it is broken.", 1)

    def _stop(self, name: str, number: int) -> None:
        """Handle a signal that another process received as if this one had received it."""
        if number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._end(f"{name}: was stopped by a signal.", 128 + number, STOP_SECONDS)
            os.kill(os.getpid(), number)

    def _end(self, line: str, status: int, seconds: float | None = None) -> None:
        if self._ending is None:
            self._ending = (line, status, time.monotonic() + (GRACE_SECONDS if seconds is None else seconds))

    def _watch(self) -> None:
        beaten = time.monotonic()
        while True:
            time.sleep(0.25)
            now = time.monotonic()
            if now - beaten > BEAT_SECONDS:
                beaten = now
                threading.Thread(target=self._beat, daemon=True).start()  # a full connection would hold this thread up
            for index, link in self._links.items():
                silent = now - link.heard
                if silent > SILENT_SECONDS and not link.has_left:
                    self._end(f"{self.cluster.describe(index)}: has not responded for {silent:.0f} seconds.", 1, 0.0)
            if self._is_armed and self._ending is not None and now > self._ending[2]:
                self._exit(*self._ending[:2])

    def _beat(self) -> None:
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.send({"kind": "beat"}, seconds=BEAT_SECONDS)

    def _exit(self, line: str, status: int) -> NoReturn:
        for link in self._links.values():
            with contextlib.suppress(OSError):
                link.send({"kind": "lost", "line": line}, seconds=1.0)
        for callback in self.on_lost:
            with contextlib.suppress(Exception):
                callback(line)
        with contextlib.suppress(OSError):
            sys.stderr.write(f"{escaped_line(line)}{self.remedy}\n")
            sys.stderr.flush()
            sys.stdout.flush()
        os._exit(status)


def join(cluster: Cluster, *, wait: Callable[[str], None]) -> Members:
    """Connect the processes of a cluster; returns when all have joined.

    Args:
        wait: called every few seconds with a line about which process is missing.

    Raises:
        InputError: a process did not come, runs another version of dlcli or another cluster, or the chief's port is
            not free.
    """
    hello = {
        "cluster": hashlib.sha256(json.dumps([cluster.tasks, cluster.addresses]).encode()).hexdigest(),
        "version": __version__,
        "index": cluster.index,
    }
    links = accept_all(cluster, hello, wait) if cluster.is_chief else {0: connect(cluster, hello, wait)}
    return Members(cluster, links)


@contextlib.contextmanager
def reporting(members: Members | None) -> Iterator[None]:
    """:meth:`Members.reporting`, and nothing for a process that is alone."""
    with contextlib.nullcontext() if members is None else members.reporting():
        yield
