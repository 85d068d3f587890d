"""Training by two processes, each on a core of its own, compared with one process on one core.

    python benchmarks/scaling.py [--batches 128 512 2048] [--epochs 4] [--steps 12]

Each is a whole ``dlcli train`` of a convnet (32 and 64 maps of 5x5) on 28x28x1 images with one thread, pinned to its
core. The efficiency is the time of a step of one process divided by twice that of two, which share a batch. Times
are those of the quickest epoch after the first: where other programs are at work, the median says more about them.
"""

import argparse
import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from measure import machine, mnist_like

from dlcli.rundir.tables import read_csv
from dlcli.runtime.cluster import VARIABLE
from dlcli.runtime.launched import THREADS, child_environment, dlcli_command
from dlcli.workflow.launch.local import free_ports

RECIPE = """\
task: classification
data: {kind: npz, path: images.npz}
model: {kind: convnet, blocks: [{filters: 32, kernel_size: 5, pool: max}, {filters: 64, kernel_size: 5, pool: max}]}
"""


def seconds_of_a_step(folder: Path, num_processes: int, *, batch: int, epochs: int, steps: int) -> float:
    """Trains with one or several processes; the seconds of a step in the quickest epoch after the first."""
    name = f"{batch}-{num_processes}"
    settings = [f"train.batch_size={batch}", f"data.limit={batch * steps}", f"train.epochs={epochs}"]
    options = [text for setting in settings for text in ("-s", setting)]
    command = dlcli_command(["train", "recipe.yaml", "--quiet", "--device", "cpu", "--name", name, *options])
    addresses = [f"127.0.0.1:{port}" for port in free_ports(num_processes)]
    started = []
    for index in range(num_processes):
        task = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
        environment = {**child_environment(), **dict.fromkeys(THREADS, "1"), VARIABLE: json.dumps(task)}
        pinned = ["taskset", "--cpu-list", str(index), *command]
        started.append(subprocess.Popen(pinned, cwd=folder, env=environment, stdout=subprocess.DEVNULL))
    for process in started:
        if process.wait():
            raise SystemExit(f"{name}: exit status {process.returncode}")
    return min(float(row["seconds"]) for row in read_csv(folder / "runs" / name / "metrics.csv")[1:]) / steps


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, nargs="+", default=[128, 512, 2048])
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--steps", type=int, default=12, help="of an epoch")
    arguments = parser.parse_args()
    print(f"{machine()}, load {os.getloadavg()[0]:.1f} before the start")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        images, labels = mnist_like(32 + max(arguments.batches) * arguments.steps)
        splits = {"val": slice(16), "test": slice(16, 32), "train": slice(32, None)}
        arrays = {"x": images, "y": labels}
        np.savez(folder / "images.npz", **{f"{a}_{s}": arrays[a][part] for a in arrays for s, part in splits.items()})
        (folder / "recipe.yaml").write_text(RECIPE)
        for batch in arguments.batches:
            size = {"batch": batch, "epochs": arguments.epochs, "steps": arguments.steps}
            one, two = (seconds_of_a_step(folder, number, **size) for number in (1, 2))
            print(
                f"batch {batch:5}: {one * 1e3:7.1f} ms a step on one core, {two * 1e3:7.1f} ms on two; "
                f"efficiency {one / two / 2:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()
