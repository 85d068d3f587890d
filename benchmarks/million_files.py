"""Peak memory of reading a million tiny images, in files and in shards, without training on them.

    python benchmarks/million_files.py [--number 1000000]

The files are links to a few PNGs, and the index of images already knows them, as at the second start of a command; so
no time goes into writing and decoding a million images. Each gets a digest of its own. The shard is an empty file of
the right size with a complete index. Prints by how much the peak resident memory of a process grows while the data are
read and their fingerprint is computed, and the processor's seconds.
"""

import argparse
import csv
import hashlib
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from measure import machine
from PIL import Image

from dlcli.data.images.scan_index import Checked, Known, ScanIndex, settled_status
from dlcli.data.images.sources.shards import COLUMNS, INDEX, index_row

NUM_CLASSES = 10
NUM_LINKED = 40  # a file system may have a limit of 65,000 links to a file
STRIDE = 2048  # bytes between images in the shard
READ = """\
import resource, sys, time
from dlcli.data.images.dataset import Reading
from dlcli.data.images.sources.class_folders import read_folder
from dlcli.data.images.sources.shards import read_shards
import tensorflow  # as in training
before, start = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
(read_folder if sys.argv[2] == "files" else read_shards)(
    path=sys.argv[1], reading=Reading(), image_size=None, color_mode=None, resize="stretch", interpolation="bilinear",
    antialias=True, validation=None, test=None, split_seed=0, limit=None, allow_leakage=True,
).fingerprint()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before, time.process_time() - start)
"""


def digest(i: int) -> str:
    return hashlib.sha256(str(i).encode()).hexdigest()[:16]


def checked(i: int) -> Checked:
    return Checked(8, 8, True, digest(i), None, False, "PNG", "L")


def write_files(root: Path, number: int) -> None:
    """Links in a folder for each class, and their entries in the index."""
    sources = [root.parent / f"source{i}.png" for i in range(NUM_LINKED)]
    for i, source in enumerate(sources):
        Image.fromarray(np.full((8, 8), i, np.uint8)).save(source)
        os.utime(source, (0, 0))
    files = [root / f"class{i % NUM_CLASSES}" / f"{i:07d}.png" for i in range(number)]
    for label in range(NUM_CLASSES):
        (root / f"class{label}").mkdir(parents=True)
    for i, file in enumerate(files):
        os.link(sources[i % NUM_LINKED], file)
    time.sleep(3.0)  # files that changed just before are not kept in the index
    statuses = []
    for source in sources:
        with open(source, "rb") as opened:
            statuses.append(settled_status(opened.fileno()))
    with ScanIndex(files) as index:
        for i in range(number):
            status = statuses[i % NUM_LINKED]
            assert status is not None
            index.add(i, status, Known(digest(i), checked(i)))


def write_shards(root: Path, number: int) -> None:
    root.mkdir()
    with open(root / "train-000000.tar", "wb") as shard:
        shard.truncate(number * STRIDE)
    with open(root / INDEX, "w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(COLUMNS)
        for i in range(number):
            label, split = f"class{i % NUM_CLASSES}", ("train", "validation", "test")[max(0, i // NUM_CLASSES % 10 - 7)]
            place = ("train-000000.tar", f"{i:09d}.png", STRIDE * i + 512, 146)
            writer.writerow(index_row([f"{label}/{i:07d}.png", split, label, "", digest(i)], place, checked(i)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--number", type=int, default=1_000_000)
    number = parser.parse_args().number
    print(machine())
    with tempfile.TemporaryDirectory() as name:
        os.environ["DLCLI_CACHE"] = str(Path(name, "cache"))
        for kind, write in (("files", write_files), ("shards", write_shards)):
            write(Path(name, kind), number)
            done = subprocess.run(
                [sys.executable, "-c", READ, str(Path(name, kind)), kind], stdout=subprocess.PIPE, text=True, check=True
            )
            kib, seconds = map(float, done.stdout.split())
            growth = f"{kib / 1024:,.0f} MiB, {kib * 1024 / number:.0f} bytes each"
            print(f"  {number:9,} in {kind:6}: {growth}; {seconds:.1f} s", flush=True)


if __name__ == "__main__":
    main()
