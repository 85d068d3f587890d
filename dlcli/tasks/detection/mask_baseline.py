"""The baseline of instance segmentation: fixed boxes, filled with the mean shape of their class's training objects."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.boxes.objects import ObjectBoxes
from dlcli.data.boxes.pasting import paste
from dlcli.evaluation.detection.boxes import Detections
from dlcli.evaluation.detection.fixed_boxes import FixedBoxes
from dlcli.tasks.detection.baseline import frame_sizes
from dlcli.tasks.detection.masks import ImageMasks, compare, with_areas

SIDE = 28  # of a shape in pixels, as of a predicted mask
DESCRIPTION = "the boxes of each class that find the most objects of the training split, filled with its mean shape"
MAX_IMAGES = 1_000  # from which mean shapes are computed


def mean_shapes(objects: ObjectBoxes, num_classes: int) -> NDArray[np.bool_]:
    """The part of their boxes that at least half of the objects of a class fill, bool ``[classes, 28, 28]``; where that
    is nothing, the part that most of them fill, and the whole box without objects.

    Args:
        objects: of the training split, as :func:`dlcli.tasks.detection.masks.objects_with_masks` returns them.

    Raises:
        InputError: the masks can no longer be read.
    """
    assert objects.instances is not None
    sums, counts = np.zeros((num_classes, SIDE, SIDE)), np.zeros((num_classes, 1, 1))
    for position in np.unique(np.linspace(0, len(objects) - 1, min(len(objects), MAX_IMAGES)).round()).astype(int):
        own = np.arange(objects.offsets[position], objects.offsets[position + 1])
        for i, mask in zip(own, objects.instances[position].read(), strict=True):
            if objects.is_trained[i]:
                left, top = np.floor(objects.corners[i, :2]).astype(int)
                right, bottom = np.ceil(objects.corners[i, 2:]).astype(int)
                crop = Image.fromarray(mask[top : max(bottom, top + 1), left : max(right, left + 1)] * np.uint8(255))
                sums[objects.labels[i]] += np.asarray(crop.resize((SIDE, SIDE), Image.Resampling.BOX)) / 255
                counts[objects.labels[i]] += 1
    most = sums.max(axis=(1, 2), keepdims=True)
    return np.asarray(sums >= np.minimum(most, counts / 2))


def baseline_masks(baseline: FixedBoxes, objects: ObjectBoxes) -> tuple[Detections, list[ImageMasks]]:
    """The fixed boxes in each image, with the shapes of their classes as masks.

    Args:
        objects: as :func:`objects_with_masks` returns them.

    Raises:
        InputError: the masks of the objects can no longer be read.
    """
    detections = baseline.detections(frame_sizes(objects.frames))
    masks = []
    assert baseline.shapes is not None
    for position, frame in enumerate(objects.frames):
        height, width = frame.height, frame.width
        own = slice(int(detections.offsets[position]), int(detections.offsets[position + 1]))
        patches = [
            paste(baseline.shapes[label].astype(np.float32), (x1, y1, x2, y2), height=height, width=width)
            for label, (x1, y1, x2, y2) in zip(detections.classes[own], detections.boxes[own].tolist(), strict=True)
        ]
        masks.append(compare(patches, objects, position, size=(height, width), encodes=False))
    return with_areas(detections, masks), masks
