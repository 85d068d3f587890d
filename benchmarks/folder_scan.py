"""Time and memory of reading a folder of images, first and second call: 1, 10 and 100 thousand files.

    python benchmarks/folder_scan.py [--numbers 1000 10000 100000]

Writes folders of distinct 8x8 PNGs in ten classes, scans each twice in processes of their own with an index of its own,
and prints seconds (imports not counted), files per second, and the process's peak resident memory.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

NUM_CLASSES = 10
SCAN = """\
import resource, sys, time
from dlcli.data.images.sources.class_folders import read_folder
start = time.perf_counter()
dataset = read_folder(
    path=sys.argv[1], on_bad_image="error", image_size=None, color_mode=None, resize="stretch",
    interpolation="bilinear", antialias=True, validation=None, test=None, split_seed=0, limit=None, allow_leakage=True,
)
seconds = time.perf_counter() - start
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, dataset.fingerprint())
"""
SETTLED = 3.0  # seconds: files that changed just before they are read are not kept in the index


def write_images(folder: Path, number: int) -> None:
    """Noise; all images are different."""
    rng = np.random.default_rng(0)
    for label in range(NUM_CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for i in range(number // NUM_CLASSES):
            pixels = rng.integers(0, 256, (8, 8), np.uint8)
            Image.fromarray(pixels).save(folder / f"class{label}" / f"{i:06d}.png", compress_level=0)


def scan(folder: Path) -> tuple[float, float, str]:
    """Seconds, peak MiB, and the fingerprint of the data."""
    environment = {**os.environ, "DLCLI_CACHE": str(folder.absolute().parent / "cache")}
    command = [sys.executable, "-c", SCAN, str(folder)]
    seconds, mib, fingerprint = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    return float(seconds), float(mib), fingerprint


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    arguments = parser.parse_args()
    print(machine())
    print("  files  scan    seconds  files/s  peak MiB")
    for number in arguments.numbers:
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, "images")
            write_images(folder, number)
            time.sleep(SETTLED)
            results = [scan(folder), scan(folder)]
        for name, (seconds, mib, _) in zip(("first", "second"), results, strict=True):
            print(f"{number:7,}  {name:6}  {seconds:7.2f}  {number / seconds:7,.0f}  {mib:8.0f}", flush=True)
        if results[0][2] != results[1][2]:
            raise SystemExit("the two scans differ")


if __name__ == "__main__":
    main()
