"""The cost of checkpoints: time spent saving them as a share of training time, in one run of the MNIST recipe.

    python benchmarks/checkpointing.py [--epochs 3] [--data mnist.npz]

Runs ``dlcli train recipes/mnist_convnet.yaml`` in this process and times every call that saves a checkpoint: writing,
hashing, flushing to the disk, renaming, and removing older ones.
"""

import argparse
import tempfile
import time
from pathlib import Path
from typing import Any

from measure import MNIST, ROOT, machine

from dlcli.recipe.load import Override, load
from dlcli.runtime.console import Console
from dlcli.runtime.startup import start_tensorflow
from dlcli.training import checkpoint
from dlcli.workflow.train import train

device = start_tensorflow("cpu")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", default="3")
    parser.add_argument("--data", default=str(MNIST), help="a local copy of mnist.npz")
    arguments = parser.parse_args()
    seconds: list[float] = []
    save = checkpoint.save

    def timed(*args: Any, **keys: Any) -> None:
        start = time.perf_counter()
        save(*args, **keys)
        seconds.append(time.perf_counter() - start)

    checkpoint.save = timed
    overrides = [
        Override("train.epochs", arguments.epochs, "--epochs"),
        Override.of_value("data.path", arguments.data, "--data"),
    ]
    with tempfile.TemporaryDirectory() as runs:
        loaded = load(ROOT / "recipes" / "mnist_convnet.yaml", overrides)
        info = train(loaded, runs=Path(runs), name="mnist", device=device, console=Console(quiet=False))
    print(machine())
    print(f"  {len(seconds)} checkpoints in {sum(seconds):.2f} s, training {info['seconds']:.1f} s")
    print(f"  share: {sum(seconds) / info['seconds']:.2%} (target: under 3%)")


if __name__ == "__main__":
    main()
