"""Memory, latency and errors of `dlcli serve` under requests at a bounded rate.

    python benchmarks/soak.py [--seconds 600] [--rate 20] [--clients 4]

Trains the convnet of benchmarks/serving.py, serves it, and sends images from several clients that keep their
connections, together `--rate` requests per second. A tenth of the requests are bad: bytes that are not an image, which
must be refused with status 400. Every minute it prints the requests so far, their latency, and the memory of the
server. Exit status 1 if a request was lost, or if the memory at the end is more than 16 MiB above that after a third
of the time.
"""

import argparse
import asyncio
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from measure import machine
from serving import CONVNET, ENVIRONMENT, image_file, request_of, train

MOST_GROWTH = 16 * 2**20  # bytes


def memory_of(pid: int) -> int:
    """The resident memory of a process in bytes."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def client(
    port: int, requests: list[bytes], interval: float, deadline: float, statuses: Counter[int], seconds: list[float]
) -> None:
    """Sends a request each interval, of which every tenth is the second one, until the deadline."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    number, due = 0, time.monotonic()
    while due < deadline:
        await asyncio.sleep(max(0.0, due - time.monotonic()))
        number += 1
        started = time.monotonic()
        writer.write(requests[number % 10 == 0])
        header = (await reader.readuntil(b"\r\n\r\n")).lower()
        await reader.readexactly(int(header.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
        seconds.append(time.monotonic() - started)
        statuses[int(header.split()[1])] += 1
        due = max(due + interval, time.monotonic())  # a late client does not catch up
    writer.close()


async def report(pid: int, start: float, deadline: float, statuses: Counter[int], seconds: list[float]) -> list[int]:
    """Prints a line each minute; the memory at each of them."""
    found = []
    while (now := time.monotonic()) < deadline:
        await asyncio.sleep(min(60.0, deadline - now))
        found.append(memory_of(pid))
        recent = np.quantile(seconds[-1000:], (0.5, 0.99)) * 1000
        print(
            f"{time.monotonic() - start:5.0f} s  {dict(sorted(statuses.items()))}  p50 {recent[0]:.1f} ms  "
            f"p99 {recent[1]:.1f} ms  {found[-1] / 2**20:.1f} MiB",
            flush=True,
        )
    return found


async def soak(pid: int, port: int, path: str, arguments: argparse.Namespace) -> tuple[Counter[int], list[int]]:
    requests = [request_of(path, image_file(28, "PNG")), request_of(path, b"x" * 400)]
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    start = time.monotonic()
    deadline = start + arguments.seconds
    interval = arguments.clients / arguments.rate
    clients = (client(port, requests, interval, deadline, statuses, seconds) for _ in range(arguments.clients))
    *_, memory = await asyncio.gather(*clients, report(pid, start, deadline, statuses, seconds))
    return statuses, memory


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--rate", type=float, default=20.0, help="requests per second, of all clients")
    parser.add_argument("--clients", type=int, default=4)
    arguments = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as folder:
        run = train(CONVNET, "convnet", Path(folder))
        command = [sys.executable, "-m", "dlcli", "serve", str(run), "--port", "0", "--quiet"]
        with subprocess.Popen(command, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            port = int(process.stdout.readline().rpartition(":")[2])
            try:
                found = asyncio.run(soak(process.pid, port, f"/v1/models/{run.name}:predict", arguments))
            finally:
                process.send_signal(signal.SIGTERM)
    statuses, memory = found
    growth = memory[-1] - memory[len(memory) // 3]
    print(f"{sum(statuses.values()):,} requests; memory grew by {growth / 2**20:.1f} MiB after a third of the time")
    sys.exit(set(statuses) != {200, 400} or growth > MOST_GROWTH)


if __name__ == "__main__":
    main()
