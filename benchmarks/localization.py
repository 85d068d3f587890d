"""Training with boxes compared with training without: whole epochs of one network on the same images, alternating.

    python benchmarks/localization.py [--epochs 7] [--size 64]

The convnet of recipes/localize_shapes.yaml at full size, with augmentation: `task: localization` (both heads, GIoU) and
`task: classification` of the same scenes from an .npz. Prints the ratio of images per second with boxes to those
without.
"""

import argparse
import tempfile
from collections.abc import Callable
from pathlib import Path

from dlcli.recipe.load import load_text
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.dispatch import prepare, task_of

device = start_tensorflow("cpu")

import numpy as np  # noqa: E402
from measure import Silence, alternate, epochs_of, machine, report  # noqa: E402

COMMON = """\
augment: {horizontal_flip: true, width_shift_range: 0.1, height_shift_range: 0.1, zoom_range: 0.1}
model:
  kind: convnet
  blocks:
    - {filters: 16, batch_norm: true}
    - {filters: 32, batch_norm: true}
    - {filters: 64, batch_norm: true}
    - {filters: 64, batch_norm: true}
  pooling: max
train: {epochs: 1000, batch_size: 32}
"""


def epochs(text: str, folder: Path) -> tuple[Callable[[int], None], int]:
    """A function that trains an epoch, and the number of steps of an epoch."""
    job = prepare(load_text(text.encode(), folder / "recipe.yaml"), device, Console(quiet=True))
    training = job.loop(RunDir(folder / "run"), Silence())

    return epochs_of(training), job.train_data.num_steps


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=7)
    parser.add_argument("--size", type=int, default=64)
    options = parser.parse_args()
    print(machine())
    data = f"num_samples: 2000, image_size: [{options.size}, {options.size}], validation: 0, test: 0"
    with_boxes = f"task: localization\ndata: {{kind: shapes, {data}}}\nbox_head: {{channels: 32, loss: giou}}\n{COMMON}"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "run").mkdir()
        loaded = load_text(with_boxes.encode(), folder / "x.yaml")
        scenes = task_of(loaded.recipe).open_data(loaded, Console(quiet=True)).splits["train"]
        np.savez(folder / "scenes.npz", x_train=scenes.load(np.arange(len(scenes))), y_train=scenes.labels)
        without = f"task: classification\ndata: {{kind: npz, path: scenes.npz, validation: 0, test: 0}}\n{COMMON}"
        boxes, num_steps = epochs(with_boxes, folder)
        classes, _ = epochs(without, folder)
        seconds = alternate({"without boxes": classes, "with boxes": boxes}, rounds=options.epochs, warmups=2)
        ratios = report("training, batches of 32", seconds, of="without boxes", num_steps=num_steps)
    print(f"\nratio of images per second with boxes to those without: {ratios['with boxes']:.3f}")


if __name__ == "__main__":
    main()
