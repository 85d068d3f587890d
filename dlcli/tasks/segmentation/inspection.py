"""What ``dlcli data`` reports about masks: the share of each class among the pixels."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from dlcli.data.images.samples import Dataset
from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.statistics import count_masks
from dlcli.tasks.inspection import Finding, some
from dlcli.tasks.job import MAX_LISTED

RARE = 0.01  # a class below this share of the pixels is named, because pixel accuracy hides it


def share_lines(dataset: Dataset) -> list[str]:
    """A line with the share of each class among the training pixels; none for more than MAX_LISTED classes."""
    found = count_masks(dataset.splits).get("train")
    if found is None or len(dataset.classes) > MAX_LISTED:
        return []
    shares = ", ".join(f"{name} {share:.1%}" for name, share in zip(dataset.classes, found.shares, strict=True))
    ignored = f"; ignored {found.ignored_share:.1%}" if found.ignored else ""
    return [f"train, pixels: {shares}{ignored}"]


def statistics(dataset: Dataset) -> dict[str, Any]:
    """``masks``: for each split the pixels, share and images of each class, and the ignored pixels."""
    found = {}
    for split, counted in count_masks(dataset.splits).items():
        rows = zip(dataset.classes, counted.pixels, counted.shares, counted.images, strict=True)
        found[split] = {
            "classes": {
                name: {"pixels": int(pixels), "share": float(share), "images": int(images)}
                for name, pixels, share, images in rows
            },
            "ignored": {"pixels": counted.ignored, "share": float(counted.ignored_share)},
        }
    return {"masks": found}


def findings(dataset: Dataset) -> Iterator[Finding]:
    """Rare classes, and images whose pixels are all ignored or all of one class."""
    counted = count_masks(dataset.splits)
    if "train" in counted:
        shares = counted["train"].shares
        rare = [name for name, share in zip(dataset.classes, shares, strict=True) if 0 < share < RARE]
        if rare:
            noun = "class has" if len(rare) == 1 else "classes have"
            text = f"{len(rare)} {noun} less than {RARE:.0%} of the training pixels: {some(rare)}"
            yield Finding("rare classes", False, text, tuple(rare))
    for split, samples in dataset.splits.items():
        masks = masks_of(samples)
        if masks is None or masks.counts is None:
            continue
        ignored = [samples.names[i] for i in np.flatnonzero(masks.counts[:, :-1].sum(axis=1) == 0)]
        if ignored:
            noun = "mask has" if len(ignored) == 1 else "masks have"
            text = f"{split}: {len(ignored):,} {noun} no pixel that counts: {some(ignored)}"
            yield Finding("ignored", split == "train" and len(ignored) == len(samples), text, tuple(ignored))
