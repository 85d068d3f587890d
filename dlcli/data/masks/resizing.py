"""Masks in the network's input and back: resized as their images are, each pixel with the value of the nearest one."""

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.resizing import placement, resize_image
from dlcli.data.masks.coding import IGNORED, Mask


def resize_mask(mask: Mask, policy: ImagePolicy) -> Mask:
    """A mask of the size of its upright image, in the network's input; what padding adds is IGNORED."""
    resized = resize_image(
        Image.fromarray(mask),
        image_size=policy.image_size,
        resize=policy.resize,
        interpolation="nearest",
        antialias=False,
        padding=IGNORED,
    )
    return np.array(resized)


def restore_mask(mask: Mask, height: int, width: int, policy: ImagePolicy) -> Mask:
    """A mask of the network's input ``[h, w]`` in the pixels of an upright image; IGNORED where the input has no part
    of the image, because it was cropped."""
    x_scale, y_scale, left, top = placement(width, height, policy.image_size, policy.resize)
    rows = np.floor((np.arange(height) + 0.5) * y_scale + top).astype(np.int64)
    columns = np.floor((np.arange(width) + 0.5) * x_scale + left).astype(np.int64)
    restored: Mask = mask[np.clip(rows, 0, mask.shape[0] - 1)[:, None], np.clip(columns, 0, mask.shape[1] - 1)]
    restored[(rows < 0) | (rows >= mask.shape[0])] = IGNORED
    restored[:, (columns < 0) | (columns >= mask.shape[1])] = IGNORED
    return restored


def restore_scores(scores: NDArray[np.float32], height: int, width: int, policy: ImagePolicy) -> NDArray[np.float32]:
    """Scores of classes in the network's input ``[h, w, classes]``, such as probabilities, in the pixels of an upright
    image, interpolated linearly. Beyond a cropped input they continue those of its edge; see :func:`restore_mask`."""
    x_scale, y_scale, left, top = placement(width, height, policy.image_size, policy.resize)
    rows = _between(height, y_scale, top, scores.shape[0])
    columns = _between(width, x_scale, left, scores.shape[1])
    lines = scores[rows[0]] * (1 - rows[2])[:, None, None] + scores[rows[1]] * rows[2][:, None, None]
    first, second = lines[:, columns[0]], lines[:, columns[1]]
    return np.asarray(first + (second - first) * columns[2][None, :, None], np.float32)


def _between(
    size: int, scale: float, start: float, input_size: int
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """For each pixel along a side of an image, two neighbors in the input and the weight of the second.

    Only the part of the input that shows the image counts, so that padding has no influence.
    """
    first, last = max(0, round(start)), min(input_size, round(start + size * scale)) - 1
    place = np.clip((np.arange(size) + 0.5) * scale + start - 0.5, first, last)
    lower = np.minimum(np.floor(place).astype(np.int64), max(first, last - 1))
    return lower, np.minimum(lower + 1, last), (place - lower).astype(np.float32)
