"""A head on a frozen ResNet50: features computed once, the base run in every epoch, and Keras's fit as in tutorials.

    python benchmarks/transfer.py [--photos 200] [--epochs 5] [--rounds 3]

Each variant trains in its own process on the same 224x224 images in batches of 32. Timing starts once images are
decoded and the network is built, and ends with the last epoch. Weights are random, which costs the same. Prints the
time of each variant relative to dlcli's, and the processes' peak resident memory.

    kept        dlcli: features computed once, then the head alone
    kept, again the same with the features of an earlier run
    every epoch dlcli with horizontal flips, so that features change every epoch
    fit         Keras: base.trainable = False, base(x, training=False), pooling, Dense, model.fit
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

SIDE = 224
BATCH = 32
WAYS = ("kept", "kept, again", "every epoch", "fit")
RECIPE = """\
task: classification
data: {{kind: folder, path: photos, image_size: [224, 224], validation: 0.0, test: 0.0}}
{augment}
model: {{kind: application, network: resnet50, head: average, preprocessing: none}}
train:
  batch_size: 32
  stages: [{{name: head, epochs: {epochs}, trainable: head}}]
"""


def write_photos(folder: Path, number: int) -> None:
    rng = np.random.default_rng(0)
    for label, shade in (("dark", 60), ("light", 180)):
        (folder / label).mkdir(parents=True)
        for i in range(number // 2):
            small = rng.integers(shade - 50, shade + 50, (32, 32, 3)).astype(np.uint8)
            Image.fromarray(small).resize((SIDE, SIDE)).save(folder / label / f"{i:05d}.jpg")


def with_dlcli(folder: Path, epochs: int, *, augment: bool) -> float:
    """Seconds of a training loop."""
    from dlcli.recipe.load import load
    from dlcli.runtime.startup import start_tensorflow

    recipe = folder / "recipe.yaml"
    recipe.write_text(RECIPE.format(epochs=epochs, augment="augment: {horizontal_flip: true}" if augment else ""))
    device = start_tensorflow("cpu")
    from dlcli.report.tensorboard import TensorBoard
    from dlcli.rundir.runs import create_run
    from dlcli.runtime.console import Console
    from dlcli.tasks.dispatch import prepare
    from dlcli.workflow.train import _Observer

    console = Console(quiet=True)
    job = prepare(load(recipe), device, console)
    run = create_run(folder / "runs", "run")
    loop = job.loop(run, _Observer(run, job.best_metric, console, TensorBoard(run.tensorboard)))
    run.info.write_text("{}")
    start = time.perf_counter()
    loop.train()
    return time.perf_counter() - start


def with_fit(folder: Path, epochs: int) -> float:
    """Seconds of ``fit``."""
    import keras

    paths = sorted((folder / "photos").glob("*/*.jpg"))
    pixels = np.stack([np.asarray(Image.open(path)) for path in paths]).astype(np.float32)
    labels = np.array([path.parent.name == "light" for path in paths], np.int32)
    base = keras.applications.ResNet50(include_top=False, weights=None, input_shape=(SIDE, SIDE, 3))
    base.trainable = False
    inputs = keras.Input((SIDE, SIDE, 3))
    x = keras.layers.GlobalAveragePooling2D()(base(inputs, training=False))
    model = keras.Model(inputs, keras.layers.Dense(2)(x))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(1e-3), loss=loss, metrics=["accuracy"])
    start = time.perf_counter()
    model.fit(pixels, labels, batch_size=BATCH, epochs=epochs, verbose=0)
    return time.perf_counter() - start


def child(way: str, folder: Path, epochs: int) -> None:
    seconds = with_fit(folder, epochs) if way == "fit" else with_dlcli(folder, epochs, augment=way == "every epoch")
    print(json.dumps({"seconds": seconds}), flush=True)
    os._exit(0)


def measure(way: str, folder: Path, epochs: int) -> tuple[float, float]:
    """Seconds, and peak resident memory in MiB."""
    command = [sys.executable, __file__, "--child", way, "--folder", str(folder), "--epochs", str(epochs)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    lines = process.stdout.read().splitlines()
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return json.loads(lines[-1])["seconds"], usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        child(arguments.child, arguments.folder, arguments.epochs)
    print(f"{machine()}; {arguments.photos} photos, {arguments.epochs} epochs, {arguments.rounds} rounds")
    seconds: dict[str, list[float]] = {way: [] for way in WAYS}
    peaks: dict[str, list[float]] = {way: [] for way in WAYS}
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            write_photos(folder / "photos", arguments.photos)
            for way in WAYS:
                taken, peak = measure(way, folder, arguments.epochs)
                seconds[way].append(taken)
                peaks[way].append(peak)
    for way in WAYS:
        pairs = [a / b for a, b in zip(seconds[way], seconds["kept"], strict=True)]
        print(
            f"  {way:12} {statistics.median(seconds[way]):7.2f} s   {way} / kept = {statistics.median(pairs):.2f} "
            f"({min(pairs):.2f} to {max(pairs):.2f})   peak {statistics.median(peaks[way]):,.0f} MiB"
        )


if __name__ == "__main__":
    main()
