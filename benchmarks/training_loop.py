"""The training loop compared with a hand-written one, Keras's fit and PyTorch: whole epochs, alternating.

    python benchmarks/training_loop.py [--epochs 5] [--samples 60000]

All train the same networks from the same initial weights on 28x28x1 images with Adam in batches of 128, reshuffled
every epoch. For dlcli, the loop of ``dlcli train`` is timed, with data, shuffling, gradient norm and metrics. The
hand-written loop is one tf.function per epoch that gathers batches from memory and computes nothing but the loss.
PyTorch is included if it is installed.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.data.images.batches import Batches
from dlcli.models.heads import vector as heads
from dlcli.models.images import convnet, mlp, preprocessing
from dlcli.runtime.startup import start_tensorflow
from dlcli.training.objectives import classification as classification_objectives

start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import alternate, dlcli_epochs, machine, mnist_like, report  # noqa: E402

BATCH_SIZE = 128
RATE = 1e-3
BLOCKS = [
    convnet.Block(
        filters=filters,
        kernel_size=kernel_size,
        strides=1,
        padding="same",
        activation="relu",
        batch_norm=False,
        repeat=1,
        pool="max",
        pool_size=2,
        dropout=0.0,
    )
    for filters, kernel_size in ((32, 5), (64, 3))
]


def make_model(kind: str) -> keras.Model:
    """Pixels in [0, 255] -> logits: the convnet of recipes/digits_convnet.yaml, or an MLP with 16 hidden units."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((28, 28, 1))
    x = preprocessing.pixels(inputs, preprocessing="unit")
    if kind == "convnet":
        x = convnet.features(x, rank=2, blocks=BLOCKS, pooling="flatten", dense=[256], activation="relu", dropout=0.0)
    else:
        x = mlp.features(x, units=[16], activation="relu", batch_norm=False, dropout=0.0)
    model = keras.Model(inputs, heads.classification(x, num_classes=10))
    return keras.Model(inputs, model.get_layer("logits").output)


def dlcli_loop(kind: str, x: np.ndarray, y: np.ndarray, folder: Path) -> Callable[[int], None]:
    goal = classification_objectives.classification(num_classes=10, label_smoothing=0.0, class_weights=None)
    data = Batches(labels=y, pixels=x, load=lambda index: x[index], shape=x.shape[1:], batch_size=BATCH_SIZE, seed=0)
    return dlcli_epochs(make_model(kind), goal, data, rate=RATE, folder=folder)


def hand_written(kind: str, x: np.ndarray, y: np.ndarray) -> Callable[[int], None]:
    model = make_model(kind)
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(model.trainable_variables)
    images, labels = tf.constant(x), tf.constant(y)
    num_steps = len(x) // BATCH_SIZE

    @tf.function
    def train(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(num_steps):
            index = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            with tf.GradientTape() as tape:
                logits = model(tf.cast(tf.gather(images, index), tf.float32), training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, index), logits))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            total += loss
        return total / tf.cast(num_steps, tf.float32)

    return lambda number: float(train(tf.constant(np.random.default_rng(number).permutation(len(x))))) and None


def keras_fit(kind: str, x: np.ndarray, y: np.ndarray, steps_per_execution: int) -> Callable[[int], None]:
    model = make_model(kind)
    model.compile(
        optimizer=keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
        steps_per_execution=steps_per_execution,
    )
    images = x.astype(np.float32)
    return lambda number: model.fit(images, y, batch_size=BATCH_SIZE, epochs=1, verbose=0) and None


def pytorch(kind: str, x: np.ndarray, y: np.ndarray) -> Callable[[int], None]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    if kind == "convnet":
        model = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(32, 64, 3, padding="same"),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Flatten(),
            nn.Linear(7 * 7 * 64, 256),
            nn.ReLU(),
            nn.Linear(256, 10),
        )
    else:
        model = nn.Sequential(nn.Flatten(), nn.Linear(28 * 28, 16), nn.ReLU(), nn.Linear(16, 10))
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    images, labels = torch.from_numpy(x.transpose(0, 3, 1, 2).copy()), torch.from_numpy(y.astype(np.int64))

    def epoch(number: int) -> None:
        order = torch.randperm(len(images))
        model.train()
        for start in range(0, len(order), BATCH_SIZE):
            index = order[start : start + BATCH_SIZE]
            loss = nn.functional.cross_entropy(model(images[index].float() / 255), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="number of timed epochs, after a warm-up epoch")
    parser.add_argument("--samples", type=int, default=60_000)
    arguments = parser.parse_args()
    x, y = mnist_like(arguments.samples)
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}; {len(x):,} images, batch {BATCH_SIZE}")
    for kind in ("convnet", "tiny"):
        with tempfile.TemporaryDirectory() as folder:
            runners = {
                "dlcli": dlcli_loop(kind, x, y, Path(folder)),
                "hand-written": hand_written(kind, x, y),
                "fit": keras_fit(kind, x, y, 1),
                "fit, 32 steps a call": keras_fit(kind, x, y, 32),
            }
            try:
                runners["PyTorch"] = pytorch(kind, x, y)
            except ImportError:
                print("PyTorch is not installed, skipped")
            seconds = alternate(runners, rounds=arguments.epochs)
        title = "convnet 32@5, 64@3, 256, 10" if kind == "convnet" else "dense net 16, 10"
        report(title, seconds, of="dlcli", num_steps=-(-len(x) // BATCH_SIZE))


if __name__ == "__main__":
    main()
