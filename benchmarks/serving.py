"""Requests per second and latency of `dlcli serve`, compared with a handler that calls `model.predict`.

    python benchmarks/serving.py [--seconds 4] [--rounds 3] [--clients 1 8 64]

Two networks: the convnet of recipes/digits_convnet.yaml at 28x28, and MobileNetV2 with initial weights at 224x224
pixels. Each request is an image file: PNG of the digits, JPEG of the larger images. The handler is that of a tutorial:
Starlette on uvicorn, a thread for each request as in FastAPI, which decodes the image, calls `model.predict` on
it, and sends the probabilities. Both servers are processes of their own and run at the same time; the clients, in this
process, keep their connections and send the next request as soon as they have a response. Rounds alternate between the
servers, and ratios are of one round.

Each round also measures the model's own batches of 32, without a server, in a process of its own while the servers are
idle: the time per image that is served, divided by that, is what serving costs. The same ratio of CPU times, of the
server's process and of the model's, does not depend on what else the machine does, nor on the clients.
"""

import argparse
import asyncio
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

CONVNET = """\
task: classification
data: {kind: digits, image_size: [28, 28], validation: 0.1, test: 0.2}
model: {kind: convnet, blocks: [{filters: 32, kernel_size: 5}, {filters: 64, kernel_size: 3}], dense: [256]}
train: {epochs: 1, batch_size: 128}
"""
MOBILE = """\
task: classification
data: {kind: digits, image_size: [224, 224], color_mode: rgb, limit: 40}
model: {kind: application, network: mobilenetv2, weights: none}
train: {epochs: 1, batch_size: 32}
"""
NAIVE = """\
import io, sys
import keras, numpy as np, uvicorn
from PIL import Image
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse
from starlette.routing import Route

model = keras.saving.load_model(sys.argv[1])
height, width, channels = model.inputs[0].shape[1:]

def classify(data):
    image = Image.open(io.BytesIO(data)).convert("L" if channels == 1 else "RGB").resize((width, height))
    x = np.asarray(image, np.float32).reshape(1, height, width, channels)
    return model.predict(x, verbose=0)[0].tolist()

async def predict(request):
    return JSONResponse({"probabilities": await run_in_threadpool(classify, await request.body())})

uvicorn.run(Starlette(routes=[Route("/", predict, methods=["POST"])]), port=int(sys.argv[2]), access_log=False)
"""
ENVIRONMENT = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"}
ENOUGH = 20  # seconds that a server may take to start, times the patience of a busy machine


@dataclass(frozen=True)
class Load:
    """What some clients saw: requests per second, the seconds of each request, and the server's CPU time for one."""

    rate: float
    seconds: list[float]
    cpu: float

    def percentile(self, share: float) -> float:
        return float(np.quantile(self.seconds, share)) * 1000


def train(recipe: str, name: str, folder: Path) -> Path:
    (folder / f"{name}.yaml").write_text(recipe)
    command = [sys.executable, "-m", "dlcli", "train", f"{name}.yaml", "--quiet"]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / name


@dataclass(frozen=True)
class Server:
    """A server's process, and the port and the path of its predictions."""

    process: int
    port: int
    path: str

    def cpu_seconds(self) -> float:
        """The CPU time that its threads have used."""
        fields = Path(f"/proc/{self.process}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def dlcli_server(run: Path) -> Iterator[Server]:
    """`dlcli serve`."""
    command = [sys.executable, "-m", "dlcli", "serve", str(run), "--port", "0", "--quiet"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    try:
        yield Server(process.pid, int(address.rpartition(":")[2]), f"/v1/models/{run.name}:predict")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def naive_server(run: Path, port: int) -> Iterator[Server]:
    """The handler that calls `model.predict`."""
    command = [sys.executable, "-c", NAIVE, str(run / "model.keras"), str(port)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        yield Server(process.pid, port, "/")
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


def request_of(path: str, image: bytes) -> bytes:
    header = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: image/*\r\nContent-Length: {len(image)}\r\n\r\n"
    return header.encode() + image


async def client(port: int, request: bytes, deadline: float, seconds: list[float]) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while time.monotonic() < deadline:
        started = time.monotonic()
        writer.write(request)
        header = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0])
        body = await reader.readexactly(length)
        assert b" 200 " in header[:20], body
        seconds.append(time.monotonic() - started)
    writer.close()


def load(server: Server, image: bytes, *, clients: int, duration: float) -> Load:
    seconds: list[float] = []

    async def run() -> float:
        started = time.monotonic()
        request = request_of(server.path, image)
        await asyncio.gather(*(client(server.port, request, started + duration, seconds) for _ in range(clients)))
        return time.monotonic() - started

    before = server.cpu_seconds()
    elapsed = asyncio.run(run())
    return Load(len(seconds) / elapsed, seconds, (server.cpu_seconds() - before) / len(seconds))


def wait_for(server: Server, image: bytes) -> None:
    """Waits until a server is up, and has compiled what it compiles at first use."""
    deadline = time.monotonic() + 10 * ENOUGH
    while True:
        try:
            load(server, image, clients=2, duration=1.0)
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


OWN = """\
import sys, time
from pathlib import Path
from dlcli.runtime.startup import start_tensorflow
start_tensorflow("cpu")
import numpy as np
import tensorflow as tf
from dlcli.runtime.model_files import load_keras_file
model = load_keras_file(Path(sys.argv[1]))
x = tf.constant(np.random.default_rng(0).uniform(0, 255, (32, *model.inputs[0].shape[1:])), tf.float32)
call = tf.function(lambda x: model(x, training=False))
call(x)
for duration in sys.stdin:
    started, number, cpu = time.perf_counter(), 0, time.process_time()
    while time.perf_counter() - started < float(duration):
        call(x).numpy()
        number += len(x)
    print((time.perf_counter() - started) / number, (time.process_time() - cpu) / number, flush=True)
"""


@contextmanager
def own_model(run: Path) -> Iterator[Callable[[float], tuple[float, float]]]:
    """Measures, for so many seconds, the seconds per image of the model's batches of 32, in a process of its own, and
    the seconds of CPU time."""
    command = [sys.executable, "-c", OWN, str(run / "model.keras")]
    keys = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
    process = subprocess.Popen(command, env=ENVIRONMENT, text=True, **keys)  # type: ignore[call-overload]

    def measure(duration: float) -> tuple[float, float]:
        process.stdin.write(f"{duration}\n")
        process.stdin.flush()
        seconds, cpu = map(float, process.stdout.readline().split())
        return seconds, cpu

    try:
        yield measure
    finally:
        process.stdin.close()
        process.wait()


def compare(name: str, run: Path, image: bytes, arguments: argparse.Namespace, port: int) -> None:
    print(f"\n{name}")
    with dlcli_server(run) as ours, naive_server(run, port) as naive, own_model(run) as own:
        for server in (ours, naive):
            wait_for(server, image)
        own(0.5)
        for clients in arguments.clients:
            rounds = []
            for _ in range(arguments.rounds):
                pair = [load(server, image, clients=clients, duration=arguments.seconds) for server in (ours, naive)]
                rounds.append((*pair, *own(arguments.seconds)))
            show(clients, rounds)


def show(clients: int, rounds: Sequence[tuple[Load, Load, float, float]]) -> None:
    for label, position in (("dlcli serve", 0), ("naive", 1)):
        loads = [of_round[position] for of_round in rounds]
        rate = statistics.median(load.rate for load in loads)
        p50, p99 = (statistics.median(load.percentile(share) for load in loads) for share in (0.5, 0.99))
        print(f"  {clients:3} clients  {label:12} {rate:8.1f} requests/s  p50 {p50:8.1f} ms  p99 {p99:8.1f} ms")
    ratios_of = {
        "requests of dlcli / naive": [mine.rate / other.rate for mine, other, _, _ in rounds],
        "time per image / the model's batches": [1 / (mine.rate * own) for mine, _, own, _ in rounds],
        "CPU time per image / the model's batches": [mine.cpu / own for mine, _, _, own in rounds],
    }
    for what, ratios in ratios_of.items():
        low, high = min(ratios), max(ratios)
        print(f"  {clients:3} clients  {what}: {statistics.median(ratios):.2f} ({low:.2f} to {high:.2f})")


def image_file(side: int, image_format: str) -> bytes:
    file = io.BytesIO()
    smooth = Image.fromarray(np.random.default_rng(0).integers(0, 256, (side // 4, side // 4, 3), np.uint8))
    smooth.resize((side, side), Image.Resampling.BICUBIC).save(file, image_format)
    return file.getvalue()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--networks", nargs="+", default=["convnet", "mobile"])
    parser.add_argument("--port", type=int, default=18600, help="of the naive server, and the next one")
    arguments = parser.parse_args()
    print(machine())
    with tempfile.TemporaryDirectory() as folder:
        convnet, mobile = train(CONVNET, "convnet", Path(folder)), train(MOBILE, "mobile", Path(folder))
        if "convnet" in arguments.networks:
            compare("convnet, 28x28", convnet, image_file(28, "PNG"), arguments, arguments.port)
        if "mobile" in arguments.networks:
            compare("MobileNetV2, 224x224", mobile, image_file(224, "JPEG"), arguments, arguments.port + 1)


if __name__ == "__main__":
    main()
