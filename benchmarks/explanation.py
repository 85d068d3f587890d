"""Milliseconds per image of each method of ``dlcli explain``, one image at a time, in a warm process, beside those of a
plain forward and backward pass: the gradient by the pixels of the model itself.

    python benchmarks/explanation.py RUN_FOLDER [--images 8] [--rounds 3] [--wall]

The time is the processor's, over all threads, so that other programs do not count; with --wall it is the time that a
person waits, for an idle machine. Images are random: the steps of integrated gradients depend on the image, so that
they are fixed at 50 here.
"""

import argparse
import statistics
from collections.abc import Callable
from pathlib import Path
from time import perf_counter, process_time

import numpy as np
from measure import alternate, machine

from dlcli.runtime.startup import start_tensorflow

start_tensorflow("cpu")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

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


def plain_gradient(model: keras.Model, images: np.ndarray) -> Callable[[int], None]:
    """Computes the gradient of the largest logit of each image, without anything of ``dlcli explain``."""
    to_logits = keras.Model(model.inputs, model.get_layer("logits").output)

    @tf.function(reduce_retracing=True)
    def gradient(pixels: tf.Tensor) -> tf.Tensor:
        with tf.GradientTape() as tape:
            tape.watch(pixels)
            largest = tf.reduce_max(to_logits(pixels, training=False), axis=-1)
        return tape.gradient(largest, pixels)

    def run(_: int) -> None:
        for row in range(len(images)):
            gradient(tf.constant(images[row : row + 1])).numpy()

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--images", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--wall", action="store_true")
    arguments = parser.parse_args()
    model = load_float32(arguments.run / "model.keras")
    network = open_network(model)
    images = np.random.default_rng(0).uniform(0, 255, (arguments.images, *network.shape)).astype(np.float32)
    labels = np.asarray(network(images)).argmax(axis=1).astype(np.int32)
    methods = make_methods(METHODS, network, ExplanationRequest(steps=50))
    runners = {"plain": plain_gradient(model, images)}
    runners |= {name: runner(method, images, labels) for name, method in methods.items()}
    seconds = alternate(runners, rounds=arguments.rounds, clock=perf_counter if arguments.wall else process_time)
    print(f"{machine()}\n{arguments.run}, images {network.shape}")
    medians = {name: statistics.median(values) / arguments.images for name, values in seconds.items()}
    for name, median in medians.items():
        print(f"  {name:12} {median * 1e3:8.1f} ms per image {median / medians['plain']:7.2f} times the plain gradient")


if __name__ == "__main__":
    main()
