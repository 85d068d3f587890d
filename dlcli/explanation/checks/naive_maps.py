"""Maps that know nothing of the network, beside which a method must prove itself."""

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage


def naive_maps(images: NDArray[np.float32], *, seed: int = 0) -> dict[str, NDArray[np.float32]]:
    """Maps ``[b, height, width]`` of images ``[b, height, width, channels]`` by their names.

    ``random`` numbers, the ``edges`` (length of Sobel's gradient of the brightness), the closeness to the ``center``,
    and the ``image`` itself (its brightness).
    """
    brightness = images.mean(axis=-1)
    slopes = [ndimage.sobel(brightness, axis=axis, mode="nearest") for axis in (1, 2)]
    height, width = brightness.shape[1:]
    rows, columns = np.mgrid[:height, :width]
    distance = np.hypot((rows + 0.5) / height - 0.5, (columns + 0.5) / width - 0.5)
    center = np.broadcast_to(distance.max() - distance, brightness.shape)
    return {
        "random": np.random.default_rng(seed).random(brightness.shape).astype(np.float32),
        "edges": np.hypot(*slopes).astype(np.float32),
        "center": center.astype(np.float32),
        "image": brightness.astype(np.float32),
    }
