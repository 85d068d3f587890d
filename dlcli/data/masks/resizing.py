"""Masks in the network's input and back: resized as their images are, each pixel with the value of the nearest one."""

import numpy as np
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
