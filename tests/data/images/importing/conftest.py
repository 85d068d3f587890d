"""Small distinct images as the bytes of their files."""

import io

import numpy as np
import pytest
from PIL import Image

NUM_IMAGES = 12


@pytest.fixture(scope="package")
def images() -> list[bytes]:
    """PNG files of 6x5 pixels."""
    found = []
    for number in range(NUM_IMAGES):
        pixels = np.random.default_rng(number).integers(0, 256, (6, 5, 3), np.uint8)
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        found.append(file.getvalue())
    return found
