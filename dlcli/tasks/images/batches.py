"""Batches of images: cached in memory, cached on disk, or decoded in every epoch."""

import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np

from dlcli.data.augmentation.copy_paste import CopyPaste
from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.augmentation.mosaic import Mosaic
from dlcli.data.files import workers
from dlcli.data.images.batches import Batches
from dlcli.data.images.samples import Samples
from dlcli.data.images.tiles import Windows, draw_tiling, grid_tiling, make_grids
from dlcli.errors import InputError
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.detection_data import DetectionData, InstanceData
from dlcli.recipe.sections.mask_data import MaskData
from dlcli.runtime.console import Console
from dlcli.tasks.images.augmentation import make_augmentation
from dlcli.tasks.images.sources import AnyData
from dlcli.training import step

AnyImages = AnyData | MaskData | DetectionData | InstanceData
"""The ``data`` section of any task on images."""

MEMORY_BYTES = 64 * 2**20  # a split's decoded images are cached in memory up to this size
DISK_SHARE = 4  # decoded images are cached on disk if they take at most a quarter of the free space


def is_kept_in_memory(section: AnyImages, samples: Samples) -> bool:
    """Whether to cache the decoded images of a split in memory, by the recipe's ``data.cache`` or by their size.

    Raises:
        InputError: the recipe asks for it, but they take more than half of this machine's memory.
    """
    if samples.is_decoded:
        return True
    num_bytes = decoded_bytes(samples)
    if section.cache == "memory" and num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        raise InputError(
            f"data.cache: memory: the decoded images take {num_bytes / 2**30:,.1f} GiB, more than half of this "
            "machine's memory. Set data.cache to disk or none."
        )
    return section.cache == "memory" or (section.cache == "auto" and num_bytes <= MEMORY_BYTES)


def is_kept_on_disk(section: AnyImages, samples: Samples, *, num_epochs: int, folder: Path) -> bool:
    """Whether to cache decoded images that are not in memory on the disk that holds ``folder``."""
    if section.cache != "auto":
        return section.cache == "disk"
    is_read_again = num_epochs > 1  # a single epoch would never read the cache
    return is_read_again and decoded_bytes(samples) <= shutil.disk_usage(folder).free // DISK_SHARE


def decoded_bytes(samples: Samples) -> int:
    """Number of bytes of all the images, decoded and resized, or at their own size if they keep it."""
    if samples.keeps_size:
        return int(samples.sizes.prod(axis=1).sum()) * samples.shape[-1]
    return len(samples) * int(np.prod(samples.shape))


def tiles_per_image(section: AnyImages) -> int:
    """The number of training samples that each image is in an epoch: 1, unless several tiles are drawn from it."""
    tiles = getattr(section, "tiles", None)
    return 1 if tiles is None else int(tiles.per_image)


def in_memory(samples: Samples) -> Samples:
    """Decode all samples once and keep them in memory."""
    if samples.is_decoded:
        return samples
    if samples.keeps_size:
        images = tuple(workers().map(samples.load_whole, range(len(samples))))
        return replace(samples, unsized=images, files=None)
    return replace(samples, pixels=samples.load(np.arange(len(samples))), files=None, unsized=None)


def batches(
    samples: Samples,
    *,
    batch_size: int,
    seed: int | None = None,
    chosen: np.ndarray | None = None,
    augment: Augment | None = None,
    num_classes: int = 0,
    balanced: bool = False,
    num_tiles: int = 1,
    is_mixed: bool = True,
) -> Batches:
    """Make the batches of a split; of images that are cut into tiles, the batches of their tiles. Images that are not
    resized come in batches of one size each.

    Args:
        seed: of the order, the augmentation and the tiles, which are drawn for each epoch; None for the order of the
            split, and for the grid of tiles that covers each image.
        chosen: indices of the samples to use, whose tiles stay those of the first epoch; None for all.
        augment: the section by which training samples are augmented; None for no augmentation.
        is_mixed: whether samples are mixed too, if the section says so.
        num_classes: needed for mixing samples (mixup, cutmix).
        balanced: draw so that classes are equally frequent; needs a seed.
        num_tiles: number of tiles to draw from each image in an epoch.
    """
    index = np.arange(len(samples)) if chosen is None else chosen
    mixes = is_mixed and augment is not None and (augment.mixup is not None or augment.cutmix is not None)
    tiling, reader = None, None
    if samples.policy is not None and samples.policy.overlap is not None:
        tile, sizes = samples.policy.image_size, samples.sizes[index]
        if seed is None:
            tiling = grid_tiling(make_grids(sizes, tile, samples.policy.overlap))
        else:
            tiling = draw_tiling(sizes, tile, per_image=num_tiles, seed=seed, is_fixed=chosen is not None)
        reader = samples.tile_reader()

    def load(positions: np.ndarray, windows: Windows | None = None) -> np.ndarray:
        if reader is None or windows is None:
            return samples.load(index[positions])
        return reader.load(index[positions], windows)

    return Batches(
        labels=samples.labels[index] if tiling is None else samples.labels[index][tiling.images],
        targets=tuple(target.take(index) for target in samples.targets()),
        pixels=None if samples.pixels is None else samples.pixels[index],
        load=load,
        shape=samples.shape,
        batch_size=batch_size,
        seed=seed,
        augmentation=None if augment is None else make_augmentation(augment),
        mosaic=None if augment is None or not augment.mosaic else Mosaic(augment.mosaic),
        copy_paste=None if augment is None or not augment.copy_paste else CopyPaste(augment.copy_paste),
        mixing=Mixing(augment.mixup, augment.cutmix) if augment is not None and mixes else None,
        num_classes=num_classes,
        balanced=balanced,
        tiling=tiling,
        sizes=samples.sizes[index] if samples.has_own_sizes else None,
    )


def predict_batches(
    model: Callable[..., Any], samples: Samples, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """A model's outputs for samples in inference mode, batch by batch, with the samples' positions int64 ``[b]``; of
    images that are cut into tiles, for the tiles of the images' grids and with the positions of these. Images that are
    not resized come in the order of their sizes, all others in their own."""
    yield from prediction(model, samples, batch_size=batch_size, console=console)()


def predict_all(
    model: Callable[..., Any], samples: Samples, *, batch_size: int, console: Console
) -> tuple[np.ndarray, ...]:
    """A model's outputs for whole samples in inference mode, ``[n, ...]`` each, in the order of the samples."""
    return in_order(predict_batches(model, samples, batch_size=batch_size, console=console))


def in_order(batches: Iterable[tuple[np.ndarray, tuple[np.ndarray, ...]]]) -> tuple[np.ndarray, ...]:
    """The outputs of batches, ``[n, ...]`` each, in the order of the samples' positions."""
    index, outputs = zip(*batches, strict=True)
    order = np.argsort(np.concatenate(index))
    return tuple(np.concatenate(values)[order] for values in zip(*outputs, strict=True))


def prediction(
    model: Callable[..., Any], samples: Samples, *, batch_size: int, console: Console
) -> Callable[[], Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]]:
    """A function that yields the same by the model's current weights, and is compiled once."""
    data = batches(samples, batch_size=batch_size)
    outputs_of = step.prediction(model, data)

    def run() -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
        start, order = 0, data.order(0)
        for number, outputs in enumerate(outputs_of(), start=1):
            index = order[start : start + len(outputs[0])]
            start += len(index)
            yield index, outputs
            console.evaluating(number, data.num_steps)

    return run


def with_logits(model: keras.Model) -> keras.Model:
    """A saved classifier that outputs its logits, too, which come first."""
    return keras.Model(model.inputs[0], [model.get_layer("logits").output, model.output])
