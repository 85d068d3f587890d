"""The boxes of all objects of each image: for detection, where an image has any number of objects, or none.

The boxes of a split are stored flat, one image's after another, with the offsets of each image.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import find
from dlcli.data.boxes.boxes import Frame, maps_to_input, move
from dlcli.data.boxes.offsets import offsets_of, spans
from dlcli.data.files import hash_content
from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import ImageAnnotation, Samples
from dlcli.data.splits import Index

if TYPE_CHECKING:
    from dlcli.data.boxes.object_targets import ObjectsTarget

NAME = "objects"  # of the annotation
OBJECT_COLUMNS = ("objects", "objects_digest")  # of split.csv


class Instances(Protocol):
    """The masks of the objects of one image."""

    @property
    def digest(self) -> str:
        """The first 16 hexadecimal digits of the SHA-256 of what they are made of."""
        ...

    def read(self) -> NDArray[np.uint8]:
        """The mask of each object at the size of the upright image, ``[objects, height, width]``, 1 in the object.

        Raises:
            InputError: they can no longer be read, or have changed since they were checked.
        """
        ...


@runtime_checkable
class StoredInstances(Instances, Protocol):
    """Masks of files, or of annotations in files, which can be packed."""

    def described(self) -> Sequence[Mapping[str, Any]]:
        """The shape of each object, in values for JSON."""
        ...

    def files(self) -> Mapping[str, bytes]:
        """The files that the shapes are in: their contents by suffix.

        Raises:
            InputError: one can no longer be read, or has changed since it was checked.
        """
        ...


@dataclass(frozen=True)
class ObjectBoxes(ImageAnnotation):
    """The objects of each sample with their boxes, in the pixels of their frames.

    Attributes:
        corners: xmin, ymin, xmax, ymax, float64 ``[m, 4]``; each box has an area.
        labels: index of each object's class among the data set's, int32 ``[m]``. There is no class of the background.
        is_crowd: whether a box is around a group of objects, bool ``[m]``. Crowds are not trained on, and a detection
            in one is not false (COCO).
        is_difficult: whether an object is marked as hard to recognize, bool ``[m]``. These are not trained on, and
            finding one is neither right nor wrong (Pascal VOC).
        areas: of each object in the pixels of its frame, float64 ``[m]``: that of the annotation, else of the box.
        offsets: int64 ``[n + 1]``: sample i has the objects ``offsets[i]:offsets[i + 1]``; a negative has none.
        frames: one for each sample.
        slots: the boxes that a row of a batch has room for; the most that a sample has to train on, if None.
        min_visible: the proportion of a box's area that must be left after cropping and augmentation for it to be in
            a batch; 0 for any.
        instances: the masks of the objects of each sample; None where only boxes are known.
    """

    corners: NDArray[np.float64]
    labels: NDArray[np.int32]
    is_crowd: NDArray[np.bool_]
    is_difficult: NDArray[np.bool_]
    areas: NDArray[np.float64]
    offsets: Index
    frames: tuple[Frame, ...]
    slots: int | None = None
    min_visible: float = 0.0
    instances: tuple[Instances, ...] | None = None

    def __len__(self) -> int:
        return len(self.frames)

    @property
    def counts(self) -> Index:
        """The number of objects of each sample, int64 ``[n]``."""
        return np.diff(self.offsets)

    @property
    def owners(self) -> Index:
        """The sample of each object, int64 ``[m]``."""
        return np.repeat(np.arange(len(self)), self.counts)

    @property
    def is_trained(self) -> NDArray[np.bool_]:
        """Whether an object is in training batches: it is neither a crowd nor difficult, bool ``[m]``."""
        return ~(self.is_crowd | self.is_difficult)

    @property
    def most_trained(self) -> int:
        """The largest number of objects to train on of a sample."""
        return int(np.bincount(self.owners[self.is_trained], minlength=1).max())

    def take(self, index: Index) -> "ObjectBoxes":
        """The objects of the samples at these positions."""
        positions, offsets = spans(self.offsets, index)
        return replace(
            self,
            corners=self.corners[positions],
            labels=self.labels[positions],
            is_crowd=self.is_crowd[positions],
            is_difficult=self.is_difficult[positions],
            areas=self.areas[positions],
            offsets=offsets,
            frames=tuple(self.frames[i] for i in index),
            instances=None if self.instances is None else tuple(self.instances[i] for i in index),
        )

    def columns(self) -> Mapping[str, Sequence[str]]:
        """The number of objects of each sample, and a digest of their classes, boxes, marks and masks, as
        OBJECT_COLUMNS."""
        table = np.column_stack([self.labels, self.is_crowd, self.is_difficult, self.areas, self.corners])
        masks = [""] * len(self) if self.instances is None else [instances.digest for instances in self.instances]
        digests = [
            hash_content(np.ascontiguousarray(table[start:stop], "<f8").tobytes() + of_masks.encode())
            for start, stop, of_masks in zip(self.offsets[:-1], self.offsets[1:], masks, strict=True)
        ]
        return dict(zip(OBJECT_COLUMNS, (list(map(str, self.counts.tolist())), digests), strict=True))

    def described(self, position: int, classes: Sequence[str]) -> dict[str, Any]:
        """The ``objects`` of a sample, each with its ``label``, ``box``, ``area``, marks and shape, and the ``frame``
        of the boxes.

        Raises:
            TypeError: the objects have masks that are in no file.
        """
        own = range(int(self.offsets[position]), int(self.offsets[position + 1]))
        stored = self._stored(position)
        shapes = [{}] * len(own) if stored is None else stored.described()
        return {
            "objects": [
                {
                    "label": classes[self.labels[i]],
                    "box": self.corners[i].tolist(),
                    "area": float(self.areas[i]),
                    **({"crowd": True} if self.is_crowd[i] else {}),
                    **({"difficult": True} if self.is_difficult[i] else {}),
                    **shape,
                }
                for i, shape in zip(own, shapes, strict=True)
            ],
            "frame": self.frames[position].described(),
        }

    def files(self, position: int) -> Mapping[str, bytes]:
        """The files of a sample that its masks are in."""
        stored = self._stored(position)
        return {} if stored is None else stored.files()

    def _stored(self, position: int) -> StoredInstances | None:
        """The masks of a sample; None where only boxes are known."""
        if self.instances is None:
            return None
        instances = self.instances[position]
        if not isinstance(instances, StoredInstances):
            raise TypeError("masks that are in no file cannot be packed.")
        return instances

    def target(self, policy: ImagePolicy | None) -> "ObjectsTarget":
        """The boxes to train on in the network's input, without those of which too little is left by cropping, with
        their masks where these are known; or in whole images that are cut into tiles."""
        from dlcli.data.boxes.instance_targets import InstancesTarget  # TensorFlow, which listing objects does not need
        from dlcli.data.boxes.object_targets import ObjectsTarget

        assert policy is not None
        trained = self.is_trained
        owners = self.owners[trained]
        offsets = offsets_of(owners, len(self))
        upright = [frame.upright_size[::-1] for frame in self.frames]
        keys: dict[str, Any] = {
            "boxes": np.zeros((len(owners), 4), np.float32),
            "labels": self.labels[trained],
            "visible": np.ones(len(owners), np.float32),
            "positions": (np.arange(len(owners)) - offsets[:-1][owners]).astype(np.int32),
            "offsets": offsets,
            "slots": max(1, self.most_trained if self.slots is None else self.slots),
            "min_visible": self.min_visible,
            "sizes": np.array(upright, np.int64).reshape(-1, 2) if policy.is_tiled else None,
        }
        if self.instances is None:
            return ObjectsTarget(**keys).placed(self.relative(policy)[trained])
        whole = InstancesTarget(
            **keys,
            policy=policy,
            instances=self.instances,
            is_trained=tuple(np.split(trained, self.offsets[1:-1])),
        )
        return whole.placed(self.relative(policy)[trained])

    def relative(self, policy: ImagePolicy) -> NDArray[np.float64]:
        """All boxes in the network's input, rel_xyxy ``[m, 4]``, outside [0, 1] where a box is cropped; in whole images
        that are cut into tiles."""
        return move(self.corners, maps_to_input(self.frames, policy)[self.owners])


def objects_of(samples: Samples) -> ObjectBoxes | None:
    """The objects of each sample, for detection; None where the samples have none."""
    return find(samples.annotations, NAME, ObjectBoxes)
