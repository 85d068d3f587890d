"""Peak memory of training from a folder: 20,000 JPEGs against 1,000.

    python benchmarks/folder_memory.py [--large 20000] [--small 1000]

Writes two folders of distinct 128x128 JPEGs in two classes, trains one epoch of a small convnet from each with
``dlcli train`` in a process of its own, and prints the processes' peak resident memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

SIDE = 128
RECIPE = """\
task: classification
data: {kind: folder, path: PATH, image_size: [128, 128]}
model:
  kind: convnet
  blocks: [{filters: 8, strides: 2}, {filters: 16, strides: 2}]
  pooling: average
train: {epochs: 1, batch_size: 32}
"""


def write_images(folder: Path, number: int) -> None:
    """Noise whose brightness depends on the class; all images are different."""
    rng = np.random.default_rng(0)
    for label, brightness in (("dark", 60), ("bright", 180)):
        (folder / label).mkdir(parents=True)
        for i in range(number // 2):
            small = rng.integers(brightness - 40, brightness + 40, (16, 16, 3)).astype(np.uint8)
            Image.fromarray(small).resize((SIDE, SIDE)).save(folder / label / f"{i:05d}.jpg", quality=80)


def peak_mib(folder: Path) -> float:
    """Trains from a folder in a new process; returns the process's peak resident memory in MiB."""
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(RECIPE.replace("PATH", folder.name))
    command = [sys.executable, "-m", "dlcli", "train", str(recipe), "--runs", str(folder.parent / "runs"), "-q"]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status != 0:
        raise SystemExit(f"{' '.join(command)} failed with status {status}")
    return usage.ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--large", type=int, default=20_000)
    parser.add_argument("--small", type=int, default=1_000)
    arguments = parser.parse_args()
    print(machine())
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for number in (arguments.small, arguments.large):
            folder = Path(name) / f"images_{number}"
            write_images(folder, number)
            peaks[number] = peak_mib(folder)
            print(f"  {number:6,} images of {SIDE}x{SIDE}: peak {peaks[number]:,.0f} MiB")
    print(f"  difference: {peaks[arguments.large] - peaks[arguments.small]:,.0f} MiB (target: at most 150)")


if __name__ == "__main__":
    main()
