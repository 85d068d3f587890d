"""Images with boxes from NumPy .npz files: arrays of pixels, labels and corners."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import BadBox, Boxes, Frame, refuse_proportions
from dlcli.data.boxes.dataset import refuse, sound_corners
from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.npz import BRING_TO_RANGE, SET_RANGE, list_arrays, to_samples
from dlcli.data.listing import index_labels, name_some
from dlcli.data.npz_archive import SUFFIXES, label_names, read_splits, sort_labels
from dlcli.errors import InputError


def read_box_npz(
    *,
    path: str | Path,
    value_range: tuple[float, float],
    classes: tuple[str, ...] | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """x_train, y_train and box_train, and where there are those of val and test, from an .npz file.

    x and y are as `read_npz` has them. A box is xmin, ymin, xmax, ymax in pixels of its image, ``[n, 4]``; a row of
    NaN says that an image has none. ``classes`` are those of a trained model, where its labels are to be used; a file
    with one split alone, whichever it is, then counts as undivided.

    Raises:
        InputError: the file, its arrays, shapes, values or boxes are not as described.
    """
    file = Path(path)
    arrays, left_out = read_splits(file, axes=("x", "y", "box"))
    splits = [split for split, suffix in SUFFIXES.items() if f"x_{suffix}" in arrays]
    if "train" not in splits and (classes is None or len(splits) != 1):
        present = name_some([*arrays, *(item.name for item in left_out)]) or "none"
        raise InputError(f"{file}: there must be arrays x_train, y_train and box_train. Received {present}.")
    labels = {split: label_names(arrays[f"y_{SUFFIXES[split]}"], f"{file}: y_{SUFFIXES[split]}") for split in splits}
    known, indices = index_labels(
        labels,
        sort_labels(labels["train"]) if classes is None else classes,
        source=str(file),
        trained=classes,
        least=1,
    )
    remedy = SET_RANGE if classes is None else BRING_TO_RANGE
    listings = {}
    errors: list[str] = []
    for split in splits:
        suffix = SUFFIXES[split]
        where = f"{file}: x_{suffix}"
        x = to_samples(arrays.pop(f"x_{suffix}"), where, layout="image", value_range=value_range, remedy=remedy)
        frame = Frame(width=x.shape[2], height=x.shape[1])
        boxes = _check_boxes(arrays[f"box_{suffix}"], labels[split], frame, f"{file}: box_{suffix}", errors)
        listing = list_arrays(split, x, indices[split], where)
        listings["train" if len(splits) == 1 else split] = replace(listing, boxes=boxes)
    refuse(errors, "Correct these boxes: xmin, ymin, xmax, ymax in pixels of the arrays, or NaN for no box.")
    for split, listing in listings.items():
        assert listing.boxes is not None
        refuse_proportions(listing.boxes, f"{file}: {split}")
    return assemble_images(listings, known, source=str(file), left_out=left_out, common=common)


def _check_boxes(corners: NDArray[Any], labels: Sequence[str], frame: Frame, source: str, errors: list[str]) -> Boxes:
    """The boxes of one split; what is wrong with them is added to ``errors``."""
    if corners.ndim != 2 or corners.shape[1] != 4 or corners.dtype.kind not in "iuf":
        raise InputError(
            f"{source} must be numbers [n, 4]: xmin, ymin, xmax, ymax. "
            f"Received {corners.dtype} of shape {corners.shape}."
        )
    sound = corners.astype(np.float64)
    for position in np.flatnonzero(~np.isnan(sound).all(axis=1)).tolist():
        x1, y1, x2, y2 = sound[position].tolist()
        try:
            sound[position] = sound_corners((x1, y1, x2, y2), frame)
        except BadBox as reason:
            errors.append(f"{source}: row {position} ({labels[position]}): {reason}")
    return Boxes(sound, (frame,) * len(sound))
