"""Peak memory of training from a folder: 20,000 JPEGs against 1,000; or from up to a million tiny files and shards.

    python benchmarks/folder_memory.py [--large 20000] [--small 1000]
    python benchmarks/folder_memory.py --tiny 1000 100000 1000000

Writes two folders of distinct 128x128 JPEGs in two classes, trains one epoch of a small convnet from each with
``dlcli train`` in a process of its own, and prints the processes' peak resident memory. With --tiny, the images are
distinct 8x8 PNGs in ten classes, the network has one layer, and each folder is also packed and trained on as shards.
"""

import argparse
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import zlib
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


TINY = """\
task: classification
data: {kind: KIND, path: PATH, cache: none}
model: {kind: mlp, units: []}
train: {epochs: 1, batch_size: 256}
"""
NUM_CLASSES = 10
TINY_SIDE = 8


def write_tiny_images(folder: Path, number: int) -> None:
    """Noise, as PNGs without compression, which Pillow would take longer to write; all images are different."""
    rng = np.random.default_rng(0)
    header = struct.pack(">IIBBBBB", TINY_SIDE, TINY_SIDE, 8, 0, 0, 0, 0)
    for label in range(NUM_CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for i in range(number // NUM_CLASSES):
            pixels = rng.integers(0, 256, (TINY_SIDE, TINY_SIDE), np.uint8)
            rows = np.pad(pixels, ((0, 0), (1, 0))).tobytes()  # each starts with its filter, 0
            chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 0)), (b"IEND", b""))
            content = b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in chunks)
            (folder / f"class{label}" / f"{i:06d}.png").write_bytes(content)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def measure_tiny(number: int) -> None:
    """Prints the peak memory of training on so many tiny files, and on them in shards."""
    with tempfile.TemporaryDirectory() as name:
        os.environ["DLCLI_CACHE"] = str(Path(name) / "cache")
        folder = Path(name) / "images"
        write_tiny_images(folder, number)
        time.sleep(3.0)  # files that changed just before they are read are not kept in the index
        text = TINY.replace("KIND", "folder").replace("PATH", "images")
        print(f"  {number:9,} files: peak {peak_mib(folder, text):,.0f} MiB", flush=True)
        command = [sys.executable, "-m", "dlcli", "data", "pack", str(folder.with_suffix(".yaml"))]
        subprocess.run([*command, "-o", str(folder.parent / "packed"), "-q"], stdout=subprocess.DEVNULL, check=True)
        shutil.rmtree(folder)
        text = TINY.replace("KIND", "shards").replace("PATH", "packed")
        print(f"  {number:9,} in shards: peak {peak_mib(folder.parent / 'packed', text):,.0f} MiB", flush=True)


def peak_mib(folder: Path, text: str) -> float:
    """Trains from a folder in a new process; returns the process's peak resident memory in MiB."""
    recipe = folder.with_suffix(".yaml")
    recipe.write_text(text)
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
    parser.add_argument("--tiny", type=int, nargs="+", help="numbers of tiny files")
    arguments = parser.parse_args()
    print(machine())
    if arguments.tiny:
        for number in arguments.tiny:
            measure_tiny(number)
        return
    peaks = {}
    with tempfile.TemporaryDirectory() as name:
        for number in (arguments.small, arguments.large):
            folder = Path(name) / f"images_{number}"
            write_images(folder, number)
            peaks[number] = peak_mib(folder, RECIPE.replace("PATH", folder.name))
            print(f"  {number:6,} images of {SIDE}x{SIDE}: peak {peaks[number]:,.0f} MiB")
    print(f"  difference: {peaks[arguments.large] - peaks[arguments.small]:,.0f} MiB (target: at most 150)")


if __name__ == "__main__":
    main()
