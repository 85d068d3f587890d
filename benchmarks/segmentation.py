"""Training a segmenter compared with a hand-written loop and PyTorch: whole epochs of one U-Net, alternating.

    python benchmarks/segmentation.py [--epochs 5] [--samples 400] [--size 64] [--processor-time] [--memory]

All train the U-Net of recipes/segment_shapes.yaml on the same synthetic scenes with Adam in batches of 8, by the
cross-entropy of each pixel. For dlcli, the loop of ``dlcli train`` is timed, with data, shuffling, gradient norm and
metrics. The hand-written loop is one tf.function per epoch that gathers batches from memory and computes nothing but
the loss. PyTorch is included if it is installed. With ``--memory``, the peak memory of `dlcli train` on 2,000 images
with masks in files is compared with that on 200.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dlcli.recipe.load import load_text
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.dispatch import prepare, task_of
from dlcli.tasks.segmentation.network import maps_of, pixel_outputs

device = start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from measure import Silence, alternate, epochs_of, machine, report  # noqa: E402
from PIL import Image  # noqa: E402

BATCH_SIZE, RATE, FILTERS, DEPTH = 8, 1e-3, 8, 3
RECIPE = f"""\
task: segmentation
data: DATA
model: {{kind: unet, filters: {FILTERS}, depth: {DEPTH}}}
train: {{epochs: EPOCHS, batch_size: {BATCH_SIZE}, optimizer: {{kind: adam, learning_rate: {RATE}}}}}
"""


def recipe(data: str, *, epochs: int = 1000) -> str:
    return RECIPE.replace("DATA", data).replace("EPOCHS", str(epochs))


def hand_written(section: Any, images: np.ndarray, masks: np.ndarray, num_classes: int) -> Callable[[int], None]:
    """An epoch of the same network, from arrays in memory."""
    keras.utils.set_random_seed(0)
    base = maps_of(section, shape=images.shape[1:])
    logits = pixel_outputs(base, section, num_classes=num_classes).trained
    model = keras.Model(base.inputs, logits)
    optimizer = keras.optimizers.Adam(RATE)
    optimizer.build(model.trainable_variables)
    x, y = tf.constant(images), tf.constant(masks)
    num_steps = len(images) // BATCH_SIZE

    @tf.function
    def train(order: Any) -> Any:
        total = tf.constant(0.0)
        for step in tf.range(num_steps):
            index = order[step * BATCH_SIZE : (step + 1) * BATCH_SIZE]
            true = tf.cast(tf.gather(y, index), tf.int32)
            with tf.GradientTape() as tape:
                scores = model(tf.cast(tf.gather(x, index), tf.float32), training=True)
                loss = tf.reduce_mean(tf.nn.sparse_softmax_cross_entropy_with_logits(true, scores))
            optimizer.apply(tape.gradient(loss, model.trainable_variables), model.trainable_variables)
            total += loss
        return total / tf.cast(num_steps, tf.float32)

    return lambda number: float(train(tf.constant(np.random.default_rng(number).permutation(len(images))))) and None


def pytorch(images: np.ndarray, masks: np.ndarray, num_classes: int) -> Callable[[int], None]:
    """An epoch of the same U-Net in PyTorch: padded convolutions with batch normalization, transposed convolutions."""
    import torch
    from torch import nn

    def two(channels: int, filters: int) -> nn.Sequential:
        layers: list[nn.Module] = []
        for number in (channels, filters):
            layers += [nn.Conv2d(number, filters, 3, padding=1, bias=False), nn.BatchNorm2d(filters), nn.ReLU()]
        return nn.Sequential(*layers)

    class UNet(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            widths = [FILTERS * 2**level for level in range(DEPTH + 1)]
            self.down = nn.ModuleList(map(two, [3, *widths[:-1]], widths))
            self.up = nn.ModuleList(
                nn.ConvTranspose2d(2 * width, width, 2, stride=2) for width in reversed(widths[:-1])
            )
            self.join = nn.ModuleList(two(2 * width, width) for width in reversed(widths[:-1]))
            self.logits = nn.Conv2d(FILTERS, num_classes, 1)

        def forward(self, x: Any) -> Any:
            skips = []
            for level, convolutions in enumerate(self.down):
                x = convolutions(nn.functional.max_pool2d(x, 2) if level else x)
                skips.append(x)
            for up, join, skip in zip(self.up, self.join, reversed(skips[:-1]), strict=True):
                x = join(torch.cat([skip, up(x)], dim=1))
            return self.logits(x)

    torch.manual_seed(0)
    model = UNet()
    optimizer = torch.optim.Adam(model.parameters(), RATE)
    x, y = torch.from_numpy(images.transpose(0, 3, 1, 2).copy()), torch.from_numpy(masks.astype(np.int64))

    def epoch(number: int) -> None:
        model.train()
        order = torch.randperm(len(x))
        for start in range(0, len(order), BATCH_SIZE):
            index = order[start : start + BATCH_SIZE]
            loss = nn.functional.cross_entropy(model(x[index].float() / 255), y[index])
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()

    return epoch


def compare(num_samples: int, size: int, rounds: int, clock: Callable[[], float]) -> None:
    data = f"{{kind: scenes, num_samples: {num_samples}, image_size: [{size}, {size}], validation: 0, test: 0}}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        loaded = load_text(recipe(data).encode(), folder / "recipe.yaml")
        job = prepare(loaded, device, Console(quiet=True))
        dataset = task_of(loaded.recipe).open_data(loaded, Console(quiet=True))
        samples, num_classes = dataset.splits["train"], len(dataset.classes)
        everything = np.arange(len(samples))
        images = samples.load(everything).astype(np.uint8)
        (target,) = samples.targets()
        masks = np.asarray(target.rows()["mask"])  # scenes are kept in memory
        runners = {
            "dlcli": epochs_of(job.loop(RunDir(folder / "run"), Silence())),
            "hand-written": hand_written(loaded.recipe.model, images, masks, num_classes),
        }
        try:
            runners["PyTorch"] = pytorch(images, masks, num_classes)
        except ImportError:
            print("PyTorch is not installed, skipped")
        seconds = alternate(runners, rounds=rounds, clock=clock)
    report(f"U-Net, {size}x{size}, batches of {BATCH_SIZE}", seconds, of="dlcli", num_steps=num_samples // BATCH_SIZE)


def write_pairs(folder: Path, number: int, size: int) -> None:
    """Images of noise with a bright square, and masks of the square."""
    rng = np.random.default_rng(0)
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    for i in range(number):
        image, mask = rng.integers(0, 100, (size, size, 3), np.uint8), np.zeros((size, size), np.uint8)
        top, left = rng.integers(0, size // 2, 2)
        mask[top : top + size // 2, left : left + size // 2] = 1
        image[mask == 1] += 100
        Image.fromarray(image).save(folder / "images" / f"{i:05d}.png")
        Image.fromarray(mask).save(folder / "masks" / f"{i:05d}.png")


def peak_mib(folder: Path) -> float:
    """Trains an epoch from a folder in a new process; returns the process's peak resident memory in MiB."""
    data = f"{{kind: masks, path: {folder.name}, classes: [background, square], image_size: [256, 256]}}"
    file = folder.with_suffix(".yaml")
    file.write_text(recipe(data, epochs=1))
    command = [sys.executable, "-m", "dlcli", "train", str(file), "--runs", str(folder.parent / "runs"), "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_maxrss / 1024


def compare_memory() -> None:
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for number in (200, 2000):
            folder = Path(name) / f"pairs_{number}"
            write_pairs(folder, number, 256)
            peaks[number] = peak_mib(folder)
            print(f"  {number:5,} images of 256x256 with masks: peak {peaks[number]:,.0f} MiB")
    print(f"  difference: {peaks[2000] - peaks[200]:,.0f} MiB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--epochs", type=int, default=5, help="number of timed epochs, after a warm-up epoch")
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument(
        "--processor-time", action="store_true", help="measure the processor's time in place of the clock's"
    )
    parser.add_argument("--memory", action="store_true", help="compare the memory of large and small data instead")
    arguments = parser.parse_args()
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}")
    if arguments.memory:
        compare_memory()
    else:
        clock = time.process_time if arguments.processor_time else time.perf_counter
        compare(arguments.samples, arguments.size, arguments.epochs, clock)


if __name__ == "__main__":
    main()
