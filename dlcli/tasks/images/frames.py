"""The frames of images without annotations: upright, at their own size."""

from dlcli.data.boxes.boxes import Frame
from dlcli.data.images.decoding import read_header
from dlcli.data.images.samples import Samples


def upright_frames(samples: Samples) -> tuple[Frame, ...]:
    """The size of each image, upright."""
    if samples.files is None:
        pixels = samples.unsized if samples.unsized is not None else samples.pixels
        assert pixels is not None
        return (Frame(pixels.shape[2], pixels.shape[1]),) * len(samples)
    return tuple(Frame(*Frame(*read_header(path)).upright_size) for path in samples.files)
