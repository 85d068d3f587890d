"""Milliseconds per image of each method of ``dlcli explain``, one image at a time, in a warm process.

    python benchmarks/explanation.py RUN_FOLDER [--images 8] [--rounds 3]

The time is the processor's, over all threads, so that other programs do not count. Images are random: the steps of
integrated gradients depend on the image, so that they are fixed at 50 here.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import process_time

import numpy as np
from measure import alternate, machine

from dlcli.runtime.startup import start_tensorflow

start_tensorflow("cpu")

from dlcli.explanation.logits import open_network  # noqa: E402
from dlcli.explanation.method import Method  # noqa: E402
from dlcli.runtime.model_files import load_float32  # noqa: E402
from dlcli.tasks.images.attribution import make_methods  # noqa: E402
from dlcli.tasks.task import ExplanationRequest  # noqa: E402

METHODS = ("gradient", "smoothgrad", "integrated", "gradcam", "gradcam++", "occlusion", "guided")


def runner(method: Method, images: np.ndarray, labels: np.ndarray) -> Callable[[int], None]:
    """Explains the images one by one."""

    def run(_: int) -> None:
        for row in range(len(images)):
            method(images[row : row + 1], labels[row : row + 1])

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    network = open_network(load_float32(arguments.run / "model.keras"))
    images = np.random.default_rng(0).uniform(0, 255, (arguments.images, *network.shape)).astype(np.float32)
    labels = np.asarray(network(images)).argmax(axis=1).astype(np.int32)
    methods = make_methods(METHODS, network, ExplanationRequest(steps=50))
    runners = {name: runner(method, images, labels) for name, method in methods.items()}
    seconds = alternate(runners, rounds=arguments.rounds, clock=process_time)
    print(f"{machine()}\n{arguments.run}, images {network.shape}")
    for name, values in seconds.items():
        print(f"  {name:12} {statistics.median(values) / arguments.images * 1e3:8.1f} ms per image")


if __name__ == "__main__":
    main()
