"""The box of an object in each image: from the annotation's pixels to the network's input, and back.

A box is annotated in a *frame*: the pixels of the file as the annotation program displayed it, before or after the
rotation given by its EXIF data. The network's input is that image rotated upright, resized, cropped or padded. One
affine map of each axis converts between the two, so that the conversion back is exact.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Target, find
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.resizing import placement
from dlcli.data.images.samples import ImageAnnotation, Samples
from dlcli.errors import InputError

OnBadBox = Literal["error", "repair", "skip"]
Several = Literal["largest", "first", "leave_out"]
Corners = tuple[float, float, float, float]  # xmin, ymin, xmax, ymax: edges, so that a whole image is 0, 0, w, h

BOX_COLUMNS = ("xmin", "ymin", "xmax", "ymax")  # of split.csv
UPRIGHT = 1  # the EXIF orientation of an upright image
TOLERANCE = 1.0  # pixels outside of the image: some annotation programs count from 1

# By orientation, the rows of ``(x, y) -> (a x + b y + c w + d h, e x + f y + g w + h h)`` that turn a frame of w x h
# upright (Exif 2.32, tag 0x0112).
TURNS = {
    1: ((1, 0, 0, 0), (0, 1, 0, 0)),
    2: ((-1, 0, 1, 0), (0, 1, 0, 0)),
    3: ((-1, 0, 1, 0), (0, -1, 0, 1)),
    4: ((1, 0, 0, 0), (0, -1, 0, 1)),
    5: ((0, 1, 0, 0), (1, 0, 0, 0)),
    6: ((0, -1, 0, 1), (1, 0, 0, 0)),
    7: ((0, -1, 0, 1), (-1, 0, 1, 0)),
    8: ((0, 1, 0, 0), (-1, 0, 1, 0)),
}


@dataclass(frozen=True)
class Frame:
    """The coordinate frame of an image's boxes.

    Attributes:
        width, height: in pixels.
        orientation: EXIF's, 1 to 8: how this frame is turned to the upright image.
    """

    width: int
    height: int
    orientation: int = UPRIGHT

    @property
    def upright_size(self) -> tuple[int, int]:
        """Width and height of the upright image."""
        return (self.height, self.width) if self.orientation >= 5 else (self.width, self.height)

    def described(self) -> list[int]:
        """Width, height and orientation, for JSON."""
        return [self.width, self.height, self.orientation]


@dataclass(frozen=True)
class Boxes(ImageAnnotation):
    """A box for each sample, in the pixels of its frame.

    Attributes:
        corners: xmin, ymin, xmax, ymax, float64 ``[n, 4]``; NaN for a sample without a box.
        frames: one for each sample.
    """

    corners: NDArray[np.float64]
    frames: tuple[Frame, ...]

    def __len__(self) -> int:
        return len(self.frames)

    def take(self, index: NDArray[np.int64]) -> "Boxes":
        """The boxes at these positions."""
        return Boxes(self.corners[index], tuple(self.frames[i] for i in index))

    def columns(self) -> Mapping[str, Sequence[str]]:
        """The corners as BOX_COLUMNS, with 10 significant digits; empty for a sample without a box."""
        return {
            name: ["" if np.isnan(value) else f"{value:.10g}" for value in values]
            for name, values in zip(BOX_COLUMNS, self.corners.T, strict=True)
        }

    def described(self, position: int, classes: Sequence[str]) -> dict[str, Any]:
        """The ``box`` of a sample, None without one, and the ``frame`` that it is in."""
        corners = self.corners[position]
        return {
            "box": None if np.isnan(corners).any() else corners.tolist(),
            "frame": self.frames[position].described(),
        }

    def target(self, policy: ImagePolicy | None) -> Target:
        """The boxes in the network's input; NaN if no part of a box is in it."""
        from dlcli.data.boxes.targets import BoxTarget  # TensorFlow, which listing the boxes of a source does not need

        assert policy is not None
        return BoxTarget(self.relative(policy))

    def relative(self, policy: ImagePolicy) -> NDArray[np.float32]:
        """The boxes in the network's input, rel_xyxy float32 ``[n, 4]``; NaN if no part of a box is in it."""
        moved = move(self.corners, maps_to_input(self.frames, policy)).clip(0, 1).astype(np.float32)
        is_visible = (moved[:, 2] > moved[:, 0]) & (moved[:, 3] > moved[:, 1])
        return np.where(is_visible[:, None], moved, np.float32(np.nan))


def boxes_of(samples: Samples) -> Boxes | None:
    """The box of each sample's object, for localization; None where the samples have no boxes."""
    return find(samples.annotations, "boxes", Boxes)


def relative_boxes(samples: Samples) -> NDArray[np.float32] | None:
    """The same in the network's input, rel_xyxy float32 ``[n, 4]``; NaN for a sample without a visible box."""
    boxes = boxes_of(samples)
    if boxes is None:
        return None
    assert samples.policy is not None
    return boxes.relative(samples.policy)


def in_frames(relative: NDArray[Any], frames: tuple[Frame, ...], policy: ImagePolicy) -> NDArray[np.float64]:
    """Boxes in the network's input, rel_xyxy ``[n, 4]``, in the pixels of their frames and clipped to these."""
    inverse = np.linalg.inv(maps_to_input(frames, policy)).astype(np.float64)
    sizes = np.array([[frame.width, frame.height] * 2 for frame in frames], np.float64).reshape(-1, 4)
    return np.clip(move(np.asarray(relative, np.float64), inverse), 0, sizes)


def maps_to_input(frames: tuple[Frame, ...], policy: ImagePolicy) -> NDArray[np.float64]:
    """From the pixels of each frame to relative coordinates of the network's input, or of whole images that are cut
    into tiles: ``[n, 3, 3]``."""
    known: dict[Frame, NDArray[np.float64]] = {}
    for frame in frames:
        if frame not in known:
            known[frame] = _map(frame, policy)
    return np.stack([known[frame] for frame in frames]) if frames else np.zeros((0, 3, 3))


def _map(frame: Frame, policy: ImagePolicy) -> NDArray[np.float64]:
    turn = np.eye(3)
    for row, (a, b, w, h) in enumerate(TURNS[frame.orientation]):
        turn[row] = a, b, w * frame.width + h * frame.height
    if policy.is_tiled:
        width, height = frame.upright_size
        return np.diag([1 / width, 1 / height, 1.0]) @ turn
    height, width = policy.image_size
    width_scale, height_scale, left, top = placement(*frame.upright_size, policy.image_size, policy.resize)
    place = np.diag([width_scale / width, height_scale / height, 1.0])
    place[0, 2], place[1, 2] = left / width, top / height
    return place @ turn


def move(corners: NDArray[np.float64], maps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The boxes ``[n, 4]`` under maps ``[n, 3, 3]`` that keep their sides parallel to the axes."""
    opposite = corners.reshape(-1, 2, 2) @ maps[:, :2, :2].transpose(0, 2, 1) + maps[:, None, :2, 2]
    return np.concatenate([opposite.min(axis=1), opposite.max(axis=1)], axis=1)


# Annotations ----------------------------------------------------------------------------------------------------------


class ObjectShape(Protocol):
    """The pixels of an object, as its source describes them."""

    @property
    def area(self) -> float:
        """In pixels of the image's frame."""
        ...

    def flaw(self, frame: "Frame") -> str:
        """Why it cannot be the shape of an object in this frame; empty if it can."""
        ...


@dataclass(frozen=True)
class Object:
    """An object as a source lists it.

    Attributes:
        place: where it is listed, for messages: ``raccoon-7.xml: object 2``.
        label: its class.
        corners: xmin, ymin, xmax, ymax in pixels, not yet checked; None if only the image's class is known.
        flaw: why it has no box although it should; empty if it need not have one.
        is_crowd: whether the box is around a group of objects.
        is_difficult: whether the object is marked as hard to recognize.
        area: of the object in pixels; None for that of its box.
        shape: its pixels; None if they are not known.
    """

    place: str
    label: str
    corners: Corners | None
    flaw: str = ""
    is_crowd: bool = False
    is_difficult: bool = False
    area: float | None = None
    shape: ObjectShape | None = None


class BadBox(Exception):
    """A box that cannot be used; the message is the reason, to be written after "PLACE: "."""


def frame_of(image: Frame, annotated: tuple[int, int] | None) -> Frame:
    """The frame of an image's boxes.

    Args:
        image: the file as it is stored, with its orientation.
        annotated: the width and height in the annotation; without them boxes refer to the upright image.

    Raises:
        BadBox: the annotation is for an image of another size.
    """
    upright = Frame(*image.upright_size)
    if annotated is None or annotated == (upright.width, upright.height):
        return upright
    if annotated == (image.width, image.height):
        return image
    raise BadBox(
        f"the annotation is for an image of {annotated[0]}x{annotated[1]}, "
        f"but the image has {upright.width}x{upright.height}"
    )


def checked(corners: Corners, frame: Frame) -> Corners:
    """The box, clipped to the image if it extends outside by at most TOLERANCE.

    Raises:
        BadBox: its corners are swapped, or it is empty or outside.
    """
    _refuse_swapped(corners)
    inside = clipped(corners, frame)
    for name, value, nearest in zip(("xmin", "ymin", "xmax", "ymax"), corners, inside, strict=True):
        if abs(value - nearest) > TOLERANCE:
            raise BadBox(f"its box is outside of the image of {frame.width}x{frame.height}: {name} is {value:g}")
    _refuse_empty(inside)
    return inside


def repaired(corners: Corners, frame: Frame, annotated: tuple[int, int] | None) -> Corners:
    """The box with its corners in order, scaled to the image's size and clipped to the image.

    Raises:
        BadBox: nothing is left of the box.
    """
    x1, y1, x2, y2 = corners
    if annotated is not None and annotated not in ((frame.width, frame.height), frame.upright_size) and all(annotated):
        x_scale, y_scale = frame.width / annotated[0], frame.height / annotated[1]
        x1, y1, x2, y2 = x1 * x_scale, y1 * y_scale, x2 * x_scale, y2 * y_scale
    inside = clipped((min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)), frame)
    _refuse_empty(inside)
    return inside


def clipped(corners: Corners, frame: Frame) -> Corners:
    """The part of a box that is in the image."""
    x1, y1, x2, y2 = corners
    width, height = float(frame.width), float(frame.height)
    return min(max(x1, 0.0), width), min(max(y1, 0.0), height), min(max(x2, 0.0), width), min(max(y2, 0.0), height)


def _refuse_swapped(corners: Corners) -> None:
    for axis in (0, 1):
        if corners[axis] > corners[axis + 2]:
            names = ("xmin", "xmax") if axis == 0 else ("ymin", "ymax")
            raise BadBox(
                f"its corners are swapped: {names[0]} {corners[axis]:g} is greater than {names[1]} "
                f"{corners[axis + 2]:g}"
            )


def _refuse_empty(corners: Corners) -> None:
    x1, y1, x2, y2 = corners
    if x1 >= x2 or y1 >= y2:
        raise BadBox("its box is empty: it has no area in the image")


def refuse_proportions(corners: NDArray[np.float64], frames: Sequence[Frame], source: str) -> None:
    """Refuses boxes that all lie in the first pixel: they are proportions of the images' sides, not pixels.

    Args:
        corners: ``[m, 4]``; NaN for no box.
        frames: of the images.

    Raises:
        InputError: the boxes are proportions.
    """
    found = corners[~np.isnan(corners).any(axis=1)]
    is_small = all(max(frame.width, frame.height) <= 2 for frame in frames)
    if len(found) and found.max() <= 1 and not is_small:
        raise InputError(
            f"{source}: boxes must be in pixels of their images. Received {len(found):,} boxes, all between 0 and 1: "
            "multiply them by the images' width and height."
        )


def choose(objects: list[Object], several: Several) -> Object | None:
    """The object of an image to learn; None if the image is left out."""
    if len(objects) == 1:
        return objects[0]
    if not objects or several == "leave_out":
        return None
    if several == "first":
        return objects[0]
    return max(objects, key=_area)  # the first of the largest


def _area(found: Object) -> float:
    if found.corners is None:
        return 0.0
    x1, y1, x2, y2 = found.corners
    return (x2 - x1) * (y2 - y1)
