"""Peak memory of every verb of a classifier with 10,000 classes and 20,000 samples.

    python benchmarks/many_classes.py [--classes 10000] [--samples 20000]

Writes an .npz of random 8x8 images, trains one epoch of a small network with ``dlcli train``, and runs the other verbs
on it, each in a process of its own; prints the processes' peak resident memory, and the sizes of what they write.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine

RECIPE = """\
task: classification
data: {kind: npz, path: many.npz, validation: 0.0}
model: {kind: mlp, units: [16]}
train: {epochs: 1, batch_size: 128}
"""
TARGET = 2048  # MiB


def write_data(folder: Path, *, num_classes: int, num_samples: int) -> None:
    """Noise with a label each; every class has samples in both splits."""
    rng = np.random.default_rng(0)
    labels = np.concatenate([np.arange(num_classes), rng.integers(0, num_classes, num_samples - num_classes)])
    names = np.array([f"class {label:05}" for label in labels])
    x_train, x_test = rng.integers(0, 256, (2, num_samples, 8, 8), np.uint8)
    np.savez(folder / "many.npz", x_train=x_train, y_train=names, x_test=x_test, y_test=rng.permutation(names))
    np.savez(folder / "unknown.npz", x=x_test)
    (folder / "many.yaml").write_text(RECIPE)


def measure(folder: Path, *arguments: str) -> None:
    """Runs a command in a process of its own; prints its peak resident memory."""
    start = time.perf_counter()
    command = [sys.executable, "-m", "dlcli", *arguments, "-q"]
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    seconds = time.perf_counter() - start
    print(f"  {' '.join(arguments):45} peak {usage.ru_maxrss / 1024:6,.0f} MiB (target {TARGET:,}), {seconds:.0f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--classes", type=int, default=10_000)
    parser.add_argument("--samples", type=int, default=20_000)
    arguments = parser.parse_args()
    print(machine())
    print(f"{arguments.classes:,} classes, {arguments.samples:,} samples")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_data(folder, num_classes=arguments.classes, num_samples=arguments.samples)
        measure(folder, "data", "check", "many.yaml")
        measure(folder, "train", "many.yaml")
        measure(folder, "evaluate", "many")
        measure(folder, "evaluate", "many", "--probabilities")
        measure(folder, "predict", "many", "unknown.npz", "--output", "some.csv")
        measure(folder, "predict", "many", "unknown.npz", "--output", "all.npz")
        measure(folder, "attack", "many", "--fgsm", "--eps", "8/255")
        written = sorted((folder / "runs" / "many" / "evaluation" / "test").iterdir())
        for path in [*written, folder / "some.csv", folder / "all.npz"]:
            print(f"  {path.name:45} {path.stat().st_size / 2**20:6,.1f} MiB")


if __name__ == "__main__":
    main()
