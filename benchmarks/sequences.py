"""Training of sequences compared with a hand-written loop, Keras's fit and PyTorch; and bucketing with padding.

    python benchmarks/sequences.py [--epochs 5] [--steps 40]

The same networks from the same initial weights on texts of 100 tokens (embedding 64, two classes) with Adam at batch
64: an LSTM of 128 units, and a bidirectional GRU of 128 units per direction. For dlcli, the loop of `dlcli train` is
timed, with data, shuffling, lengths, gradient norm and metrics. The hand-written loop is one tf.function per epoch that
gathers batches from memory, ignores lengths, and computes nothing but the loss. "Hand-written, with lengths" is the
same loop with dlcli's network, which computes the outputs of all steps and takes each text's last one. PyTorch is
included if it is installed; it ignores lengths too.

Then texts of 1 to 200 tokens, most of them short: batches of similar length, compared with batches that are all padded
to the longest text.
"""

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from dlcli.data.sequences.batches import SequenceBatches
from dlcli.data.sequences.ragged import Ragged
from dlcli.models.heads import vector as heads
from dlcli.models.sequences import recurrent
from dlcli.runtime.startup import start_tensorflow
from dlcli.training.objectives import classification as classification_objectives

start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import alternate, dlcli_epochs, machine, report  # noqa: E402

BATCH_SIZE, LENGTH, EMBEDDING, UNITS, VOCABULARY = 64, 100, 64, 128, 5000
RATE = 1e-3


def make_model(cell: str, *, bidirectional: bool, masks: bool) -> keras.Model:
    """A model: token ids -> logits of two classes."""
    keras.utils.set_random_seed(0)
    ids = keras.Input((None,), dtype="int32")
    x = keras.layers.Embedding(VOCABULARY, EMBEDDING)(ids)
    if masks:
        vector = recurrent.steps(
            x,
            keras.ops.not_equal(ids, 0),
            cell=cell,  # type: ignore[arg-type]
            units=UNITS,
            layers=1,
            bidirectional=bidirectional,
            dropout=0.0,
            recurrent_dropout=0.0,
            residual=False,
            layer_norm=False,
            recurrent_initializer="orthogonal",
            forget_bias=True,
            decay=0.0,
            learn_decay=False,
            last_only=True,
        )
    else:
        layer = recurrent.LAYERS[cell](UNITS)  # type: ignore[index]
        vector = (keras.layers.Bidirectional(layer) if bidirectional else layer)(x)
    model = keras.Model(ids, heads.classification(vector, num_classes=2))
    return keras.Model(ids, model.get_layer("logits").output)


def dlcli_loop(model: keras.Model, data: Any, folder: Path, *, xla: bool = False) -> Callable[[int], None]:
    goal = classification_objectives.classification(num_classes=2, label_smoothing=0.0, class_weights=None)
    return dlcli_epochs(model, goal, data, rate=RATE, folder=folder, xla=xla)


def hand_written(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Callable[[int], None]:
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(model.trainable_variables)
    tokens, labels = tf.constant(x), tf.constant(y)
    num_steps = len(x) // BATCH_SIZE

    @tf.function
    def train(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(num_steps):
            index = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            with tf.GradientTape() as tape:
                logits = model(tf.gather(tokens, index), training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(tf.gather(labels, index), logits))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            total += loss
        return total

    return lambda number: float(train(tf.constant(np.random.default_rng(number).permutation(len(x))))) and None


def keras_fit(model: keras.Model, x: np.ndarray, y: np.ndarray) -> Callable[[int], None]:
    model.compile(
        optimizer=keras.optimizers.Adam(RATE),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    return lambda number: model.fit(x, y, batch_size=BATCH_SIZE, epochs=1, verbose=0) and None


def pytorch(cell: str, *, bidirectional: bool, x: np.ndarray, y: np.ndarray) -> Callable[[int], None]:
    import torch
    from torch import nn

    torch.manual_seed(0)
    embedding = nn.Embedding(VOCABULARY, EMBEDDING)
    kind = nn.LSTM if cell == "lstm" else nn.GRU
    layer = kind(EMBEDDING, UNITS, batch_first=True, bidirectional=bidirectional)
    dense = nn.Linear(UNITS * (2 if bidirectional else 1), 2)
    parameters = [*embedding.parameters(), *layer.parameters(), *dense.parameters()]
    optimizer = torch.optim.Adam(parameters, RATE)
    tokens, labels = torch.from_numpy(x.astype(np.int64)), torch.from_numpy(y.astype(np.int64))

    def epoch(number: int) -> None:
        order = torch.randperm(len(tokens))
        for start in range(0, len(order), BATCH_SIZE):
            index = order[start : start + BATCH_SIZE]
            outputs, _ = layer(embedding(tokens[index]))
            if bidirectional:  # forward: last step; backward: first step
                vector = torch.cat([outputs[:, -1, :UNITS], outputs[:, 0, UNITS:]], dim=1)
            else:
                vector = outputs[:, -1]
            loss = nn.functional.cross_entropy(dense(vector), labels[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="number of timed epochs, after a warm-up epoch")
    parser.add_argument("--steps", type=int, default=40, help="steps per epoch")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    num = arguments.steps * BATCH_SIZE
    x = rng.integers(2, VOCABULARY, (num, LENGTH)).astype(np.int32)
    y = rng.integers(0, 2, num).astype(np.int32)
    whole = Ragged(x.reshape(-1), np.full(num, LENGTH, np.int64))
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}; {num:,} texts, batch {BATCH_SIZE}")
    for cell, bidirectional in (("lstm", False), ("gru", True)):
        title = f"{'bidirectional ' if bidirectional else ''}{cell.upper()} {UNITS}, {LENGTH} steps"
        with tempfile.TemporaryDirectory() as folder:
            data = SequenceBatches(inputs=whole, targets={"class": y}, batch_size=BATCH_SIZE, seed=0)
            with_lengths, plain = (
                partial(make_model, cell, bidirectional=bidirectional, masks=m) for m in (True, False)
            )
            runners = {
                "dlcli": dlcli_loop(with_lengths(), data, Path(folder) / "plain"),
                "dlcli with XLA": dlcli_loop(with_lengths(), data, Path(folder) / "xla", xla=True),
                "hand-written": hand_written(plain(), x, y),
                "hand-written, with lengths": hand_written(with_lengths(), x, y),
                "fit": keras_fit(plain(), x, y),
            }
            try:
                runners["PyTorch"] = pytorch(cell, bidirectional=bidirectional, x=x, y=y)
            except ImportError:
                print("PyTorch is not installed, skipped")
            report(title, alternate(runners, rounds=arguments.epochs), of="dlcli", num_steps=arguments.steps)
    lengths = np.minimum(1 + rng.exponential(25, num).astype(np.int64), 200)
    lengths[0] = 200
    texts = Ragged(rng.integers(2, VOCABULARY, int(lengths.sum())).astype(np.int32), lengths)
    padded = np.zeros((num, 200), np.int32)
    padded[np.arange(200) < lengths[:, None]] = texts.flat
    sources = {
        "buckets": SequenceBatches(inputs=texts, targets={"class": y}, batch_size=BATCH_SIZE, seed=0),
        "batches by chance": SequenceBatches(
            inputs=texts, targets={"class": y}, batch_size=BATCH_SIZE, seed=0, buckets=False
        ),
        "padded to the longest": SequenceBatches(
            inputs=Ragged(padded.reshape(-1), np.full(num, 200, np.int64)),
            targets={"class": y},
            batch_size=BATCH_SIZE,
            seed=0,
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        runners = {
            name: dlcli_loop(make_model("lstm", bidirectional=False, masks=True), data, Path(folder) / str(i))
            for i, (name, data) in enumerate(sources.items())
        }
        seconds = alternate(runners, rounds=arguments.epochs)
    title = f"LSTM {UNITS}, texts of {lengths.mean():.0f} tokens on average, 200 at most"
    report(title, seconds, of="buckets", num_steps=arguments.steps)


if __name__ == "__main__":
    main()
