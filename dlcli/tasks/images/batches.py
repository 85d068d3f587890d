"""Batches of images: kept in memory, kept on disk, or decoded in each epoch."""

import os
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlcli.data.augmentation.mixup import Mixing
from dlcli.data.boxes.targets import BoxTarget
from dlcli.data.images.batches import Batches
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.recipe.sections.augment import Augment
from dlcli.tasks.images.augmentation import make_augmentation
from dlcli.tasks.images.sources import AnyData

MEMORY_BYTES = 64 * 2**20  # of a split's decoded images that are kept in memory


DISK_SHARE = 4  # decoded images are kept on disk if they take at most the 4th part of what is free


def is_kept_in_memory(section: AnyData, samples: Samples) -> bool:
    """Whether the decoded images of a split are kept in memory, by the recipe or by how many bytes they are.

    Raises:
        InputError: the recipe wants it, and they are more than half of the memory.
    """
    if samples.pixels is not None:
        return True
    num_bytes = decoded_bytes(samples)
    if section.cache == "memory" and num_bytes > os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2:
        raise InputError(
            f"data.cache: memory: {num_bytes / 2**30:,.1f} GiB of decoded images are more than half of this "
            "machine's memory. Set data.cache to disk or none."
        )
    return section.cache == "memory" or (section.cache == "auto" and num_bytes <= MEMORY_BYTES)


def is_kept_on_disk(section: AnyData, samples: Samples, *, num_epochs: int, folder: Path) -> bool:
    """Whether decoded images that are not in memory are kept on the disk that a folder is on."""
    if section.cache != "auto":
        return section.cache == "disk"
    has_use = num_epochs > 1  # of one epoch nothing would be read back
    return has_use and decoded_bytes(samples) <= shutil.disk_usage(folder).free // DISK_SHARE


def decoded_bytes(samples: Samples) -> int:
    """Bytes of all the samples as they come to the network's input."""
    return len(samples) * int(np.prod(samples.shape))


def in_memory(samples: Samples) -> Samples:
    """The samples, decoded once and kept."""
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
) -> Batches:
    """The batches of a split, or of the ``chosen`` samples of it; with ``augment`` as the training split's are."""
    index = np.arange(len(samples)) if chosen is None else chosen
    boxes = samples.relative_boxes()
    mixes = augment is not None and (augment.mixup is not None or augment.cutmix is not None)
    return Batches(
        labels=samples.labels[index],
        targets=() if boxes is None else (BoxTarget(boxes[index]),),
        pixels=None if samples.pixels is None else samples.pixels[index],
        load=lambda positions: samples.load(index[positions]),
        shape=samples.shape,
        batch_size=batch_size,
        seed=seed,
        augmentation=None if augment is None else make_augmentation(augment),
        mixing=Mixing(augment.mixup, augment.cutmix) if augment is not None and mixes else None,
        num_classes=num_classes,
    )
