"""The handwritten digits that ship with scikit-learn: real data without a download."""

from collections.abc import Sequence
from typing import Unpack

import numpy as np

from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing


def read_digits(*, exclude: Sequence[str] = (), **common: Unpack[CommonKeys]) -> Dataset:
    """1,797 digits, 8x8, grayscale; white is 16 in the source and becomes 255, rounded to 8 bits.

    Source: the test set of the UCI Optical Recognition of Handwritten Digits data (Alpaydin and Kaynak, 1998).

    Raises:
        InputError: the splits cannot be drawn as asked.
    """
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = np.rint(digits.images * 255 / 16).astype(np.uint8)[..., None]  # [n, 8, 8, 1]
    listing = Listing(
        names=tuple(f"digits/{i}" for i in range(len(pixels))),
        labels=digits.target.astype(np.int32),
        arrays=pixels,
    )
    return assemble_images({"train": listing}, tuple("0123456789"), source="digits", exclude=exclude, common=common)
