"""Drafts a recipe that finds every object of an image. Needs no TensorFlow."""

from collections import Counter
from statistics import median

from dlcli.tasks.draft_text import HEADING, Draft, line, section, shares
from dlcli.tasks.images.box_drafting import COLORS, BoxSource

LONGER_SIDE = 320  # of images in a drafted recipe
MULTIPLE = 32  # of their sides, which a network halves five times


def draft_detection(boxes: BoxSource) -> Draft:
    """Draft a recipe for images with boxes."""
    data = [
        *boxes.keys,
        COLORS,
        ("image_size", _size(boxes.sizes), "height and width to which images are resized; objects must stay visible"),
        *shares(boxes.splits),
    ]
    lines = [
        HEADING,
        "",
        line("task", "detection", "finds every object: its class and its box"),
        *section("data", data),
        "augment:",
        "  horizontal_flip: true  # mirrors half of the images, and their boxes",
        "  zoom_range: [0.7, 1.3]  # makes objects larger or smaller",
        "model:",
        "  kind: fcos  # a box at each position; for retinanet, dlcli data stats suggests anchors",
        "  backbone: {kind: application, network: mobilenetv2, alpha: 0.35}  # add weights: imagenet, or a file",
        "train:",
        "  epochs: 60  # passes over the training images",
        "  batch_size: 8  # images per update of the weights",
        "  optimizer: {kind: adam, learning_rate: 0.001}  # how the weights are updated",
        "  schedule: {kind: cosine}  # lowers the learning rate to 0",
    ]
    return Draft(boxes.seen, "\n".join(lines) + "\n")


def _size(sizes: Counter[tuple[int, int]]) -> tuple[int, int]:
    """Height and width of the median shape, reduced to LONGER_SIDE, as multiples of MULTIPLE."""
    if not sizes:
        return LONGER_SIDE, LONGER_SIDE
    height, width = (median(size[axis] for size in sizes.elements()) for axis in (0, 1))
    factor = min(1.0, LONGER_SIDE / max(height, width))
    rounded = [max(MULTIPLE, round(side * factor / MULTIPLE) * MULTIPLE) for side in (height, width)]
    return rounded[0], rounded[1]
