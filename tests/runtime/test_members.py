"""The processes of a cluster, here threads of one: they join, exchange values, and notice each other's end."""

import json
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated
from dlcli.runtime import link, members
from dlcli.runtime.cluster import Cluster
from dlcli.runtime.members import Members, join, reporting

SIZE = 3


class Exits(queue.Queue[tuple[str, str, int]]):
    """What the members that lost another one would have done: their name, the line, and the exit status."""


@pytest.fixture
def exits(monkeypatch: pytest.MonkeyPatch) -> Exits:
    noted = Exits()

    def note(self: Members, line: str, status: int) -> None:
        self._is_armed = False  # a process would have ended
        noted.put((self.cluster.tasks[self.cluster.index], line, status))

    monkeypatch.setattr(Members, "_exit", note)
    monkeypatch.setattr(members, "GRACE_SECONDS", 0.0)
    return noted


def clusters(size: int = SIZE) -> list[Cluster]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(size)]
    addresses = tuple(f"127.0.0.1:{server.getsockname()[1]}" for server in servers)
    for server in servers:
        server.close()
    return [Cluster(tuple(f"worker {i}" for i in range(size)), addresses, index) for index in range(size)]


def together(functions: list[Callable[[], Any]]) -> list[Any]:
    """The results of functions that run at the same time, or the errors that they raise."""
    results: list[Any] = [None] * len(functions)

    def call(index: int) -> None:
        try:
            results[index] = functions[index]()
        except Exception as error:
            results[index] = error

    threads = [threading.Thread(target=call, args=(index,), daemon=True) for index in range(len(functions))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    return results


@pytest.fixture
def team(exits: Exits) -> Iterator[list[Members]]:
    waiting: list[str] = []
    joined = together([lambda c=c: join(c, wait=waiting.append) for c in clusters()])  # type: ignore[misc]
    assert all(isinstance(member, Members) for member in joined), joined
    yield joined
    for member in joined:
        member._is_armed = False
        for connection in member._links.values():
            connection.close()


def test_values_are_exchanged_in_the_order_of_the_tasks(team: list[Members]) -> None:
    assert [member.is_chief for member in team] == [True, False, False]
    values = [[0.1 + 0.2, None], [float("inf"), 15], [-0.0, True]]
    received = together([lambda m=m, v=v: m.exchange(v) for m, v in zip(team, values, strict=True)])  # type: ignore[misc]
    assert received == [values] * SIZE
    assert str(received[1][2][0]) == "-0.0"
    content = bytes(range(256)) * 4096
    assert together([lambda m=m: m.from_chief(content if m.is_chief else b"") for m in team]) == [content] * SIZE  # type: ignore[misc]


def test_what_differs_is_refused_by_all(team: list[Members]) -> None:
    assert together([lambda m=m: m.check_same("the recipe", {"a": 1}) for m in team]) == [None] * SIZE  # type: ignore[misc]
    errors = together([lambda m=m: m.check_same("the recipe", m.cluster.index // 2) for m in team])  # type: ignore[misc]
    assert all(isinstance(error, InputError) for error in errors)
    name, chief = team[0].cluster.describe(2), team[0].cluster.describe(0)
    assert {str(error) for error in errors} == {f"{name}: the recipe must be the same as on {chief}. It differs."}


def test_a_member_whose_connection_breaks_is_named(team: list[Members], exits: Exits) -> None:
    lost = team[1]
    lost._is_armed = False
    lost._links[0]._socket.shutdown(socket.SHUT_RDWR)
    name, line, status = exits.get(timeout=30)
    assert (name, status) == ("worker 0", 1)
    assert line == f"{lost.cluster.describe(1)}: its process has ended, or the connection to it is broken."


def test_a_silent_member_is_named(team: list[Members], exits: Exits, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "SILENT_SECONDS", 1.0)
    monkeypatch.setattr(members, "BEAT_SECONDS", 0.05)
    monkeypatch.setattr(team[2], "_beat", lambda: None)
    name, line, status = exits.get(timeout=30)
    assert (name, status) == ("worker 0", 1)
    assert line == f"{team[0].cluster.describe(2)}: has not responded for 1 seconds."


def test_the_error_of_one_is_reported_by_the_others(team: list[Members], exits: Exits) -> None:
    with pytest.raises(CheckFailed), team[2].reporting():
        raise CheckFailed("the loss is\nnot finite")
    name, line, status = exits.get(timeout=30)
    assert (name, status) == ("worker 0", 1)
    assert line == rf"{team[0].cluster.describe(2)}: the loss is\nnot finite"


def test_a_signal_of_one_reaches_the_others(team: list[Members], monkeypatch: pytest.MonkeyPatch) -> None:
    sent: queue.Queue[int] = queue.Queue()
    monkeypatch.setattr(members.os, "kill", lambda pid, number: sent.put(number))
    with pytest.raises(Terminated), team[1].reporting():
        raise Terminated(signal.SIGTERM)
    assert sent.get(timeout=30) == signal.SIGTERM


@pytest.mark.parametrize("stop", [None, Interrupted("agreed", 15)])
def test_who_leaves_is_not_lost(team: list[Members], exits: Exits, stop: Interrupted | None) -> None:
    leaving = team[1]
    try:
        with leaving.reporting():
            if stop is not None:
                raise stop
    except Interrupted:
        pass
    leaving._links[0].close()
    team[0]._links[1].values.put(b"")  # the reader has ended or will: only its verdict counts
    link_of_leaving = team[0]._links[1]
    for _ in range(200):
        if link_of_leaving.has_left:
            break
        threading.Event().wait(0.01)
    assert link_of_leaving.has_left
    assert exits.empty()


def test_a_process_that_is_alone_reports_to_nobody() -> None:
    with reporting(None):
        pass


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"version": "2"}, "dlcli 2: the chief runs 1. Install the same on all machines."),
        ({"cluster": "d"}, "TF_CONFIG: the chief's describes another cluster."),
        ({"index": 7}, "TF_CONFIG: task.index 7 has joined already."),
    ],
)
def test_who_does_not_fit_is_refused(changes: dict[str, Any], message: str) -> None:
    cluster, hello = clusters(2), {"cluster": "c", "version": "1", "index": 1}

    def worker() -> Any:
        with pytest.raises(InputError) as caught:
            link.connect(cluster[1], {**hello, **changes}, lambda line: None)
        return str(caught.value), link.connect(cluster[1], hello, lambda line: None)

    links, (refusal, right) = together([lambda: link.accept_all(cluster[0], hello, lambda line: None), worker])
    assert refusal.startswith(message)
    assert list(links) == [1]  # the chief went on waiting for the right one
    for connection in (links[1], right):
        connection.close()


def test_who_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link, "JOIN_SECONDS", 0.3)
    monkeypatch.setattr(link, "REPORT_SECONDS", 0.0)
    for cluster, missing in zip(clusters(2), ("worker 1", "worker 0"), strict=True):
        lines: list[str] = []
        with pytest.raises(InputError, match=rf"TF_CONFIG: {missing} \(127.0.0.1:\d+\) has not joined within"):
            join(cluster, wait=lines.append)
        assert lines[0] == f"waiting for {cluster.describe(1 - cluster.index)}"


def test_strangers_are_ignored_and_a_dead_worker_is_replaced() -> None:
    cluster = clusters(2)
    hello = {"cluster": "c", "version": "1"}

    def chief() -> Any:
        return link.accept_all(cluster[0], {**hello, "index": 0}, lambda line: None)

    def stranger() -> Any:
        address = ("127.0.0.1", int(cluster[0].addresses[0].split(":")[1]))
        for content in (b"GET / HTTP/1.1\r\n\r\n", b"", b"[]\n", json.dumps({"size": -1}).encode() + b"\n"):
            while True:
                try:
                    connection = socket.create_connection(address)
                    break
                except OSError:
                    threading.Event().wait(0.01)
            connection.sendall(content)
            connection.close()
        return link.connect(cluster[1], {**hello, "index": 1}, lambda line: None)

    links, worker = together([chief, stranger])
    assert list(links) == [1]
    links[1].send({"kind": "value"}, b"content")
    assert worker.receive()[1] == b"content"
    for connection in (links[1], worker):
        connection.close()


def test_a_port_in_use_is_refused() -> None:
    with socket.create_server(("", 0)) as server:
        port = server.getsockname()[1]
        cluster = Cluster(("worker 0", "worker 1"), (f"127.0.0.1:{port}", "127.0.0.1:1"), 0)
        with pytest.raises(InputError, match=f"cannot listen on port {port} of worker 0"):
            join(cluster, wait=lambda line: None)
