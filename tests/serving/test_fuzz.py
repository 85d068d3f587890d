"""Malformed and random requests: each is answered or loses its connection, and the next one is served."""

import base64
import contextlib
import json
import random
import socket
import threading
from collections.abc import Iterator
from dataclasses import replace

import pytest
from served import (
    CLASSES,
    Client,
    Echo,
    Explaining,
    Shades,
    Teller,
    encoded,
    served,
    serving,
)  # type: ignore[import-not-found]

from dlcli.serving.limits import Limits

IMAGE = encoded(200)
B64 = base64.b64encode(IMAGE).decode()
PATHS = (
    *("/v1/models/shades:predict", "/v1/models/echo:predict", "/v1/models/steps:predict"),
    *("/v2/models/shades/infer", "/v2/models/echo/infer", "/v2/models/steps/infer", "/v1/models/shades:show"),
    *("/v1/models/words:show", "/v1/models/curves:show", "/v1/models/teller:predict", "/v2/models/teller/infer"),
)
FORM = (
    b'--b\r\nContent-Disposition: form-data; name="image"; filename="a.png"\r\nContent-Type: image/png\r\n\r\n'
    + IMAGE
    + b"\r\n--b--\r\n"
)
BODIES = (
    json.dumps({"instances": [{"b64": B64}]}).encode(),
    json.dumps({"instances": ["text"], "signature_name": "serving_default"}).encode(),
    json.dumps({"instances": [[[1, 2], [3, 4]]]}).encode(),
    json.dumps({"instances": [{"text": "Once", "class": "dark"}]}).encode(),
    json.dumps({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1], "data": [B64]}]}).encode(),
    json.dumps({"inputs": [{"name": "series", "datatype": "FP32", "shape": [1, 1, 2], "data": [1, 2]}]}).encode(),
    FORM,
    IMAGE,
)
TYPES = ("application/json", "multipart/form-data; boundary=b", "image/png", "text/plain", "", "x/y", "\xff;;=")
VALUES = (
    b"null",
    b"-1",
    b"1e400",
    b"[]",
    b"{}",
    b'"x"',
    b"true",
    b"[[[[[[[[[[1]]]]]]]]]]",
    b"99999999999999999999",
    b"NaN",
)
POST = b"POST /v1/models/shades:predict HTTP/1.1\r\nHost: localhost\r\n"
RAW = (
    *(b"", b"\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n"),
    *(b"\x00" * 100, b"GET " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 20_000 + b"\r\n",
    b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n",
    b"GET http://localhost/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"CONNECT localhost:80 HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /%00%ff%2e%2e/ HTTP/1.1\r\nHost: localhost\r\n\r\n",
    b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n",
    POST + b"Content-Length: -5\r\n\r\n",
    POST + b"Content-Length: 1e3\r\n\r\n",
    POST + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nabcdef",
    POST + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nx",
    POST + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
    POST + b"Transfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\nx",
    POST + b"Transfer-Encoding: gzip\r\n\r\nx",
    POST + b"Content-Length: 99999999999999999999\r\n\r\nx",
    b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n",
    b"GET / HTTP/1.0\r\n\r\n",
    POST + b"Expect: 100-continue\r\nContent-Length: 3\r\n\r\nabc",
)


@pytest.fixture(scope="module")
def client() -> Iterator[Client]:
    models = [served("shades", Shades()), served("echo", Echo()), served("steps", Echo("series"))]
    models += [served("words", Explaining()), served("curves", Explaining("series"))]
    models += [served("teller", Teller(classes=CLASSES))]
    limits = replace(Limits(), header_seconds=2.0, body_seconds=2.0, max_connections=80)
    with serving(*models, limits=limits) as found:
        yield found


def works(client: Client) -> bool:
    status, body, _ = client.request("POST", PATHS[0], IMAGE, {"Content-Type": "image/png"})
    return status == 200 and json.loads(body)["predictions"][0]["predicted"] == "bright"


def exchange(client: Client, data: bytes) -> bytes:
    """What the server sends for some bytes, after which the client sends nothing more."""
    received = b""
    connection = socket.create_connection((client.host, client.port), timeout=20)
    with connection, contextlib.suppress(BrokenPipeError, ConnectionResetError):
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        while part := connection.recv(65536):
            received += part
    return received


@pytest.mark.parametrize("data", RAW, ids=range(len(RAW)))
def test_bytes_that_are_no_request_of_ours(client: Client, data: bytes) -> None:
    response = exchange(client, data)
    assert response.startswith((b"HTTP/1.1 4", b"HTTP/1.1 2", b"HTTP/1.1 100")) or not response, response[:200]
    assert b"Traceback" not in response
    assert works(client)


def changed(rng: random.Random) -> tuple[str, str, bytes]:
    """A request with one or several mistakes: its path, type and body."""
    body = bytearray(rng.choice(BODIES))
    for _ in range(rng.randrange(4)):
        start = rng.randrange(len(body) + 1)
        match rng.randrange(6):
            case 0:
                del body[start : start + rng.randrange(1, 40)]
            case 1:
                body[start:start] = bytes(rng.randrange(256) for _ in range(rng.randrange(1, 9)))
            case 2:
                body[start:start] = rng.choice(VALUES)
            case 3:
                body += body[start:]
            case 4 if body:
                body[start % len(body)] ^= 1 << rng.randrange(8)
            case _:
                body = body.replace(rng.choice((b'"', b"[", b":", b"1", b"--b", b"\r\n")), rng.choice(VALUES), 1)
    return rng.choice(PATHS), rng.choice(TYPES), bytes(body)


def test_random_changes_of_requests(client: Client) -> None:
    check_random(client, seed=0, number=250)


@pytest.mark.long
def test_many_random_changes_of_requests(client: Client) -> None:
    check_random(client, seed=1, number=20_000)


def check_random(client: Client, *, seed: int, number: int) -> None:
    rng = random.Random(seed)
    statuses: list[int] = []
    for _ in range(number):
        path, content_type, body = changed(rng)
        headers = {"Content-Type": content_type}
        if rng.random() < 0.2:
            headers["Inference-Header-Content-Length"] = rng.choice(("0", "7", "-1", "x", str(len(body))))
        status, response, _ = client.request("POST", path, body, headers)
        assert status in (200, 400, 415), (path, content_type, body, response)
        assert isinstance(json.loads(response.split(b"}\x00")[0]) if status != 200 else {}, dict)
        statuses.append(status)
    assert statuses.count(400) > number // 2
    assert 200 in statuses
    assert not client.reports
    assert works(client)


@pytest.mark.slow
def test_a_thousand_slow_clients(client: Client) -> None:
    """They send a byte now and then; others are served meanwhile."""
    check_slow(client, 1000)


def test_a_hundred_slow_clients(client: Client) -> None:
    check_slow(client, 100)


def check_slow(client: Client, number: int) -> None:
    stop = threading.Event()
    header = POST + b"Content-Length: 1000\r\n\r\n"

    def drip(start: int) -> None:
        connections: list[tuple[socket.socket, int]] = []
        for position in range(start, number, 4):
            with contextlib.suppress(OSError):
                connection = socket.create_connection((client.host, client.port), timeout=5)
                connections.append((connection, position % len(header)))
                connection.sendall(header[: position % len(header) + (200 if position % 3 == 0 else 0)])
        while not stop.wait(0.05):
            for connection, position in connections:
                with contextlib.suppress(OSError):
                    connection.sendall(header[position : position + 1])
        for connection, _ in connections:
            connection.close()

    threads = [threading.Thread(target=drip, args=(start,)) for start in range(4)]
    for thread in threads:
        thread.start()
    try:
        assert all(works(client) for _ in range(20))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert works(client)
    assert client.metrics.evicted.total() > 0
