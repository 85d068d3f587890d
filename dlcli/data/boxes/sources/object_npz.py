"""Images with any number of objects in NumPy .npz files: arrays of pixels, and of padded boxes and classes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.annotated import valid_corners
from dlcli.data.boxes.boxes import BadBox, Frame, refuse_proportions
from dlcli.data.boxes.object_dataset import areas_of, complete
from dlcli.data.boxes.objects import NAME, ObjectBoxes
from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.images.sources.npz import BRING_TO_RANGE, SET_RANGE, to_samples
from dlcli.data.listing import Listing, index_labels, refuse
from dlcli.data.npz_archive import label_names, read_splits, sort_labels, splits_of
from dlcli.data.splits import NO_LABEL
from dlcli.errors import InputError

AXES = ("x", "boxes", "box_class")


def read_object_npz(
    *,
    path: str | Path,
    value_range: tuple[float, float],
    min_visible: float,
    classes: tuple[str, ...] | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The arrays x_train, boxes_train and box_class_train, and if present those of val and test, of an .npz file.

    x is as for `read_npz`. ``boxes`` are xmin, ymin, xmax, ymax in pixels of their image, ``[n, k, 4]``; ``box_class``
    are whole numbers or strings ``[n, k]``, negative or empty in the places of an image that has fewer boxes.

    Args:
        min_visible: as in :class:`dlcli.data.boxes.objects.ObjectBoxes`.
        classes: those of a trained model, to use its labels; a file with a single split, whichever it is, is then
            treated as undivided.

    Raises:
        InputError: the file, its arrays, shapes, values or boxes are not as described.
    """
    file = Path(path)
    arrays, left_out = read_splits(file, AXES)
    suffixes = splits_of(file, arrays, left_out, axes=AXES, is_trained=classes is not None)
    is_box: dict[str, NDArray[np.bool_]] = {}
    names: dict[str, list[str]] = {}
    for split, suffix in suffixes.items():
        is_box[split] = _is_box(arrays[f"boxes_{suffix}"], arrays[f"box_class_{suffix}"], file, suffix)
        names[split] = label_names(arrays[f"box_class_{suffix}"][is_box[split]], f"{file}: box_class_{suffix}")
    own = sort_labels(names["train"]) if classes is None else classes
    known, labels = index_labels(names, own, source=str(file), trained=classes, least=1)
    remedy = SET_RANGE if classes is None else BRING_TO_RANGE
    listings: dict[str, Listing] = {}
    errors: list[str] = []
    for split, suffix in suffixes.items():
        where = f"{file}: x_{suffix}"
        x = to_samples(arrays.pop(f"x_{suffix}"), where, layout="image", value_range=value_range, remedy=remedy)
        if len(x) == 0:
            raise InputError(f"{where} must contain at least one sample. Received none: remove it or add samples.")
        frame = Frame(width=x.shape[2], height=x.shape[1])
        corners, more = _check_boxes(arrays[f"boxes_{suffix}"], is_box[split], frame, f"{file}: boxes_{suffix}")
        errors += more
        no_mark = np.zeros(len(corners), np.bool_)
        objects = ObjectBoxes(
            corners=corners,
            labels=labels[split],
            is_crowd=no_mark,
            is_difficult=no_mark,
            areas=areas_of(corners),
            offsets=np.concatenate([[0], np.cumsum(is_box[split].sum(axis=1))]).astype(np.int64),
            frames=(frame,) * len(x),
            min_visible=min_visible,
        )
        refuse_proportions(corners, objects.frames, f"{file}: {split}")
        listings["train" if len(suffixes) == 1 else split] = Listing(
            names=tuple(f"{split}/{i}" for i in range(len(x))),
            labels=np.full(len(x), NO_LABEL, np.int32),
            arrays=x,
            annotations={NAME: objects},
        )
    refuse(errors, "Correct these boxes: xmin, ymin, xmax, ymax in pixels of the arrays.")
    dataset = assemble_images(
        listings, known, source=str(file), has_classes=False, exclude=exclude, left_out=left_out, common=common
    )
    return complete(dataset, source=str(file), is_trained=classes is not None)


def _is_box(boxes: NDArray[Any], labels: NDArray[Any], file: Path, suffix: str) -> NDArray[np.bool_]:
    """Which places hold a box, bool ``[n, k]``.

    Raises:
        InputError: the arrays have other shapes or types.
    """
    if boxes.ndim != 3 or boxes.shape[2] != 4 or boxes.dtype.kind not in "iuf":
        raise InputError(
            f"{file}: boxes_{suffix} must be numbers [n, k, 4]: xmin, ymin, xmax, ymax. "
            f"Received {boxes.dtype} of shape {boxes.shape}."
        )
    if labels.shape != boxes.shape[:2] or labels.dtype.kind not in "iufUS":
        raise InputError(
            f"{file}: box_class_{suffix} must be whole numbers or strings {list(boxes.shape[:2])}, one for each box. "
            f"Received {labels.dtype} of shape {labels.shape}."
        )
    return np.asarray(labels != np.zeros((), labels.dtype) if labels.dtype.kind in "US" else labels >= 0)


def _check_boxes(
    boxes: NDArray[Any], is_box: NDArray[np.bool_], frame: Frame, source: str
) -> tuple[NDArray[np.float64], list[str]]:
    """The valid boxes of one split ``[m, 4]``, and the errors of the others."""
    valid: list[tuple[float, float, float, float]] = []
    errors: list[str] = []
    for image, place in np.argwhere(is_box).tolist():
        x1, y1, x2, y2 = boxes[image, place].astype(np.float64).tolist()
        try:
            valid.append(valid_corners((x1, y1, x2, y2), frame))
        except BadBox as reason:
            errors.append(f"{source}: row {image}, box {place}: {reason}")
            valid.append((x1, y1, x2, y2))
    return np.array(valid, np.float64).reshape(-1, 4), errors
