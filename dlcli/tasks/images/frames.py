"""The frames of images without annotations: upright, at their own size."""

from dlcli.data.boxes.boxes import Frame
from dlcli.data.images.decoding import read_header
from dlcli.data.images.samples import Samples


def upright_frames(samples: Samples) -> tuple[Frame, ...]:
    """The size of each image, upright."""
    if samples.files is None:
        return tuple(Frame(width, height) for height, width in samples.sizes.tolist())
    return tuple(Frame(*Frame(*read_header(path)).upright_size) for path in samples.files)
