"""A connection between the chief and a worker: messages of one line of JSON, each with optional content after it."""

import contextlib
import errno
import json
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.runtime.cluster import VARIABLE, Cluster, split_address

JOIN_SECONDS = 600.0  # that the processes of a cluster may start apart
HELLO_SECONDS = 10.0  # for the first message of whoever connects
REPORT_SECONDS = 10.0  # between lines about missing processes
RETRY_SECONDS = 0.2  # between attempts to connect
MAX_LINE = 2**16  # bytes of a message
CHUNK = 2**20  # bytes received at once
MAX_CONTENT = 2**40  # bytes

Hello = Mapping[str, Any]  # the cluster's digest, dlcli's version, the task's index


class Closed(Exception):
    """The other process has closed the connection, or speaks another language."""


class Link:
    """A connection to another process.

    Attributes:
        values: the contents that were received and nobody has taken yet.
        heard: when the last message came, by the monotonic clock.
        has_left: whether the other process has said that it is done.
    """

    def __init__(self, connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.values: queue.Queue[bytes] = queue.Queue()
        self.heard = time.monotonic()
        self.has_left = False
        self._socket = connection
        self._buffer = bytearray()  # received and not yet used
        self._sending = threading.Lock()

    def send(self, message: Mapping[str, Any], content: bytes = b"", *, seconds: float = -1) -> None:
        """Send a message.

        Args:
            seconds: to wait for another message that is being sent; negative for as long as it takes.

        Raises:
            OSError: the connection is broken; or another message takes longer.
        """
        if not self._sending.acquire(timeout=seconds):
            raise TimeoutError
        try:
            self._socket.sendall(json.dumps({**message, "size": len(content)}).encode() + b"\n" + content)
        finally:
            self._sending.release()

    def receive(self) -> tuple[dict[str, Any], bytes]:
        """Wait for the next message.

        Raises:
            Closed: there is none.
            OSError: the connection is broken.
        """
        try:
            message = json.loads(self._line())
            size = message["size"]
        except (ValueError, KeyError, TypeError, RecursionError):
            raise Closed from None
        if not isinstance(message, dict) or not isinstance(size, int) or not 0 <= size <= MAX_CONTENT:
            raise Closed
        while len(self._buffer) < size:
            self._fill()
        content = bytes(self._buffer[:size])
        del self._buffer[:size]
        self.heard = time.monotonic()
        return message, content

    def _line(self) -> bytes:
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE:
                raise Closed
            self._fill()
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _fill(self) -> None:
        received = self._socket.recv(CHUNK)
        if not received:
            raise Closed
        self.heard = time.monotonic()  # also in the middle of much content
        self._buffer += received

    def is_closed(self) -> bool:
        """Whether the other process has closed the connection without a word."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)  # which also wakes up a thread that is reading
        self._socket.close()


class _Waiting:
    """Waits for processes that are missing, up to a limit, and reports them now and then."""

    def __init__(self, report: Callable[[str], None]) -> None:
        self._report = report
        self._started = self._reported = time.monotonic()

    def note(self, missing: str) -> None:
        """Raises InputError when the time is over."""
        now = time.monotonic()
        if now - self._started > JOIN_SECONDS:
            raise InputError(
                f"{VARIABLE}: {missing} has not joined within {JOIN_SECONDS / 60:.0f} minutes. Start every process of "
                "the cluster with the same dlcli command, and check that their machines can reach each other."
            )
        if now - self._reported > REPORT_SECONDS:
            self._reported = now
            self._report(f"waiting for {missing}")


def accept_all(cluster: Cluster, hello: Hello, report: Callable[[str], None]) -> dict[int, Link]:
    """Wait, as the chief, until every worker has connected; the links by the index of their task.

    Raises:
        InputError: a worker is missing, or is of another version; or the port is not free.
    """
    links: dict[int, Link] = {}
    waiting = _Waiting(report)
    with _listening(cluster) as server:
        server.settimeout(RETRY_SECONDS)
        while len(links) < cluster.size - 1:
            missing = next(i for i in range(1, cluster.size) if i not in links)
            try:
                waiting.note(cluster.describe(missing))
            except InputError:
                for link in links.values():
                    link.close()
                raise
            with contextlib.suppress(TimeoutError):
                _welcome(server.accept()[0], hello, links, cluster.size)
    for link in links.values():
        with contextlib.suppress(OSError):  # its thread notices
            link.send({"kind": "welcome"})
    return links


def _listening(cluster: Cluster) -> socket.socket:
    """A socket that listens on this process's port."""
    port = split_address(cluster.addresses[cluster.index])[1]
    try:
        if socket.has_dualstack_ipv6():
            with contextlib.suppress(OSError):
                return socket.create_server(("", port), family=socket.AF_INET6, dualstack_ipv6=True)
        return socket.create_server(("", port))
    except OSError as error:
        remedy = "End the program that uses it, or choose another port" if error.errno == errno.EADDRINUSE else ""
        raise InputError(
            f"{VARIABLE}: cannot listen on port {port} of {cluster.describe(cluster.index)}: "
            f"{os.strerror(error.errno or 0)}. {remedy or 'Choose another port'}."
        ) from None


def _welcome(connection: socket.socket, hello: Hello, links: dict[int, Link], size: int) -> None:
    """Take up who has connected, unless it is none of the workers."""
    connection.settimeout(HELLO_SECONDS)
    link = Link(connection)
    try:
        theirs, _ = link.receive()
    except (Closed, OSError):  # such as a probe of the port
        link.close()
        return
    index = theirs.get("index")
    index = index if isinstance(index, int) else 0
    refusal = None
    if theirs.get("cluster") != hello["cluster"]:
        refusal = f"{VARIABLE}: the chief's describes another cluster. Give every process the same one, but for task."
    elif not 0 < index < size or (index in links and not links[index].is_closed()):
        refusal = f"{VARIABLE}: task.index {index} has joined already. Give every process another one."
    elif theirs.get("version") != hello["version"]:
        refusal = f"dlcli {theirs.get('version')}: the chief runs {hello['version']}. Install the same on all machines."
    if refusal is not None:
        with contextlib.suppress(OSError):
            link.send({"kind": "refused", "reason": refusal})
        link.close()
        return
    connection.settimeout(None)
    if index in links:
        links[index].close()
    links[index] = link


def connect(cluster: Cluster, hello: Hello, report: Callable[[str], None]) -> Link:
    """Connect, as a worker, to the chief, and wait until all have.

    Raises:
        InputError: the chief is missing, or refuses this process; or this process's port is not free.
    """
    _listening(cluster).close()  # only to see that TensorFlow's server will be able to
    waiting = _Waiting(report)
    while True:
        waiting.note(cluster.describe(0))
        try:
            connection = socket.create_connection(split_address(cluster.addresses[0]), timeout=HELLO_SECONDS)
        except OSError:  # not started yet; its name may not even be known yet
            time.sleep(RETRY_SECONDS)
            continue
        link = Link(connection)
        with contextlib.suppress(OSError, Closed):
            link.send({"kind": "hello", **hello})
            connection.settimeout(JOIN_SECONDS)
            message, _ = link.receive()
            connection.settimeout(None)
            if message.get("kind") == "welcome":
                return link
            if message.get("kind") == "refused":
                link.close()
                raise InputError(escaped_line(str(message.get("reason"))))
        link.close()  # the chief was stopped and may be started again; or it is another program
        time.sleep(RETRY_SECONDS)
