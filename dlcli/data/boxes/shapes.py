"""The pixels of objects: polygons and run-length encodings in the frame of their image."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.boxes.boxes import Frame, ObjectShape
from dlcli.data.boxes.polygons import fill_polygon, fill_runs
from dlcli.data.files import hash_content
from dlcli.data.images.decoding import TURNS


@dataclass(frozen=True)
class Shape:
    """The pixels of an object: those in any of its polygons, float32 ``[n, 2]`` each, or in the runs of an encoding.

    Attributes:
        size: height and width of the image of an encoding, if they are known.
    """

    polygons: tuple[NDArray[np.float32], ...] = ()
    runs: NDArray[np.int64] | None = None
    size: tuple[int, int] | None = None

    def fill(self, height: int, width: int) -> NDArray[np.bool_]:
        """The pixels in an image of this size.

        Raises:
            ValueError: the encoding is for an image of another size.
        """
        if self.runs is not None:
            return fill_runs(self.runs, height, width)
        inside = np.zeros((height, width), np.bool_)
        for points in self.polygons:
            inside |= fill_polygon(points.astype(np.float64), height, width)
        return inside

    @property
    def area(self) -> float:
        """In pixels; of polygons by the shoelace formula, without what they share."""
        if self.runs is not None:
            return float(self.runs[1::2].sum())
        return sum(_area(points.astype(np.float64)) for points in self.polygons)

    def flaw(self, frame: Frame) -> str:
        """See :meth:`ObjectShape.flaw`."""
        if self.size is not None and self.size != (frame.height, frame.width):
            height, width = self.size
            return f"its encoding is for an image of {width}x{height}, but the image has {frame.width}x{frame.height}"
        if self.runs is not None and self.runs.sum() != frame.width * frame.height:
            return f"its encoding is for {self.runs.sum():,} pixels, but the image has {frame.width * frame.height:,}"
        if self.area == 0:
            return "its mask has no pixels"
        if self.polygons:
            points = np.concatenate(self.polygons)
            if (points.max(axis=0) <= 0).any() or (points.min(axis=0) >= (frame.width, frame.height)).any():
                return f"its mask is outside of the image of {frame.width}x{frame.height}"
        return ""

    def described(self) -> dict[str, Any]:
        """In values for JSON: ``runs``, or ``polygons`` with x and y in turn, from which :func:`shape_of` makes it."""
        if self.runs is not None:
            return {"runs": self.runs.tolist()}
        # as text a number has the fewest digits from which float32 is restored
        return {"polygons": [[float(str(value)) for value in points.ravel()] for points in self.polygons]}

    def to_bytes(self) -> bytes:
        """Bytes that differ for different shapes."""
        parts = [points.tobytes() for points in self.polygons] if self.runs is None else [self.runs.tobytes()]
        return b"|".join(parts)


def shape_of(content: Mapping[str, Any]) -> Shape:
    """The inverse of :meth:`Shape.described`.

    Raises:
        KeyError, TypeError, ValueError: the content is not of this form.
    """
    if "runs" in content:
        runs = np.array(content["runs"])
        if runs.ndim != 1 or runs.dtype != np.int64 or (runs < 0).any():
            raise ValueError
        return Shape(runs=runs)
    polygons = tuple(np.array(points, np.float32).reshape(-1, 2) for points in content["polygons"])
    if not polygons or any(len(points) < 3 or not np.isfinite(points).all() for points in polygons):
        raise ValueError
    return Shape(polygons)


def _area(points: NDArray[np.float64]) -> float:
    x, y = points.T
    return float(abs(x @ np.roll(y, -1) - y @ np.roll(x, -1)) / 2)


@dataclass(frozen=True)
class DrawnInstances:
    """The objects of an image, which are drawn when they are read.

    Attributes:
        frame: the image in whose pixels the shapes are.
        shapes: of the objects.
    """

    frame: Frame
    shapes: tuple[Shape, ...]

    @classmethod
    def of(cls, frame: Frame, shapes: Sequence[ObjectShape]) -> "DrawnInstances":
        """Those of shapes that can be drawn."""
        assert all(isinstance(shape, Shape) for shape in shapes)
        return cls(frame, tuple(shape for shape in shapes if isinstance(shape, Shape)))

    @property
    def digest(self) -> str:
        """See :attr:`dlcli.data.boxes.objects.Instances.digest`."""
        return hash_content(b"/".join([str(self.frame).encode(), *(shape.to_bytes() for shape in self.shapes)]))

    def described(self) -> list[dict[str, Any]]:
        """See :meth:`dlcli.data.boxes.objects.StoredInstances.described`."""
        return [shape.described() for shape in self.shapes]

    def files(self) -> dict[str, bytes]:
        """See :meth:`dlcli.data.boxes.objects.StoredInstances.files`."""
        return {}

    def read(self) -> NDArray[np.uint8]:
        """See :meth:`dlcli.data.boxes.objects.Instances.read`."""
        width, height = self.frame.upright_size
        masks = np.zeros((len(self.shapes), height, width), np.uint8)
        for mask, shape in zip(masks, self.shapes, strict=True):
            mask[:] = turned_upright(shape.fill(self.frame.height, self.frame.width).astype(np.uint8), self.frame)
        return masks


def turned_upright(mask: NDArray[np.uint8], frame: Frame) -> NDArray[np.uint8]:
    """A mask of the size of a frame, rotated upright like the image."""
    turn = TURNS.get(frame.orientation)
    return mask if turn is None else np.array(Image.fromarray(mask).transpose(turn))
