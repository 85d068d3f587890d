"""What a draft needs to know about images with boxes, and the draft for one object of each image."""

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from dlcli.data.boxes.annotated import Listed
from dlcli.data.boxes.boxes import BOX_COLUMNS, Corners
from dlcli.data.boxes.sources.coco import list_coco
from dlcli.data.boxes.sources.voc import list_voc, lists_of
from dlcli.data.boxes.sources.yolo import list_yolo
from dlcli.data.npz_archive import SUFFIXES, read_arrays
from dlcli.data.paths import is_outside, path_named
from dlcli.data.splits import SPLITS, split_named
from dlcli.errors import InputError
from dlcli.files import suffix_of
from dlcli.tasks.draft_table import read_table
from dlcli.tasks.draft_text import (
    LABEL,
    SPLIT,
    Draft,
    Line,
    columns_of_splits,
    in_classes,
    named,
    own_splits,
    relative_path,
)
from dlcli.tasks.images.drafting import (
    IMAGE,
    MAX_SIDE,
    OUTSIDE,
    Summary,
    image_sizes,
    path_line,
    seen_outside,
    size_range,
    value_range,
    write,
)
from dlcli.tasks.images.target_drafting import draft_targets
from dlcli.tasks.layout import Layout

SEVERAL: Line = ("several", "largest", "of an image's objects, the one to learn: largest, first, or leave_out")
COLORS: Line = ("color_mode", "rgb", "channels of the images: grayscale or rgb")
FORMATS = {"voc": "Pascal VOC", "coco": "COCO", "yolo": "YOLO"}


@dataclass(frozen=True)
class BoxSource:
    """Images with boxes.

    Attributes:
        seen: lines that describe them.
        keys: those of the ``data`` section that name and describe the source, whatever is predicted.
        sizes: heights and widths of some training images.
        num_images: of the training split, before others are drawn from it.
        most: the largest number of objects of an image.
        splits: besides training, those that the source has.
        num_objects, num_masks: of all splits, and how many of these objects have masks.
        is_padded: whether they are arrays with all objects of each image, which only detection reads.
        class_sizes: the median size of each class's training objects: the square root of the area of the box, in pixels
            of the images.
    """

    seen: tuple[str, ...]
    keys: tuple[Line, ...]
    sizes: Counter[tuple[int, int]]
    num_images: int
    most: int
    splits: frozenset[str]
    num_objects: int = 0
    num_masks: int = 0
    is_padded: bool = False
    class_sizes: Mapping[str, float] = field(default_factory=dict)


def find_boxes(layout: Layout, folder: Path, *, needs_masks: bool = False) -> BoxSource | None:
    """What is known of images with boxes; None for anything else.

    Args:
        layout: the folder or file, and what it is.
        folder: of the recipe, to which its paths are relative.
        needs_masks: whether masks of objects that are invalid are refused, too.

    Raises:
        OSError: the data cannot be read.
        InputError: training would refuse them.
    """
    path = relative_path(layout.path, folder)
    if layout.kind in FORMATS:
        return _in_annotations(layout, path, folder, needs_masks=needs_masks)
    if layout.kind == "file" and suffix_of(layout.path) == ".csv":
        return _in_table(layout.path, path, folder)
    if layout.kind == "file" and suffix_of(layout.path) == ".npz":
        return _in_arrays(layout.path, path)
    return None


def _in_annotations(layout: Layout, path: str, folder: Path, *, needs_masks: bool) -> BoxSource:
    """Images in the format of Pascal VOC, COCO or YOLO."""
    kind = FORMATS[layout.kind]
    keys: list[Line] = [("kind", layout.kind, f"annotations in the format of {kind}"), path_line(path)]
    match layout.kind:
        case "voc":
            lists = {f"{split}_list": name for split, name in lists_of(layout.path).items()}
            keys += [(key, name, f"images of the {key.removesuffix('_list')} split") for key, name in lists.items()]
            listed = list_voc(layout.path, **lists)
        case "coco":
            keys += [
                (f"{split}_path", relative_path(file, folder), f"annotations of the {split} split")
                for split, file in layout.others.items()
            ]
            listed = _list_coco(layout, needs_masks=needs_masks)
        case _:
            listed = list_yolo(layout.path)
    given = {image.split for image in listed.images}
    train = [image for image in listed.images if image.split == "train"]
    sizes = image_sizes([image.file for image in train])
    splits = ", ".join(split for split in SPLITS if split in {*given, "train"})
    return BoxSource(
        seen=(f"images with boxes: {kind}", f"splits: {splits}", *_seen_of(listed)),
        keys=tuple(keys),
        sizes=sizes,
        num_images=len(train),
        most=max((len(image.objects) for image in listed.images), default=0),
        splits=frozenset(given) - {"train"},
        num_objects=sum(len(image.objects) for image in listed.images),
        num_masks=sum(found.shape is not None for image in listed.images for found in image.objects),
        class_sizes=_class_sizes(
            (found.label, found.corners) for image in train for found in image.objects if found.corners is not None
        ),
    )


def _class_sizes(boxes: Iterable[tuple[str, Corners]]) -> dict[str, float]:
    """The median size of the boxes of each class, in pixels; boxes without an area are left out."""
    sizes: dict[str, list[float]] = defaultdict(list)
    for label, (xmin, ymin, xmax, ymax) in boxes:
        if xmax > xmin and ymax > ymin:
            sizes[label].append(math.sqrt((xmax - xmin) * (ymax - ymin)))
    return {label: median(values) for label, values in sizes.items()}


def _list_coco(layout: Layout, *, needs_masks: bool) -> Listed:
    """The objects of COCO files with their masks; without them if some are invalid and none is needed."""
    files: dict[str, Any] = {f"{split}_path": layout.others.get(split) for split in ("validation", "test")}
    try:
        return list_coco(layout.path, with_shapes=True, **files)
    except InputError:
        if needs_masks:
            raise
        return list_coco(layout.path, **files)


def _seen_of(listed: Listed) -> list[str]:
    """The objects of the training images."""
    train = [image for image in listed.images if image.split == "train"]
    counts = Counter(found.label for image in train for found in image.objects)
    per_image = Counter(len(image.objects) for image in train)
    return [f"train: {in_classes(counts, 'objects')}", _seen_per_image(per_image)]


def _seen_per_image(per_image: Counter[int]) -> str:
    several = sum(number for size, number in per_image.items() if size > 1)
    without = f", {per_image[0]:,} without" if per_image[0] else ""
    most = max(per_image, default=0)
    return f"images: {per_image.total():,}, of which {several:,} with several objects, at most {most}{without}"


def _in_table(file: Path, path: str, folder: Path) -> BoxSource | None:
    """The images of a table with a row for each object; None if it has no columns of boxes.

    Args:
        path: of the file, relative to ``folder``, that of the recipe.
    """
    table = read_table(file)
    columns, rows = table.columns, table.rows
    image, label = named(columns, IMAGE), named(columns, LABEL)
    box = [name for column in BOX_COLUMNS if (name := named(columns, (column,))) is not None]
    if image is None or label is None or len(box) < len(BOX_COLUMNS) or draft_targets(table, path, folder) is not None:
        return None
    split = named(columns, SPLIT)
    train = [row for row in rows if split is None or split_named(row[split]) == "train"]
    with_box = [row for row in train if row[box[0]]]
    per_image: Counter[str] = Counter({row[image]: 0 for row in train})
    per_image.update(row[image] for row in with_box)
    paths = [path_named(file.parent, name) for name in per_image]
    sizes = image_sizes(paths)
    if not sizes:
        raise InputError(
            f"{file}: none of the images in the column {image} can be read. The first is {train[0][image]}"
        )
    keys: list[Line] = [
        ("kind", "csv", "a row for each object"),
        path_line(path),
        ("image", image, "the column with the path of the image"),
        ("label", label, "the column with its class"),
        *columns_of_splits(columns),
        ("box", tuple(box), "the columns with the corners of the box, in pixels"),
    ]
    counts = Counter(row[label] for row in train if row[label])
    seen = [
        f"train: {in_classes(counts, 'objects')}",
        _seen_per_image(Counter(per_image.values())),
        f"sizes: {size_range(sizes)}",
    ]
    if num_outside := sum(is_outside(file.parent, listed) for listed in paths):
        keys.append(OUTSIDE)
        seen.append(seen_outside(num_outside))
    return BoxSource(
        seen=tuple(seen),
        keys=tuple(keys),
        sizes=sizes,
        num_images=len(per_image),
        most=max(per_image.values(), default=0),
        splits=frozenset(own_splits(file, rows)),
        class_sizes=_class_sizes(_boxes_in(with_box, label, box)),
    )


def _boxes_in(rows: Iterable[Mapping[str, str]], label: str, columns: list[str]) -> Iterator[tuple[str, Corners]]:
    """The class and the box of each row; rows whose corners are no numbers, which reading reports, are left out."""
    for row in rows:
        try:
            xmin, ymin, xmax, ymax = (float(row[column]) for column in columns)
        except ValueError:
            continue
        yield row[label], (xmin, ymin, xmax, ymax)


def _in_arrays(file: Path, path: str) -> BoxSource | None:
    """The images of an .npz file with padded boxes and classes; None if it has no such arrays."""
    keys = [f"{axis}_{suffix}" for suffix in SUFFIXES.values() for axis in ("x", "box_class", "boxes")]
    arrays, _ = read_arrays(file, keys)
    if not {"x_train", "box_class_train", "boxes_train"} <= arrays.keys():
        return None
    x, labels, boxes = (arrays[f"{axis}_train"] for axis in ("x", "box_class", "boxes"))
    if x.ndim not in (3, 4) or labels.ndim != 2 or len(x) != len(labels) or not len(x):
        return None  # reading it reports the shapes
    if boxes.shape != (*labels.shape, 4) or boxes.dtype.kind not in "iuf":
        return None
    is_box = labels != "" if labels.dtype.kind in "US" else labels >= 0
    counts = Counter(str(label) for label in labels[is_box].tolist())
    per_image = is_box.sum(axis=1).tolist()
    keys_of_data: list[Line] = [("kind", "npz", "arrays of images, boxes and classes"), path_line(path)]
    if x.dtype != "uint8" and (low_high := value_range(x)) != (0, 255):
        keys_of_data.append(("value_range", low_high, "smallest and largest possible value of a pixel"))
    return BoxSource(
        seen=(f"train: {in_classes(counts, 'objects')}", _seen_per_image(Counter(per_image))),
        keys=tuple(keys_of_data),
        sizes=Counter({(x.shape[1], x.shape[2]): len(x)}),
        num_images=len(x),
        most=max(per_image),
        splits=frozenset(split for split, suffix in SUFFIXES.items() if f"x_{suffix}" in arrays and split != "train"),
        is_padded=True,
        class_sizes=_class_sizes(zip(labels[is_box].astype(str).tolist(), boxes[is_box].tolist(), strict=True)),
    )


def draft_localization(boxes: BoxSource) -> Draft:
    """Draft a recipe that learns one object of each image."""
    summary = Summary(
        boxes.seen,
        (*boxes.keys, SEVERAL, COLORS),
        (MAX_SIDE, MAX_SIDE),
        boxes.num_images,
        boxes.splits,
        task=("task", "localization", "predicts the class and the box of one object in each image"),
    )
    return Draft(boxes.seen, write(summary))
