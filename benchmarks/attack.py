"""Attacks compared with foolbox and ART: images per second on LeNet-5 with 28x28 images, in batches of 128.

    python benchmarks/attack.py [--batches 8] [--rounds 5]

All libraries use the same network, samples, budgets and numbers of steps; each is warmed up by one batch, and they
alternate. Prints the images per second of each, and the ratio of dlcli's to it, pair by pair. Weights are random, which
costs the same.
"""

import argparse
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np
from measure import machine, mnist_like

from dlcli.attacks import gradient
from dlcli.attacks.fgsm import fgsm
from dlcli.attacks.pgd import iterated
from dlcli.recipe.sections.image_model import Lenet5
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.images.network import build_classifier

start_tensorflow("cpu")

import foolbox  # noqa: E402
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from art.attacks.evasion import FastGradientMethod, ProjectedGradientDescentTensorFlowV2  # noqa: E402
from art.estimators.classification import TensorFlowV2Classifier  # noqa: E402

BATCH = 128
BOUNDS = (0.0, 255.0)
EPS = 25.5
STEPS = 40

Run = Callable[[np.ndarray, np.ndarray], Any]


def runners(model: keras.Model) -> dict[str, dict[str, Run]]:
    """For each attack and library, a function of a batch of float32 pixels and labels."""
    index = np.arange(BATCH)

    def logits(x: Any) -> Any:
        return model(x, training=False)

    one = fgsm(logits, loss=gradient.cross_entropy, norm="linf", bounds=BOUNDS)
    many = iterated(
        logits,
        loss=gradient.cross_entropy,
        norm="linf",
        bounds=BOUNDS,
        steps=STEPS,
        step_size=2.5 / STEPS,
        restarts=1,
    )
    of_foolbox = foolbox.TensorFlowModel(model, bounds=BOUNDS)
    of_art = TensorFlowV2Classifier(
        model=model,
        nb_classes=10,
        input_shape=model.input_shape[1:],
        loss_object=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
        clip_values=BOUNDS,
    )
    art_one = FastGradientMethod(of_art, eps=EPS, batch_size=BATCH)
    art_many = ProjectedGradientDescentTensorFlowV2(
        of_art, eps=EPS, eps_step=2.5 * EPS / STEPS, max_iter=STEPS, num_random_init=1, batch_size=BATCH, verbose=False
    )

    def with_foolbox(attack: Any) -> Run:
        return lambda x, y: attack(of_foolbox, tf.constant(x), tf.constant(y, tf.int64), epsilons=[EPS])

    return {
        "FGSM": {
            "dlcli": lambda x, y: one(x, y, EPS, index),
            "foolbox": with_foolbox(foolbox.attacks.LinfFastGradientAttack()),
            "ART": lambda x, y: art_one.generate(x, y=y),
        },
        f"PGD-{STEPS}": {
            "dlcli": lambda x, y: many(x, y, EPS, index),
            "foolbox": with_foolbox(foolbox.attacks.LinfPGD(rel_stepsize=2.5 / STEPS, steps=STEPS)),
            "ART": lambda x, y: art_many.generate(x, y=y),
        },
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--batches", type=int, default=8, help="batches of FGSM per round; PGD takes one")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    print(machine())
    model = build_classifier(Lenet5(kind="lenet5"), shape=(28, 28, 1), num_classes=10).trained
    pixels, labels = mnist_like(BATCH * arguments.batches)
    x, y = pixels.astype(np.float32), labels.astype(np.int32)
    for name, by_library in runners(model).items():
        num_batches = arguments.batches if name == "FGSM" else 1
        rates: dict[str, list[float]] = {library: [] for library in by_library}
        for number in range(arguments.rounds + 1):
            for library, run in by_library.items():
                start = time.perf_counter()
                for batch in range(num_batches):
                    run(x[batch * BATCH : (batch + 1) * BATCH], y[batch * BATCH : (batch + 1) * BATCH])
                if number:
                    rates[library].append(num_batches * BATCH / (time.perf_counter() - start))
        for library, values in rates.items():
            pairs = [own / other for own, other in zip(rates["dlcli"], values, strict=True)]
            print(
                f"  {name:7} {library:8} {statistics.median(values):8,.0f} images per second   dlcli / {library} = "
                f"{statistics.median(pairs):.2f} ({min(pairs):.2f} to {max(pairs):.2f})"
            )


if __name__ == "__main__":
    main()
