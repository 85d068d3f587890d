"""Augmented images per second: dlcli compared with ImageDataGenerator and Keras's Random* layers, in one run.

    python benchmarks/augmentation.py [--rounds 5] [--engines]

Three cases, each with the eight augmentations below: arrays of 224x224 and of 32x32, and a folder of 500x375 JPEGs
resized to 224x224, for the first epoch (with decoding) and a later one (decoded images cached). For dlcli, the batches
of ``dlcli train`` are timed: shuffling, random parameters, decoding, augmentation. ``--engines`` compares
implementations of the warp alone; OpenCV and numba are included if they are installed.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from measure import machine

from dlcli.data.augmentation.affine import warp
from dlcli.data.files import hash_content
from dlcli.data.images.decoding import ImagePolicy, read_images
from dlcli.data.images.samples import Samples
from dlcli.recipe.sections.augment import Augment
from dlcli.runtime.startup import start_tensorflow
from dlcli.tasks.images.augmentation import make_augmentation
from dlcli.tasks.images.batches import batches

start_tensorflow("cpu")

import keras  # noqa: E402
import numpy as np  # noqa: E402
import tensorflow as tf  # noqa: E402
from PIL import Image  # noqa: E402

AUGMENT = Augment(
    rotation_range=40,
    width_shift_range=0.2,
    height_shift_range=0.2,
    shear_range=0.2,
    zoom_range=0.2,
    horizontal_flip=True,
    channel_shift_range=9,
    fill_mode="nearest",
)
BATCH_SIZE = 32
Epoch = Callable[[int], int]  # index of the epoch -> number of images


def smooth_noise(num: int, height: int, width: int) -> np.ndarray:
    """uint8 images that compress like photographs, not like noise."""
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (num, height // 8 + 1, width // 8 + 1, 3), np.uint8)
    return np.stack([np.asarray(Image.fromarray(x).resize((width, height), Image.Resampling.BICUBIC)) for x in small])


def dlcli(samples: Samples) -> Epoch:
    data = batches(samples, batch_size=BATCH_SIZE, seed=0, augment=AUGMENT)

    def one_step(source: Any, step: Any, last: Any) -> Any:
        return step + 1, tf.reduce_max(data.assemble(data.element(source, step))["x"])

    @tf.function(autograph=False)
    def all_steps(source: Any) -> Any:  # as in the training step
        start = (tf.constant(0, tf.int64), tf.constant(0.0))
        return tf.while_loop(
            lambda step, last: step < data.num_steps, lambda step, last: one_step(source, step, last), start
        )

    def epoch(number: int) -> int:
        all_steps(data.source(number))[1].numpy()
        return data.num_samples

    return epoch


def in_arrays(pixels: np.ndarray, **where: Any) -> Samples:
    names = tuple(str(i) for i in range(len(pixels)))
    policy = ImagePolicy(pixels.shape[1:3], "rgb", "stretch", "bilinear", True)
    labels = np.zeros(len(pixels), np.int32)
    files = (where or {}).get("files", ())
    digests = tuple(hash_content(path.read_bytes()) for path in files) or names
    return Samples(
        names=names, labels=labels, digests=digests, groups=None, policy=policy, **(where or {"pixels": pixels})
    )


def generator() -> Any:
    known = ("rotation_range", "width_shift_range", "height_shift_range", "shear_range", "zoom_range")
    known += ("horizontal_flip", "channel_shift_range", "fill_mode")
    arguments = {name: getattr(AUGMENT, name) for name in known}
    return tf.keras.preprocessing.image.ImageDataGenerator(**arguments)


def generator_on_arrays(pixels: np.ndarray) -> Epoch:
    flow = generator().flow(pixels, batch_size=BATCH_SIZE, shuffle=True, seed=0)
    return lambda number: sum(len(flow[i]) for i in range(len(flow)))


def generator_on_folder(folder: Path) -> Epoch:
    flow = generator().flow_from_directory(
        folder, target_size=(224, 224), interpolation="bilinear", batch_size=BATCH_SIZE, class_mode=None, seed=0
    )
    return lambda number: sum(len(flow[i]) for i in range(len(flow)))


def keras_layers(pixels: np.ndarray) -> Epoch:
    """The closest equivalent in Keras's layers, without channel shifts."""
    layers = [
        keras.layers.RandomRotation(40 / 360, fill_mode="nearest"),
        keras.layers.RandomTranslation(0.2, 0.2, fill_mode="nearest"),
        keras.layers.RandomShear(0.0035, 0.0035, fill_mode="nearest"),
        keras.layers.RandomZoom(0.2, 0.2, fill_mode="nearest"),
        keras.layers.RandomFlip("horizontal"),
    ]

    def augment(x: Any) -> Any:
        x = tf.cast(x, tf.float32)
        for layer in layers:
            x = layer(x, training=True)
        return x

    data = tf.data.Dataset.from_tensor_slices(pixels).shuffle(len(pixels)).batch(BATCH_SIZE)
    data = data.map(augment, num_parallel_calls=tf.data.AUTOTUNE).prefetch(2)
    return lambda number: sum(len(batch.numpy()) for batch in data)


def decode_only(files: list[Path], policy: ImagePolicy) -> Epoch:
    def epoch(number: int) -> int:
        for start in range(0, len(files), BATCH_SIZE):
            read_images(files[start : start + BATCH_SIZE], policy=policy)
        return len(files)

    return epoch


def measure(title: str, runners: dict[str, Epoch], *, rounds: int, of: str) -> None:
    """Prints the median images per second of each, and how many times faster than ``of`` it is, pair by pair."""
    rates: dict[str, list[float]] = {name: [] for name in runners}
    for number in range(rounds + 1):
        for name, run in runners.items():
            start = time.perf_counter()
            made = run(number)
            if number:  # the first round compiles
                rates[name].append(made / (time.perf_counter() - start))
    print(f"\n{title}")
    for name, values in rates.items():
        pairs = [a / b for a, b in zip(values, rates[of], strict=True)]
        spread = f"({min(pairs):.1f} to {max(pairs):.1f})"
        print(f"  {name:34} {statistics.median(values):9,.0f} per second  {statistics.median(pairs):5.1f} {spread}")


def engines(height: int, width: int, num: int) -> dict[str, Epoch]:
    """Implementations of the warp, with the same transformations and pixels."""
    pixels = smooth_noise(num, height, width)
    augmentation = make_augmentation(AUGMENT)
    parameters = augmentation.draw(seed=0, epoch=0, num=num, height=height, width=width)
    maps = augmentation.maps(parameters, height=height, width=width)
    assert maps is not None
    six = maps[:, :2].reshape(num, 6)
    x, by_tensor = tf.constant(pixels), tf.constant(six, tf.float32)
    compiled = tf.function(
        lambda x, maps: warp(x, maps, fill_mode="nearest", cval=0.0), autograph=False, jit_compile=True
    )
    eight = tf.concat([by_tensor, tf.zeros([num, 2])], axis=1)

    def projective(number: int) -> int:
        tf.raw_ops.ImageProjectiveTransformV3(
            images=tf.cast(x, tf.float32),
            transforms=eight,
            output_shape=[height, width],
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="NEAREST",
        ).numpy()
        return num

    runners: dict[str, Epoch] = {
        "ImageProjectiveTransformV3": projective,
        "dlcli: XLA": lambda number: len(compiled(x, by_tensor).numpy()),
    }
    try:
        runners["OpenCV warpAffine, 2 threads"] = opencv(pixels, six)
    except ImportError:
        print("OpenCV is not installed, skipped")
    try:
        runners["numba loop, 2 threads"] = numba_loop(pixels, six)
    except ImportError:
        print("numba is not installed, skipped")
    return runners


def opencv(pixels: np.ndarray, maps: np.ndarray) -> Epoch:
    from concurrent.futures import ThreadPoolExecutor

    import cv2

    cv2.setNumThreads(1)
    pool = ThreadPoolExecutor(2)
    result = np.empty(pixels.shape, np.float32)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP

    def one(i: int) -> None:
        size = (pixels.shape[2], pixels.shape[1])
        image, matrix = pixels[i].astype(np.float32), maps[i].reshape(2, 3)
        result[i] = cv2.warpAffine(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)

    return lambda number: len(list(pool.map(one, range(len(pixels)))))


def numba_loop(pixels: np.ndarray, maps: np.ndarray) -> Epoch:
    from concurrent.futures import ThreadPoolExecutor

    import numba

    @numba.njit(nogil=True)
    def some(pixels: Any, maps: Any, result: Any, start: int, stop: int) -> None:
        _, height, width, channels = pixels.shape
        for i in range(start, stop):
            a, b, c, d, e, f = maps[i]
            for row in range(height):
                for column in range(width):
                    x, y = a * column + b * row + c, d * column + e * row + f
                    left, top = int(np.floor(x)), int(np.floor(y))
                    u, v = np.float32(x - left), np.float32(y - top)
                    x0, x1 = min(max(left, 0), width - 1), min(max(left + 1, 0), width - 1)
                    y0, y1 = min(max(top, 0), height - 1), min(max(top + 1, 0), height - 1)
                    for k in range(channels):
                        upper = pixels[i, y0, x0, k] * (1 - u) + pixels[i, y0, x1, k] * u
                        lower = pixels[i, y1, x0, k] * (1 - u) + pixels[i, y1, x1, k] * u
                        result[i, row, column, k] = upper * (1 - v) + lower * v

    pool = ThreadPoolExecutor(2)
    result, num = np.empty(pixels.shape, np.float32), len(pixels)
    halves = [(0, num // 2), (num // 2, num)]
    return lambda number: len(list(pool.map(lambda half: some(pixels, maps, result, *half), halves))) * num // 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--engines", action="store_true", help="compare only implementations of the warp")
    arguments = parser.parse_args()
    rounds = arguments.rounds
    print(f"{machine()}; TensorFlow {tf.__version__}, Keras {keras.__version__}; batch {BATCH_SIZE}")
    for side, num in ((224, 256), (32, 4096)):
        if arguments.engines:
            runners = engines(side, side, 32 if side == 224 else 256)
            measure(f"the warp, {side}x{side}", runners, rounds=rounds, of="ImageProjectiveTransformV3")
            continue
        pixels = smooth_noise(num, side, side)
        runners = {
            "ImageDataGenerator": generator_on_arrays(pixels),
            "Keras Random* layers": keras_layers(pixels),
            "dlcli": dlcli(in_arrays(pixels)),
        }
        measure(f"arrays {side}x{side}", runners, rounds=rounds, of="ImageDataGenerator")
    if arguments.engines:
        return
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name) / "photos"
        (folder / "class").mkdir(parents=True)
        photos = smooth_noise(256, 375, 500)
        for i, photo in enumerate(photos):
            Image.fromarray(photo).save(folder / "class" / f"{i:03}.jpg", quality=90)
        files = sorted((folder / "class").iterdir())
        policy = ImagePolicy((224, 224), "rgb", "stretch", "bilinear", True)
        from_files = in_arrays(photos, files=tuple(map(str, files)))
        from_files = Samples(**{**from_files.__dict__, "policy": policy})
        kept = in_arrays(read_images(files, policy=policy))
        runners = {
            "ImageDataGenerator": generator_on_folder(folder),
            "dlcli, first epoch": dlcli(from_files),
            "dlcli, decoded images kept": dlcli(kept),
            "decoding and resizing alone": decode_only(files, policy),
        }
        measure("JPEGs 500x375 to 224x224", runners, rounds=rounds, of="ImageDataGenerator")


if __name__ == "__main__":
    main()
