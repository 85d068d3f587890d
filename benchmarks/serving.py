"""Requests per second and latency of `dlcli serve`, compared with a handler that calls `model.predict`.

    python benchmarks/serving.py [--seconds 4] [--rounds 3] [--clients 1 8 64]

Two networks: the convnet of recipes/digits_convnet.yaml at 28x28, and MobileNetV2 with initial weights at 224x224
pixels. Each request is an image file: PNG of the digits, JPEG of the larger images. The handler is what a short tutorial
shows: Starlette on uvicorn, a thread for each request as in FastAPI, which decodes the image, calls `model.predict` on
it, and sends the probabilities. Both servers are processes of their own and run at the same time; the clients, in this
process, keep their connections and send the next request as soon as they have a response. Rounds alternate between the
servers, and ratios are of one round.

Last, the time per image at the largest number of clients divided by that of the model's own batches of 32, without a
server, in this process, while the servers are idle.
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
from collections.abc import Iterator
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
    """What some clients saw: requests per second, and the seconds of each request."""

    rate: float
    seconds: list[float]

    def percentile(self, share: float) -> float:
        return float(np.quantile(self.seconds, share)) * 1000


def train(recipe: str, name: str, folder: Path) -> Path:
    (folder / f"{name}.yaml").write_text(recipe)
    command = [sys.executable, "-m", "dlcli", "train", f"{name}.yaml", "--quiet"]
    subprocess.run(command, cwd=folder, env=ENVIRONMENT, check=True, stdout=subprocess.DEVNULL)
    return folder / "runs" / name


@contextmanager
def dlcli_server(run: Path) -> Iterator[tuple[int, str]]:
    """The port and the path of `dlcli serve`."""
    command = [sys.executable, "-m", "dlcli", "serve", str(run), "--port", "0", "--quiet"]
    process = subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().strip()
    try:
        yield int(address.rpartition(":")[2]), f"/v1/models/{run.name}:predict"
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait()


@contextmanager
def naive_server(run: Path, port: int) -> Iterator[tuple[int, str]]:
    """The port and the path of the handler that calls `model.predict`."""
    command = [sys.executable, "-c", NAIVE, str(run / "model.keras"), str(port)]
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    try:
        yield port, "/"
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


def load(server: tuple[int, str], image: bytes, *, clients: int, duration: float) -> Load:
    seconds: list[float] = []

    async def run() -> float:
        started = time.monotonic()
        request = request_of(server[1], image)
        await asyncio.gather(*(client(server[0], request, started + duration, seconds) for _ in range(clients)))
        return time.monotonic() - started

    elapsed = asyncio.run(run())
    return Load(len(seconds) / elapsed, seconds)


def wait_for(server: tuple[int, str], image: bytes) -> None:
    """Waits until a server is up, and has compiled what it compiles at first use."""
    deadline = time.monotonic() + 10 * ENOUGH
    while True:
        try:
            load(server, image, clients=2, duration=1.0)
            return
        except OSError:
            assert time.monotonic() < deadline
            time.sleep(0.5)


def own_seconds(run: Path) -> float:
    """Seconds per image of the model's batches of 32, in a process of its own."""
    code = """\
import sys, time
from pathlib import Path
from dlcli.runtime.startup import start_tensorflow
start_tensorflow("cpu")
import numpy as np
from dlcli.runtime.model_files import load_keras_file
import tensorflow as tf
model = load_keras_file(Path(sys.argv[1]))
x = tf.constant(np.random.default_rng(0).uniform(0, 255, (32, *model.inputs[0].shape[1:])), tf.float32)
call = tf.function(lambda x: model(x, training=False))
call(x)
times = []
for _ in range(15):
    started = time.perf_counter()
    call(x)
    times.append((time.perf_counter() - started) / 32)
print(sorted(times)[len(times) // 2])
"""
    command = [sys.executable, "-c", code, str(run / "model.keras")]
    done = subprocess.run(command, env=ENVIRONMENT, check=True, capture_output=True, text=True)
    return float(done.stdout)


def compare(name: str, run: Path, image: bytes, arguments: argparse.Namespace, port: int) -> None:
    print(f"\n{name}")
    rates: list[float] = []
    with dlcli_server(run) as ours, naive_server(run, port) as naive:
        for server in (ours, naive):
            wait_for(server, image)
        for clients in arguments.clients:
            rounds = []
            for _ in range(arguments.rounds):
                pair = [load(server, image, clients=clients, duration=arguments.seconds) for server in (ours, naive)]
                rounds.append(pair)
            ratios = [mine.rate / other.rate for mine, other in rounds]
            for label, loads in (("dlcli serve", [p[0] for p in rounds]), ("naive", [p[1] for p in rounds])):
                rate = statistics.median(load.rate for load in loads)
                p50, p99 = (statistics.median(load.percentile(share) for load in loads) for share in (0.5, 0.99))
                print(f"  {clients:3} clients  {label:12} {rate:8.1f} requests/s  p50 {p50:8.1f} ms  p99 {p99:8.1f} ms")
            low, high = min(ratios), max(ratios)
            print(f"  {clients:3} clients  ratio of rates {statistics.median(ratios):.1f} ({low:.1f} to {high:.1f})")
            rates = [mine.rate for mine, _ in rounds]
    own = own_seconds(run)
    served = 1 / statistics.median(rates)
    print(
        f"  per image: {served * 1000:.2f} ms served at {clients} clients, {own * 1000:.2f} ms in the model's batches"
    )
    print(f"  ratio {served / own:.2f}")


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
