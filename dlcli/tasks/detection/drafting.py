"""Drafts a recipe that finds every object of an image, with its box or also with its mask. Needs no TensorFlow."""

import math
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from statistics import median

import numpy as np

from dlcli.data.boxes.anchor_shapes import is_small
from dlcli.data.images.decoding import BadImage, read_file
from dlcli.data.masks.pairs import Pair, find_pairs
from dlcli.data.masks.stored import SAVE_AS, read_ids
from dlcli.data.splits import SPLITS
from dlcli.errors import InputError
from dlcli.tasks.draft_text import HEADING, Draft, Line, line, relative_path, section, shares
from dlcli.tasks.images.box_drafting import COLORS, BoxSource
from dlcli.tasks.images.drafting import image_sizes, path_line, size_range

LONGER_SIDE = 320  # of images in a drafted recipe
MULTIPLE = 32  # of their sides, which a network halves five times
NUM_MASKS = 60  # masks that are read for their objects
NUM_SEEN = 6000  # training images in all epochs: with images of LONGER_SIDE, 8 to 11 minutes of a CPU core by FCOS
FINE_LEVELS = (2, 3, 4, 5)  # of the pyramid for small objects
FINE_TIME = 2  # times as long as with the default levels, for each image
FEWEST_EPOCHS = 12
BACKBONE = "{kind: application, network: mobilenetv2, alpha: 0.35}  # add weights: imagenet, or a file"


def draft_detection(boxes: BoxSource) -> Draft:
    """Draft a recipe for images with boxes."""
    seen, small = list(boxes.seen), _has_small_classes(boxes)
    if boxes.num_masks:
        seen.append(f"masks: {_of_objects(boxes)}; --task instance_segmentation learns them too")
    lines = [
        *_until_model(boxes, boxes.keys, ("detection", "finds every object: its class and its box"), "boxes"),
        "  kind: fcos  # a box at each position; for retinanet, dlcli data stats suggests anchors",
        *(
            [f"  levels: {list(FINE_LEVELS)}  # from a stride of 4 pixels, for classes of small objects"]
            if small
            else []
        ),
        f"  backbone: {BACKBONE}",
        *_training(epochs=_epochs(boxes, 60, FINE_TIME if small else 1), rate="0.001"),
    ]
    return Draft(tuple(seen), "\n".join(lines) + "\n")


def draft_instances(objects: BoxSource, *, source: Path) -> Draft:
    """Draft a recipe for images whose objects have masks.

    Args:
        source: what the objects are from, for messages.

    Raises:
        InputError: no object has a mask.
    """
    if not objects.num_masks:
        raise InputError(
            f"{source}: --task instance_segmentation is for objects with masks: polygons or encodings in COCO, "
            "segments in YOLO, or images beside masks. Received boxes alone: use --task detection."
        )
    keys, seen = list(objects.keys), list(objects.seen)
    if objects.num_masks < objects.num_objects:
        seen.append(f"masks: {_of_objects(objects)}")
        keys.append(("on_bad_box", "skip", "leaves out objects without a mask"))
    lines = [
        *_until_model(objects, keys, ("instance_segmentation", "finds every object: its class, box and mask"), "masks"),
        "  kind: mask_rcnn",
        f"  backbone: {BACKBONE}",
        *_training(epochs=_epochs(objects, 40), rate="0.0005"),
        "evaluate:",
        f"  detect: {{max_boxes: {_limit(objects.most)}}}  # a mask is predicted for each; no image needs more",
    ]
    return Draft(tuple(seen), "\n".join(lines) + "\n")


def find_instances(root: Path, folder: Path) -> BoxSource:
    """What is known of a folder of images beside masks whose values are objects.

    Args:
        root: the folder with both.
        folder: of the recipe, to which its paths are relative.

    Raises:
        InputError: images and masks do not fit together, or the values cannot be objects.
    """
    found = find_pairs(root, on_missing="skip")
    counts = Counter(pair.split or "train" for pair in found.pairs)
    train = [pair for pair in found.pairs if pair.split in ("", "train")] or list(found.pairs)
    sizes = image_sizes([pair.file for pair in train])
    if not sizes:
        raise InputError(f"{root}: none of the images can be read.")
    numbers = _objects_in(root, train)
    left_out = ["images without mask, or masks without image, are left out"] if found.left_out else []
    return BoxSource(
        seen=(
            f"images with masks: {', '.join(f'{split} {counts[split]:,}' for split in SPLITS if counts[split])}",
            f"sizes: {size_range(sizes)}",
            f"objects: at most {max(numbers)} in each of {len(numbers)} masks",
            *left_out,
            *map(str, found.warnings),
        ),
        keys=(
            ("kind", "masks", "images beside masks in which each object has its own value or color"),
            path_line(relative_path(root, folder)),
            ("label", "object", "the class of all objects; rename it"),
            *([("on_missing", "skip", "leaves out images without mask")] if left_out else []),
        ),
        sizes=sizes,
        num_images=len(train),
        most=max(numbers),
        splits=frozenset(counts) - {"train"},
        num_objects=sum(numbers),
        num_masks=sum(numbers),
    )


def _objects_in(root: Path, pairs: Sequence[Pair]) -> list[int]:
    """The number of objects in some evenly spaced masks."""
    numbers = []
    for pair in pairs[:: max(1, len(pairs) // NUM_MASKS)]:
        try:
            stored = read_ids(read_file(pair.mask))
        except BadImage as reason:
            raise InputError(f"{pair.mask}: {reason}.") from None
        if stored.is_lossy:
            raise InputError(f"{pair.mask}: ids of objects must be stored without loss: {SAVE_AS}.")
        numbers.append(int(np.count_nonzero(np.unique(stored.values))))
    return numbers


def _of_objects(boxes: BoxSource) -> str:
    if boxes.num_masks == boxes.num_objects:
        return "all objects have one"
    return f"{boxes.num_masks:,} of {boxes.num_objects:,} objects have one"


def _until_model(boxes: BoxSource, keys: Sequence[Line], task: tuple[str, str], what: str) -> list[str]:
    """The recipe's lines up to the heading of its model.

    Args:
        what: follows the images in augmentation.
    """
    size = ("image_size", _size(boxes.sizes), "height and width to which images are resized; objects must stay visible")
    return [
        HEADING,
        "",
        line("task", *task),
        *section("data", [*keys, COLORS, size, *shares(boxes.splits)]),
        "augment:",
        f"  horizontal_flip: true  # mirrors half of the images, and their {what}",
        "  zoom_range: [0.7, 1.3]  # makes objects larger or smaller",
        "model:",
    ]


def _training(*, epochs: int, rate: str) -> list[str]:
    return [
        "train:",
        f"  epochs: {epochs}  # passes over the training images",
        "  batch_size: 8  # images per update of the weights",
        f"  optimizer: {{kind: adam, learning_rate: {rate}}}  # how the weights are updated",
        "  schedule: {kind: cosine}  # lowers the learning rate to 0",
    ]


def _has_small_classes(boxes: BoxSource) -> bool:
    """Whether the objects of a class are small in the network's input for FCOS's default levels."""
    if not boxes.sizes:
        return False
    height, width = _size(boxes.sizes)
    reduced = math.sqrt(height * width / median(rows * columns for rows, columns in boxes.sizes.elements()))
    return any(is_small(size * reduced) for size in boxes.class_sizes.values())


def _epochs(boxes: BoxSource, most: int, times: int = 1) -> int:
    """As many as NUM_SEEN training images need, at most ``most``.

    Args:
        times: how many times longer than usual an image takes.
    """
    held_out: float = sum(value for _, value, _ in shares(boxes.splits))
    num_images = max(1, round(boxes.num_images * (1 - held_out)))
    return min(most, max(FEWEST_EPOCHS, round(NUM_SEEN / num_images / times)))


def _limit(most: int) -> int:
    """The number of objects that are looked for: half as many again as in any image that was seen, in tens."""
    return max(10, -(-most * 3 // 20) * 10)


def _size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Height and width of the median shape, reduced to LONGER_SIDE, as multiples of MULTIPLE."""
    if not sizes:
        return LONGER_SIDE, LONGER_SIDE
    height, width = (median(size[axis] for size in sizes.elements()) for axis in (0, 1))
    factor = min(1.0, LONGER_SIDE / max(height, width))
    rounded = [max(MULTIPLE, round(side * factor / MULTIPLE) * MULTIPLE) for side in (height, width)]
    return rounded[0], rounded[1]
