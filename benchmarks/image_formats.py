"""Decoding images of each format, against Pillow alone in one thread.

    python benchmarks/image_formats.py

Prints, for an image of 500x375 pixels of smooth noise, the milliseconds that Pillow takes to open and convert it, and
those of dlcli's decoder on the same bytes, which also checks the format, the size and the orientation; medians.
"""

import io
import statistics
import time
from collections.abc import Callable

import numpy as np
import pillow_heif
from PIL import Image

from dlcli.data.images.decoding import decode
from dlcli.data.images.formats import FORMATS

ROUNDS = 40


def encode(image_format: str) -> bytes:
    coarse = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
    image = Image.fromarray(coarse).resize((500, 375), Image.Resampling.BICUBIC)
    file = io.BytesIO()
    image.save(file, image_format)
    return file.getvalue()


def median_ms(call: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        started = time.perf_counter()
        call()
        times.append(1000 * (time.perf_counter() - started))
    return statistics.median(times)


def main() -> None:
    pillow_heif.register_heif_opener()
    print("format     Pillow ms  dlcli ms  ratio")
    for key, image_format in FORMATS.items():
        data = encode(key)
        alone = median_ms(lambda data=data: Image.open(io.BytesIO(data)).convert("RGB"))  # type: ignore[misc]
        ours = median_ms(lambda data=data: decode(data))  # type: ignore[misc]
        print(f"{image_format.name:9}  {alone:9.2f}  {ours:8.2f}  {ours / alone:5.2f}")


if __name__ == "__main__":
    main()
