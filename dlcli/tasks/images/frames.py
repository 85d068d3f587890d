"""The frames of images without annotations: upright, at their own size."""

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Frame
from dlcli.data.images.decoding import read_header
from dlcli.data.images.samples import Samples


def upright_frames(samples: Samples, index: NDArray[np.int64] | None = None) -> tuple[Frame, ...]:
    """The size of each image, upright; of those at some positions, if these are given."""
    positions = np.arange(len(samples)) if index is None else index
    if samples.files is None:
        return tuple(Frame(width, height) for height, width in samples.sizes[positions].tolist())
    return tuple(Frame(*Frame(*read_header(samples.files[position])).upright_size) for position in positions)
