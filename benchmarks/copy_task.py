"""Training steps of a Neural Turing Machine compared with a hand-written, unrolled tf.function of the same cell.

    python benchmarks/copy_task.py [--epochs 7] [--steps 20] [--length 10] [--xla]

The network of `recipes/copy_ntm.yaml` copies sequences of one length with Adam in batches of 32, from the same initial
weights. For dlcli, the loop of `dlcli train` is timed, with data that NumPy generates, clipping aside, gradient norm
and metrics; it is a `tf.while_loop` over the steps, so that one compiled function serves sequences of every length. The
hand-written function has the steps of this length written out, its batch is a constant, and it computes nothing but the
loss. Processor's time by default, because a step is a thousand small operations and other programs disturb it.

With --length 5 --steps 10 on one thread of an AMD EPYC: 9.4 ms per step, 1.40 (1.30 to 1.52) of the unrolled function.
What remains is that the loop keeps 36 tensors of each time step for the gradient, one by one. Fewer of them would need
a gradient of the cell that is written by hand. Two or four time steps in an iteration keep as many, and gain nothing.
With --xla, as by `train.xla: true`, where steps of this length are compiled: 0.67 (0.49 to 0.79) with --length 5 --wall
on an idle machine, and 0.57 (0.53 to 0.63) with --length 10 --wall.
"""

import argparse
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.data.synthetic.copy_tasks import TRAIN, CopyTask, MadeBatches
from dlcli.models.sequences import ntm
from dlcli.runtime.startup import start_tensorflow
from dlcli.training.objectives import sequences as sequence_objectives

start_tensorflow("cpu")

import keras  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import alternate, dlcli_epochs, machine, report  # noqa: E402

BATCH_SIZE, BITS, RATE = 32, 8, 3e-3


def make_model(rows: int, width: int) -> keras.Model:
    """Bits and a marker ``[batch, steps, BITS + 1]`` -> logits of the bits."""
    keras.utils.set_random_seed(0)
    values = keras.Input((None, BITS + 1))
    mask = keras.ops.ones_like(values[..., 0], dtype="bool")
    options: dict[str, Any] = {"controller": "dense", "units": 100, "read_heads": 1, "write_heads": 1, "shift": 1}
    x = ntm.steps(values, mask, memory=(rows, width), **options)
    return keras.Model(values, keras.layers.Dense(BITS, name="logits")(x))


def unrolled(model: keras.Model, data: MadeBatches, length: int) -> Callable[[int], None]:
    """Epochs of a function with every step of the cell written out."""
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(model.trainable_variables)
    cell, dense = model.get_layer("ntm").cell, model.get_layer("logits")
    x, bits, asked = (tf.constant(part) for part in data.make(0, 0))

    @tf.function(autograph=False)
    def train() -> Any:
        with tf.GradientTape() as tape:
            state, outputs = cell.get_initial_state(BATCH_SIZE), []
            for step in range(2 * length + 1):
                output, state = cell(x[:, step], state)
                outputs.append(output)
            losses = tf.nn.sigmoid_cross_entropy_with_logits(bits, dense(tf.stack(outputs, axis=1)))
            loss = tf.reduce_sum(tf.reduce_mean(losses, axis=-1) * asked) / tf.reduce_sum(asked)
        optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
        return loss

    def epoch(number: int) -> None:
        for _ in range(data.num_steps):
            loss = train()
        float(loss)

    return epoch


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=7, help="number of timed epochs, after a warm-up epoch")
    parser.add_argument("--steps", type=int, default=20, help="training steps per epoch")
    parser.add_argument("--length", type=int, default=10, help="vectors to copy; a sequence has twice as many steps")
    parser.add_argument("--memory", type=int, nargs=2, default=(32, 16), metavar=("ROWS", "WIDTH"))
    parser.add_argument("--xla", action="store_true", help="the steps of dlcli are compiled with XLA")
    parser.add_argument("--wall", action="store_true", help="measure the time that passes, on an idle machine")
    arguments = parser.parse_args()
    task = CopyTask(lengths=(arguments.length, arguments.length), bits=BITS, repeats=None, seed=0)
    data = MadeBatches(task, part=TRAIN, num_samples=arguments.steps * BATCH_SIZE, batch_size=BATCH_SIZE)
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}; batch {BATCH_SIZE}")
    with tempfile.TemporaryDirectory() as folder:
        of_dlcli = dlcli_epochs(
            make_model(*arguments.memory),
            sequence_objectives.bits(),
            data,
            rate=RATE,
            folder=Path(folder),
            xla=arguments.xla,
        )
        runners = {"dlcli": of_dlcli, "unrolled": unrolled(make_model(*arguments.memory), data, arguments.length)}
        clock = time.perf_counter if arguments.wall else time.process_time
        seconds = alternate(runners, rounds=arguments.epochs, clock=clock)
    rows, width = arguments.memory
    report(f"NTM {rows}x{width}, {arguments.length} vectors", seconds, of="dlcli", num_steps=arguments.steps)


if __name__ == "__main__":
    main()
