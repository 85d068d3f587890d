"""Batches of images: cached in memory, cached on disk, or decoded in every epoch."""

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.images.batches import Batches
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.mask_data import MaskData
from dlcli.runtime.console import Console
from dlcli.tasks.images.augmentation import make_augmentation
from dlcli.tasks.images.sources import AnyData
from dlcli.training import step

MEMORY_BYTES = 64 * 2**20  # a split's decoded images are cached in memory up to this size
DISK_SHARE = 4  # decoded images are cached on disk if they take at most a quarter of the free space


def is_kept_in_memory(section: AnyData | MaskData, samples: Samples) -> bool:
    """Whether to cache the decoded images of a split in memory, by the recipe's ``data.cache`` or by their size.

    Raises:
        InputError: the recipe asks for it, but they take more than half of this machine's memory.
    """
    if samples.pixels is not None:
        return True
    num_bytes = decoded_bytes(samples)
    if section.cache == "memory" and num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        raise InputError(
            f"data.cache: memory: the decoded images take {num_bytes / 2**30:,.1f} GiB, more than half of this "
            "machine's memory. Set data.cache to disk or none."
        )
    return section.cache == "memory" or (section.cache == "auto" and num_bytes <= MEMORY_BYTES)


def is_kept_on_disk(section: AnyData | MaskData, samples: Samples, *, num_epochs: int, folder: Path) -> bool:
    """Whether to cache decoded images that are not in memory on the disk that holds ``folder``."""
    if section.cache != "auto":
        return section.cache == "disk"
    is_read_again = num_epochs > 1  # a single epoch would never read the cache
    return is_read_again and decoded_bytes(samples) <= shutil.disk_usage(folder).free // DISK_SHARE


def decoded_bytes(samples: Samples) -> int:
    """Number of bytes of all the samples, decoded and resized."""
    return len(samples) * int(np.prod(samples.shape))


def in_memory(samples: Samples) -> Samples:
    """Decode all samples once and keep them in memory."""
    if samples.pixels is not None:
        return samples
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
) -> Batches:
    """Make the batches of a split.

    Args:
        seed: of the order and the augmentation; None for the order of the split.
        chosen: indices of the samples to use; None for all.
        augment: the section by which training samples are augmented; None for no augmentation.
        num_classes: needed for mixing samples (mixup, cutmix).
        balanced: draw so that classes are equally frequent; needs a seed.
    """
    index = np.arange(len(samples)) if chosen is None else chosen
    mixes = augment is not None and (augment.mixup is not None or augment.cutmix is not None)
    return Batches(
        labels=samples.labels[index],
        targets=tuple(target.take(index) for target in samples.targets()),
        pixels=None if samples.pixels is None else samples.pixels[index],
        load=lambda positions: samples.load(index[positions]),
        shape=samples.shape,
        batch_size=batch_size,
        seed=seed,
        augmentation=None if augment is None else make_augmentation(augment),
        mixing=Mixing(augment.mixup, augment.cutmix) if augment is not None and mixes else None,
        num_classes=num_classes,
        balanced=balanced,
    )


def predict_batches(
    model: Callable[..., Any], samples: Samples, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
    """A model's outputs for samples in inference mode, batch by batch, with the samples' positions int64 ``[b]``."""
    yield from prediction(model, samples, batch_size=batch_size, console=console)()


def prediction(
    model: Callable[..., Any], samples: Samples, *, batch_size: int, console: Console
) -> Callable[[], Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]]:
    """A function that yields the same by the model's current weights, and is compiled once."""
    data = batches(samples, batch_size=batch_size)
    outputs_of = step.prediction(model, data)

    def run() -> Iterator[tuple[np.ndarray, tuple[np.ndarray, ...]]]:
        start = 0
        for number, outputs in enumerate(outputs_of(), start=1):
            index = np.arange(start, start + len(outputs[0]))
            start += len(index)
            yield index, outputs
            console.evaluating(number, data.num_steps)

    return run
