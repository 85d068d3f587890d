"""Batches of tiles: images and masks of the same windows, from files, memory and disk, in every epoch."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from dlcli.data.files import hash_content
from dlcli.data.images.batches import Batches
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.data.images.scan_index import Checked
from dlcli.data.masks.coding import IGNORED, ValueCoding
from dlcli.data.masks.masks import NAME, MaskFile, Masks
from dlcli.data.splits import NO_LABEL
from dlcli.runtime.console import Console
from dlcli.tasks.images.batches import batches, decoded_bytes, in_memory
from dlcli.tasks.segmentation.inference import predict_masks

SIZES = ((64, 64), (40, 100), (150, 70), (90, 131))
CODING = ValueCoding(tuple("abcd"), (0, 1, 2, 3), ())


@pytest.fixture
def samples(tmp_path: Path) -> Samples:
    """Images in files that show their masks: gray values of 50 times the class."""
    rng = np.random.default_rng(0)
    files, checked, masks = [], [], []
    for number, size in enumerate(SIZES):
        coarse = rng.integers(0, 4, (-(-size[0] // 9), -(-size[1] // 9)), np.uint8)
        mask = np.kron(coarse, np.ones((9, 9), np.uint8))[: size[0], : size[1]]
        files.append(tmp_path / f"{number}.png")
        Image.fromarray(mask * 50).save(files[-1])
        path = tmp_path / f"{number}_mask.png"
        Image.fromarray(mask).save(path)
        masks.append(MaskFile(path.name, path, CODING))
        checked.append(Checked(*size, is_gray=True, digest=hash_content(files[-1].read_bytes())))
    return Samples(
        names=tuple(file.name for file in files),
        labels=np.full(len(files), NO_LABEL, np.int32),
        digests=tuple(image.digest for image in checked),
        groups=None,
        policy=ImagePolicy((64, 64), "grayscale", "stretch", "bilinear", True, overlap=32),
        files=tuple(map(str, files)),
        checked=tuple(checked),
        annotations={NAME: Masks(tuple(masks))},
    )


def read(data: Batches, epoch: int = 0, first_step: int = 0) -> list[dict[str, Any]]:
    source = data.source(epoch, first_step)
    steps = [tf.constant(step, tf.int64) for step in range(first_step, data.num_steps)]
    return [tf.nest.map_structure(np.asarray, data.assemble(data.element(source, step))) for step in steps]


def test_images_and_masks_show_the_same_part(samples: Samples) -> None:
    data = batches(samples, batch_size=3, seed=1, num_tiles=2)
    assert (data.num_samples, data.num_steps) == (8, 3)
    for batch in read(data):
        image, mask = batch["x"][..., 0], batch["y"]["mask"]
        assert image.shape[1:] == mask.shape[1:] == (64, 64)
        assert np.array_equal(image, np.where(mask == IGNORED, 0, mask * 50.0))
    lost = sum((batch["y"]["mask"] == IGNORED).sum() for batch in read(data))
    assert lost == 2 * 64 * 24  # what is padded of the second image, in two tiles


def test_epochs_differ_and_any_step_can_be_rebuilt(samples: Samples) -> None:
    data, again = (batches(samples, batch_size=3, seed=1) for _ in range(2))
    first, second = read(data, 0), read(data, 1)
    assert not all(np.array_equal(a["x"], b["x"]) for a, b in zip(first, second, strict=True))
    tf.nest.map_structure(np.testing.assert_array_equal, second[1:], read(again, 1, first_step=1))
    of_memory = in_memory(samples)
    assert of_memory.is_decoded
    assert decoded_bytes(samples) == sum(image.nbytes for image in of_memory.unsized or ())
    tf.nest.map_structure(np.testing.assert_array_equal, second, read(batches(of_memory, batch_size=3, seed=1), 1))


def test_chosen_samples_keep_their_tiles(samples: Samples) -> None:
    data = batches(samples, batch_size=2, seed=1, chosen=np.array([2, 3]))
    of_epochs = [
        np.sort(np.concatenate([batch["x"] for batch in read(data, epoch)]).sum(axis=(1, 2, 3))) for epoch in (0, 4)
    ]
    assert np.array_equal(*of_epochs)


def test_without_seed_each_pixel_counts_once(samples: Samples) -> None:
    data = batches(samples, batch_size=4)
    masks = np.concatenate([batch["y"]["mask"] for batch in read(data)])
    counts = np.bincount(masks.ravel(), minlength=256)[:4]
    whole = [np.bincount(np.asarray(Image.open(file)).ravel() // 50, minlength=4) for file in samples.files or ()]
    assert np.array_equal(counts, np.sum(whole, axis=0))


def small_network(height: int, width: int) -> keras.Model:
    """Fully convolutional, with a receptive field of 11 pixels and a stride of 2."""
    keras.utils.set_random_seed(3)
    inputs = keras.Input((height, width, 1))
    x = keras.layers.Rescaling(1 / 255)(inputs)
    x = keras.layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    x = keras.layers.Conv2D(8, 3, strides=2, padding="same", activation="relu")(x)
    x = keras.layers.Conv2DTranspose(8, 2, strides=2, activation="relu")(x)
    logits = keras.layers.Conv2D(4, 3, padding="same", name="logits")(x)
    return keras.Model(inputs, keras.layers.Activation("softmax", name="probabilities")(logits))


def test_masks_of_tiles_are_those_of_the_whole_image(samples: Samples) -> None:
    found = dict(
        pair
        for index, masks in predict_masks(small_network(64, 64), samples, batch_size=3, console=Console(quiet=True))
        for pair in zip(index, masks, strict=True)
    )
    images = replace(samples, annotations={})
    for position, (height, width) in enumerate(SIZES):
        padded = [-(-max(side, 64) // 32) * 32 for side in (height, width)]  # as the last tiles are
        image = np.zeros((1, *padded, 1), np.float32)
        image[0, :height, :width] = images.load_whole(position)
        whole = small_network(*padded)(image).numpy()[0].argmax(axis=-1)
        np.testing.assert_array_equal(found[position], whole[:height, :width])
