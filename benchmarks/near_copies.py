"""How many copies of images `dlcli data check` finds, how many it reports wrongly, and how long it takes.

    python benchmarks/near_copies.py FOLDER|FILE.npz [...] [--limit 3000]

Makes one copy of each image below a folder (or in `x_train` of an .npz) for each kind of change, and looks for copies
among images and copies together, by the tiers of nearly identical and of probably same images. Prints

- recall: the proportion of images that are paired with their own copy;
- false alarms: pairs of different images, unless these images are a pair without any copies too;
- CPU seconds per 1,000 images of the search for probable copies, after the images were read;

and the pairs among the images themselves, which only an eye can judge.
"""

import argparse
import io
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from measure import machine
from numpy.typing import NDArray
from PIL import Image, ImageEnhance, ImageOps

from dlcli.data.images.duplicates import SIDE, near_copies
from dlcli.data.images.probable_copies import find_probable_copies
from dlcli.data.images.resizing import resize_image

SUFFIXES = (".jpg", ".jpeg", ".png")
Pairs = set[tuple[int, int]]


def gamma(image: Image.Image, exponent: float) -> Image.Image:
    return image.point([round(255 * (value / 255) ** exponent) for value in range(256)] * len(image.getbands()))


def crop(image: Image.Image, part: float, place: float) -> Image.Image:
    """Without a part of each side, taken from the top left corner (0) to the bottom right (1)."""
    width, height = round(image.width * (1 - part)), round(image.height * (1 - part))
    left, top = round((image.width - width) * place), round((image.height - height) * place)
    return image.crop((left, top, left + width, top + height))


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    content = io.BytesIO()
    image.save(content, "JPEG", quality=quality)
    return Image.open(content).convert("RGB")


KINDS: dict[str, Callable[[Image.Image], Image.Image]] = {
    "contrast 0.6": lambda image: ImageEnhance.Contrast(image).enhance(0.6),
    "contrast 1.5": lambda image: ImageEnhance.Contrast(image).enhance(1.5),
    "brightness 1.3": lambda image: ImageEnhance.Brightness(image).enhance(1.3),
    "gamma 0.7": lambda image: gamma(image, 0.7),
    "gamma 1.5": lambda image: gamma(image, 1.5),
    "crop 5%, center": lambda image: crop(image, 0.05, 0.5),
    "crop 5%, corner": lambda image: crop(image, 0.05, 0),
    "mirrored": ImageOps.mirror,
    "JPEG quality 50": lambda image: jpeg(image, 50),
    "half the size": lambda image: image.resize((max(1, image.width // 2), max(1, image.height // 2))),
}


def read(source: Path, limit: int) -> Iterable[Image.Image]:
    if source.suffix == ".npz":
        with np.load(source) as arrays:
            yield from (Image.fromarray(pixels).convert("RGB") for pixels in arrays["x_train"][:limit])
    else:
        for path in sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)[:limit]:
            with Image.open(path) as image:
                yield image.convert("RGB")


def thumbnail(image: Image.Image) -> NDArray[np.uint8]:
    small = resize_image(image, image_size=(SIDE, SIDE), resize="stretch", interpolation="bilinear", antialias=True)
    return np.asarray(small).mean(axis=-1).astype(np.uint8)


def search(thumbnails: NDArray[np.uint8]) -> tuple[Pairs, float]:
    """The pairs of copies, and the CPU seconds that the probable ones took."""
    start = time.process_time()
    probable, _ = find_probable_copies(thumbnails)
    seconds = time.process_time() - start
    near = near_copies(thumbnails, [str(i) for i in range(len(thumbnails))])
    return {copy.pair for copy in probable} | set(near), seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sources", type=Path, nargs="+")
    parser.add_argument("--limit", type=int, default=3_000)
    arguments = parser.parse_args()
    print(machine())
    for source in arguments.sources:
        images: list[NDArray[np.uint8]] = []
        copies: dict[str, list[NDArray[np.uint8]]] = {kind: [] for kind in KINDS}
        for image in read(source, arguments.limit):
            images.append(thumbnail(image))
            for kind, change in KINDS.items():
                copies[kind].append(thumbnail(change(image)))
        num = len(images)
        own, seconds = search(np.stack(images))
        print(f"\n{source}: {num:,} images, {len(own)} pairs among them, {seconds / num * 1000:.2f} CPU s per 1,000")
        print("kind             recall  false alarms  CPU s per 1,000")
        for kind, changed in copies.items():
            found, seconds = search(np.stack(images + changed))
            paired = sum((i, num + i) in found for i in range(num))
            others = {(min(i % num, j % num), max(i % num, j % num)) for i, j in found if i % num != j % num}
            wrong, time_taken = len(others - own), seconds / (2 * num) * 1000
            print(f"{kind:15}  {paired / num:6.3f}  {wrong:12}  {time_taken:15.2f}", flush=True)


if __name__ == "__main__":
    main()
