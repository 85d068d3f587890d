"""Accuracy under FGSM by epsilon on MNIST: dlcli, foolbox, and the published results of the PyTorch tutorial.

    python benchmarks/published_curve.py [--epochs 14] [--seed 0]

Builds and trains the tutorial's network with Keras alone, as the tutorial does (two 3x3 convolutions of 32 and 64, max
pooling, dropout, 128 units, dropout; Adadelta from 1.0, times 0.7 after each epoch, batches of 64), saves it, and runs
``dlcli attack`` on the file, as on any other. Exits with 1 if dlcli and foolbox differ. The published accuracies are
each of a single training run: the range spans two editions of the tutorial
(https://docs.pytorch.org/tutorials/beginner/fgsm_tutorial.html).
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import MNIST, machine

from dlcli.runtime.startup import start_tensorflow

start_tensorflow("cpu")

import foolbox  # noqa: E402
import keras  # noqa: E402
import tensorflow as tf  # noqa: E402

PUBLISHED = {
    0.0: (0.981, 0.991),
    0.05: (0.943, 0.961),
    0.1: (0.851, 0.874),
    0.15: (0.683, 0.711),
    0.2: (0.430, 0.488),
    0.25: (0.208, 0.272),
    0.3: (0.087, 0.142),
}


def network() -> keras.Model:
    """The tutorial's network, for pixels in [0, 1], which are not normalized here."""
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(),
            layers.Dropout(0.25),
            layers.Flatten(),
            layers.Dense(128, activation="relu"),
            layers.Dropout(0.5),
            layers.Dense(10, activation="softmax"),
        ]
    )


def of_foolbox(model: keras.Model, x: np.ndarray, y: np.ndarray) -> list[float]:
    """Robust accuracy by epsilon, of the network without its softmax."""
    model.layers[-1].activation = keras.activations.linear
    wrapped = foolbox.TensorFlowModel(model, bounds=(0, 1))
    attack = foolbox.attacks.LinfFastGradientAttack()
    robust = np.zeros(len(PUBLISHED))
    for start in range(0, len(x), 500):
        part, labels = tf.constant(x[start : start + 500]), tf.constant(y[start : start + 500], tf.int64)
        right = np.argmax(model(part), axis=1) == labels.numpy()
        _, _, success = attack(wrapped, part, labels, epsilons=list(PUBLISHED))
        robust += (right & ~success.numpy()).sum(axis=1)
    return [float(value) for value in robust / len(x)]


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=14)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    print(machine())
    with np.load(MNIST, allow_pickle=False) as file:
        x, y, x_test, y_test = (file[name] for name in ("x_train", "y_train", "x_test", "y_test"))
    keras.utils.set_random_seed(options.seed)
    model = network()
    model.compile(keras.optimizers.Adadelta(1.0, rho=0.9, epsilon=1e-6), "sparse_categorical_crossentropy")
    slower = keras.callbacks.LearningRateScheduler(lambda epoch, _: 0.7**epoch)
    scaled = x[..., None].astype(np.float32) / 255
    model.fit(scaled, y, batch_size=64, epochs=options.epochs, callbacks=[slower], verbose=2)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "tutorial.keras"
        model.save(file)
        command = ["dlcli", "attack", str(file), "--fgsm", "--json", "--quiet", "--split", "test", "--data", str(MNIST)]
        command += ["--input-range", "0,1", "--classes", ",".join("0123456789")]
        command += ["--eps", ",".join(map(str, PUBLISHED))]
        done = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True)
    own = [row["robust_accuracy"] for row in json.loads(done.stdout)["rows"]]
    theirs = of_foolbox(model, x_test[..., None].astype(np.float32) / 255, y_test)
    print("\neps     dlcli   foolbox  published")
    for (eps, (low, high)), mine, yours in zip(PUBLISHED.items(), own, theirs, strict=True):
        inside = "" if low <= mine <= high else "  outside"
        print(f"{eps:<6}  {mine:.4f}  {yours:.4f}   {low:.3f} to {high:.3f}{inside}")
    return int(
        not np.allclose(own, theirs, rtol=0, atol=1e-4)
    )  # one sample of 10,000 may differ: its gradient is almost 0


if __name__ == "__main__":
    sys.exit(main())
