"""Time and memory of reading a folder of images, first and second call, and packed: 1, 10 and 100 thousand files.

    python benchmarks/folder_scan.py [--numbers 1000 10000 100000] [--listing 1000000]

Writes folders of distinct 8x8 PNGs in ten classes, scans each twice in processes of their own with an index of its own,
packs it into shards, scans these, loads the training split in random order from either, and prints seconds (imports
not counted) of the clock and of the processor, files per second, and the process's peak resident memory. With
--listing, files of one byte are listed twice with their classes, and none is opened.
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
from dlcli.data.images.dataset import Reading
from dlcli.data.images.sources.class_folders import read_folder
start, start_cpu = time.perf_counter(), time.process_time()
dataset = read_folder(
    path=sys.argv[1], reading=Reading(), image_size=None, color_mode=None, resize="stretch",
    interpolation="bilinear", antialias=True, validation=None, test=None, split_seed=0, limit=None, allow_leakage=True,
)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
mib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(seconds, cpu_seconds, mib, dataset.fingerprint())
"""
PACK = """\
import sys
from pathlib import Path
from dlcli.recipe.load import load
from dlcli.runtime.console import Console
from dlcli.workflow.inspect import pack
recipe = Path(sys.argv[1]).parent / "images.yaml"
recipe.write_text("task: classification\\ndata: {kind: folder, path: images}\\nmodel: {kind: mlp}\\n")
pack(load(recipe), recipe.parent / "packed", 256_000_000, Console(quiet=True))
"""
SHARDS = SCAN.replace("class_folders", "shards").replace("read_folder", "read_shards")
LOAD = """\
import numpy as np
samples = dataset.splits["train"]
order = np.random.default_rng(1).permutation(len(samples))
start, start_cpu = time.perf_counter(), time.process_time()
for position in range(0, len(order), 64):
    samples.load(order[position : position + 64])
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
print(seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, dataset.fingerprint())
"""
LOADS = {name: code.partition("seconds, cpu")[0] + LOAD for name, code in (("folder", SCAN), ("shards", SHARDS))}
LIST = """\
import resource, sys, time
from pathlib import Path
from dlcli.data.images.sources.class_folders import class_names, list_classes
root = Path(sys.argv[1])
start, start_cpu = time.perf_counter(), time.process_time()
files, left_out = list_classes(root, root, needs_all=True)
labels = class_names(root, files)
seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - start_cpu
print(seconds, cpu_seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, len(labels))
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


def write_bytes(folder: Path, number: int) -> None:
    """Files that have the names of images."""
    for label in range(NUM_CLASSES):
        (folder / f"class{label}").mkdir(parents=True)
        for i in range(number // NUM_CLASSES):
            (folder / f"class{label}" / f"{i:06d}.png").write_bytes(b"x")


def call(code: str, folder: Path) -> tuple[float, float, float, str]:
    """Seconds of the clock and of the processor, peak MiB, and the fingerprint of the data or the number of files."""
    environment = {**os.environ, "DLCLI_CACHE": str(folder.absolute().parent / "cache")}
    command = [sys.executable, "-c", code, str(folder)]
    seconds, cpu_seconds, mib, result = subprocess.run(
        command, env=environment, stdout=subprocess.PIPE, text=True, check=True
    ).stdout.split()
    return float(seconds), float(cpu_seconds), float(mib), result


def report(code: str, noun: str, number: int, folder: Path, names: tuple[str, ...] = ("first", "second")) -> str:
    """Calls twice, or once, and prints a line for each; gives the fingerprint, or the number of files."""
    results = [call(code, folder) for _ in names]
    for name, (seconds, cpu_seconds, mib, _) in zip(names, results, strict=True):
        print(
            f"{number:9,}  {name:6} {noun:7}  {seconds:7.2f}  {cpu_seconds:7.2f}  {number / seconds:7,.0f}  {mib:8.0f}",
            flush=True,
        )
    if len({result[3] for result in results}) > 1:
        raise SystemExit("the two calls differ")
    return results[0][3]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--numbers", type=int, nargs="+", default=[1_000, 10_000, 100_000])
    parser.add_argument("--listing", type=int, help="a number of files that are only listed")
    arguments = parser.parse_args()
    print(machine())
    print("    files  call            seconds      CPU  files/s  peak MiB")
    for number in arguments.numbers:
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, "images")
            write_images(folder, number)
            time.sleep(SETTLED)
            expected = report(SCAN, "scan", number, folder)
            subprocess.run([sys.executable, "-c", PACK, str(folder)], check=True)
            packed = folder.parent / "packed"
            found = {
                report(SHARDS, "scan", number, packed, ("packed",)),
                report(LOADS["folder"], "load", number, folder, ("files",)),
                report(LOADS["shards"], "load", number, packed, ("packed",)),
            }
            if found != {expected}:
                raise SystemExit("the data differ")
    if arguments.listing:
        with tempfile.TemporaryDirectory() as parent:
            folder = Path(parent, "images")
            write_bytes(folder, arguments.listing)
            report(LIST, "listing", arguments.listing, folder)


if __name__ == "__main__":
    main()
