"""Clients that are slow, many or send too much get a clear answer or lose their connection; others are served."""

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import Any

import pytest
from served import Client, Explaining, Shades, encoded, served, serving  # type: ignore[import-not-found]

from dlcli.serving.limits import Limits

SMALL = Limits(
    max_body=10_000,
    max_bodies=25_000,
    max_queue=4,
    header_seconds=0.3,
    body_seconds=0.3,
    write_seconds=0.3,
    predict_seconds=1.0,
    max_connections=20,
)
PREDICT = "/v1/models/shades:predict"
IMAGE = encoded(200)
PNG = {"Content-Type": "image/png"}


@pytest.fixture(scope="module")
def shades() -> Shades:
    return Shades()


@pytest.fixture(scope="module")
def small(shades: Shades) -> Iterator[Client]:
    with serving(served("shades", shades), limits=SMALL) as client:
        yield client


def connect(client: Client, data: bytes = b"") -> socket.socket:
    connection = socket.create_connection((client.host, client.port), timeout=10)
    connection.sendall(data)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """All that the server sends until it closes the connection."""
    received = b""
    with connection, contextlib.suppress(ConnectionResetError):
        while data := connection.recv(65536):
            received += data
    return received


def works(client: Client) -> bool:
    status, body, _ = client.request("POST", PREDICT, IMAGE, PNG)
    return status == 200 and json.loads(body)["predictions"][0]["predicted"] == "bright"


HEADER = b"POST /v1/models/shades:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"


def test_bodies_that_are_too_large(small: Client) -> None:
    status, body, headers = small.request("POST", PREDICT, b"x" * 10_001, PNG)
    assert (status, json.loads(body)["error"]) == (413, "a request may have at most 10,000 bytes.")
    assert headers["connection"] == "close"
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    assert b" 413 " in answer_of(connect(small, HEADER + b"Transfer-Encoding: chunked\r\n\r\n" + chunk * 3))
    assert works(small)


def test_compressed_bodies(small: Client) -> None:
    assert small.request("POST", PREDICT, b"x", {"Content-Encoding": "gzip"})[0] == 415


def test_slow_headers_and_bodies(small: Client) -> None:
    waiting = [
        connect(small),
        connect(small, b"GET / HT"),
        connect(small, b"GET / HTTP/1.1\r\nHost: localhost\r\nA: b"),
        connect(small, HEADER + b"Content-Length: 100\r\n\r\nabc"),
    ]
    assert works(small)
    for connection in waiting:
        assert answer_of(connection).startswith(b"HTTP/1.1 408 ")
    assert works(small)


def test_bodies_of_all_requests_together_are_bounded(small: Client) -> None:
    header = HEADER + b"Content-Length: 10000\r\n\r\n"
    held = [connect(small, header + b"x" * 9_000) for _ in range(2)]
    wait_until(lambda: len(small.server.server_state.tasks) == 2)
    assert b" 503 " in answer_of(connect(small, header + b"x" * 9_000))
    for connection in held:
        connection.close()
    wait_until(lambda: not small.server.server_state.tasks)
    assert works(small)


def test_a_full_queue(small: Client, shades: Shades) -> None:
    shades.gate.clear()
    answers: list[int] = []
    threads = [
        threading.Thread(target=lambda: answers.append(small.request("POST", PREDICT, IMAGE, PNG)[0])) for _ in "1234"
    ]
    for thread in threads:
        thread.start()
    wait_until(lambda: small.metrics.queue.total() == 4)
    status, body, headers = small.request("POST", PREDICT, IMAGE, PNG)
    assert (status, headers["retry-after"]) == (503, "1")
    assert json.loads(body)["error"] == "the server is busy: 4 samples wait for their prediction. Try again later."
    shades.gate.set()
    for thread in threads:
        thread.join()
    assert answers == [200] * 4
    assert works(small)


def test_a_prediction_that_takes_too_long(small: Client, shades: Shades) -> None:
    shades.gate.clear()
    status, body, headers = small.request("POST", PREDICT, IMAGE, PNG)
    shades.gate.set()
    assert (status, headers["retry-after"]) == (503, "5")
    assert json.loads(body)["error"] == "not predicted within 1 seconds: try again later."
    assert works(small)


def test_more_connections_than_the_server_holds(small: Client) -> None:
    """The oldest of those that send nothing lose theirs, before their time is up."""
    idle = [connect(small) for _ in range(60)]
    assert works(small)
    assert small.metrics.evicted.total() >= 40
    for connection in idle:
        connection.close()


def test_a_client_that_reads_nothing(small: Client) -> None:
    before = small.metrics.evicted.total()
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect((small.host, small.port))
    with contextlib.suppress(OSError):
        connection.settimeout(5)
        connection.sendall(b"GET /openapi.json HTTP/1.1\r\nHost: localhost\r\n\r\n" * 500)
    wait_until(lambda: small.metrics.evicted.total() > before)
    connection.close()
    assert works(small)


def test_a_client_that_goes_away(small: Client) -> None:
    connect(small, HEADER + b"Content-Length: 5000\r\n\r\nabc").close()
    wait_until(lambda: not small.server.server_state.tasks)
    assert not small.reports
    assert works(small)


def test_connections_fit_into_the_files_that_a_process_may_open() -> None:
    assert 1 <= replace(Limits(), max_connections=10**9).num_connections < 10**9


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


class Gated(Explaining):
    """Shows nothing before the gate is open."""

    def __init__(self) -> None:
        super().__init__()
        self.gate, self.waits = threading.Event(), threading.Event()

    def show(self, sample: Any) -> Any:
        self.waits.set()
        assert self.gate.wait(20)
        return super().show(sample)


def test_what_is_shown_keeps_no_prediction_waiting() -> None:
    gated = Gated()
    with serving(served("words", gated)) as client, ThreadPoolExecutor(1) as thread:
        shown = thread.submit(client.post, "/v1/models/words:show", {"instances": ["a splendid"]})
        assert gated.waits.wait(20)
        try:
            (row,) = client.post("/v1/models/words:predict", {"instances": ["b"]})["predictions"]
        finally:
            gated.gate.set()
        assert row["predicted"] == "B"
        assert shown.result(20)["explained"]
