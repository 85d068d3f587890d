"""``dlcli serve`` as a process: it predicts as ``dlcli predict`` does, drains on signals, refuses what is unsafe."""

import contextlib
import json
import os
import random
import shutil
import signal
import socket
import threading
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from hostile_runs import OLD, VALUES, exchange, paths_in  # type: ignore[import-not-found]
from PIL import Image
from predictors import predictor_of  # type: ignore[import-not-found]

from dlcli.errors import InputError
from dlcli.printing import json_text
from dlcli.rundir.directory import RunDir
from dlcli.workflow.serve import card_of

OLD_RUN = str(OLD / "digits")
TOKEN = "correct horse battery staple"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "image.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (12, 12), np.uint8)).save(path)
    return path


def address_of(process: processes.Process) -> str:
    """The line on stdout that says where the server listens."""
    processes.wait_until(lambda: "\n" in process._read("out") or not process.is_alive())
    assert process.is_alive(), process.finish()
    return str(process._read("out").strip())


def post(url: str, body: bytes, content_type: str) -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=60) as response:
        return json.load(response)


@pytest.mark.slow
def test_a_model_is_served_as_it_predicts(trained: Path, image: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in trained.rglob("*")}
    shown = processes.run("predict", trained, image, "--top", "10", "--json", folder=tmp_path).expect(0)
    (expected,) = json.loads(shown.stdout)["predictions"]
    process = processes.start("serve", trained, "--port", "0", folder=tmp_path)
    address = address_of(process)
    (row,) = post(f"{address}/v1/models/tiny:predict?top=10", image.read_bytes(), "image/png")["predictions"]
    assert row["predicted"] == expected["predicted"]
    pairs = [(entry["class"], pytest.approx(entry["probability"], abs=1e-5)) for entry in expected["top"]]
    assert [(entry["class"], entry["probability"]) for entry in row["top"]] == pairs
    card = json.load(urllib.request.urlopen(f"{address}/v1/models", timeout=60))["models"][0]["card"]
    assert str(tmp_path.parent) not in json.dumps(card)
    assert card["headline"][0] == "test_accuracy"
    process.send(signal.SIGTERM)
    done = process.finish().expect(143)
    assert done.stderr.endswith("stopped by SIGTERM after 2 requests.\n")
    assert {path: path.stat().st_mtime_ns for path in trained.rglob("*")} == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "status"),
    [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)],
    ids=["INT", "TERM", "HUP"],
)
def test_a_request_at_work_is_answered_when_the_server_stops(
    trained: Path, image: Path, tmp_path: Path, number: int, status: int
) -> None:
    process = processes.start("serve", trained, "--port", "0", folder=tmp_path)
    host, _, port = address_of(process).removeprefix("http://").partition(":")
    body = image.read_bytes()
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        header = "POST /v1/models/tiny:predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/png\r\n"
        connection.sendall(f"{header}Content-Length: {len(body)}\r\n\r\n".encode() + body[:50])
        urllib.request.urlopen(f"http://{host}:{port}/v2/health/live", timeout=60).close()  # the server has read that
        process.send(number)
        connection.sendall(body[50:])
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 200 ")
    process.finish().expect(status)


@pytest.mark.slow
def test_the_map_of_the_page_is_that_of_explain(trained: Path, image: Path, tmp_path: Path) -> None:
    run = shutil.copytree(trained, tmp_path / "tiny")
    processes.run("explain", run, image, "--method", "gradcam", folder=tmp_path).expect(0)
    with np.load(run / "explanations" / "gradcam" / "maps.npz") as file:
        expected = file["gradcam"]
    predictor = predictor_of(trained)
    shown = predictor.show(predictor.read(image.read_bytes()))
    assert shown.attribution == pytest.approx(expected[0], abs=1e-4)
    assert shown.view[:, :, 0] == pytest.approx(np.asarray(Image.open(image)))
    assert shown.mask is None
    assert shown.explained.split()[0].strip(",") in predictor.classes


def test_the_card_of_a_run_that_anyone_may_have_written(tmp_path: Path) -> None:
    run = tmp_path / "hostile"
    run.mkdir()
    info = json.loads((OLD / "digits" / "run.json").read_text())
    rng = random.Random(0)
    for path in rng.sample(paths_in(info), 100):
        changed = json.loads(json.dumps(info))
        exchange(changed, path, rng.choice(VALUES))
        (run / "run.json").write_text(json.dumps(changed))
        with contextlib.suppress(InputError):
            card = json_text(card_of(RunDir(run)), allow_nan=False)
            assert str(tmp_path) not in card


@pytest.mark.slow
def test_memory_stays_flat(tmp_path: Path, image: Path) -> None:
    soak(tmp_path, image, seconds=15)


@pytest.mark.long
@pytest.mark.timeout(900)
def test_memory_stays_flat_for_ten_minutes(tmp_path: Path, image: Path) -> None:
    soak(tmp_path, image, seconds=600)


def soak(folder: Path, image: Path, *, seconds: float) -> None:
    """Requests at a bounded rate, a tenth of them bad, from four clients: each is answered, and memory stays flat."""
    run = shutil.copytree(OLD_RUN, folder / "digits")
    process = processes.start("serve", run, "--port", "0", folder=folder)
    address = address_of(process)
    status = Path(f"/proc/{process._process.pid}/statm")
    counts = {200: 0, 400: 0}
    deadline = time.monotonic() + seconds

    def client() -> None:
        number = 0
        while time.monotonic() < deadline:
            number += 1
            try:
                post(
                    f"{address}/v1/models/digits:predict", b"x" if number % 10 == 0 else image.read_bytes(), "image/png"
                )
                counts[200] += 1
            except urllib.error.HTTPError as error:
                error.close()
                counts[error.code] += 1
            time.sleep(0.02)

    def memory() -> int:
        return int(status.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    threads = [threading.Thread(target=client) for _ in range(4)]
    for thread in threads:
        thread.start()
    time.sleep(seconds / 3)
    before = memory()
    for thread in threads:
        thread.join()
    after = memory()
    process.send(signal.SIGTERM)
    process.finish().expect(143)
    assert counts[200] > 5 * counts[400] > 0
    assert set(counts) == {200, 400}
    assert after - before < 16 * 2**20


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--host", "0.0.0.0"], "--host 0.0.0.0: other machines could use the models. Give a --token, or --insecure"),
        (
            ["--host", "0.0.0.0", "--token", "secret"],
            "--token: must have at least 16 printable characters. Received 6.",
        ),
        (["--host", "no such host", "--token", TOKEN], "--host no such host: is not an address of this machine."),
        (["--host", "203.0.113.1", "--token", TOKEN], "--host 203.0.113.1: is not an address of this machine"),
        ([OLD_RUN], "digits: several runs have this name"),
    ],
)
def test_refusals(arguments: list[str], message: str, tmp_path: Path) -> None:
    done = processes.run("serve", OLD_RUN, *arguments, folder=tmp_path).expect(2)
    assert done.stderr.startswith(message)
    assert len(done.stderr.splitlines()) == 1


def test_a_port_in_use(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        done = processes.run("serve", OLD_RUN, "--port", port, folder=tmp_path).expect(2)
    assert done.stderr == (
        f"--port {port}: another process is listening on it. Use another one, or 0 for any that is free.\n"
    )
