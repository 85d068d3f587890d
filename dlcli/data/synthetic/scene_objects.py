"""Synthetic scenes of several shapes, with the class and the box of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.boxes import Frame
from dlcli.data.boxes.object_dataset import complete
from dlcli.data.boxes.objects import NAME, ObjectBoxes
from dlcli.data.files import hash_content
from dlcli.data.images.dataset import CommonKeys, assemble_images
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import Listing
from dlcli.data.splits import NO_LABEL
from dlcli.data.synthetic.scenes import CLASSES, check_size, draw_scene
from dlcli.data.synthetic.shapes import DEFAULT_SIZE

OBJECTS = CLASSES[1:]  # the background is none


@dataclass(frozen=True)
class SceneInstances:
    """The masks of the objects of a scene.

    Attributes:
        instances: as in :class:`dlcli.data.synthetic.scenes.Scene`.
        num_objects: in the scene.
    """

    instances: NDArray[np.uint8]
    num_objects: int

    @property
    def digest(self) -> str:
        """See :attr:`dlcli.data.boxes.objects.Instances.digest`."""
        return hash_content(self.instances.tobytes())

    def read(self) -> NDArray[np.uint8]:
        """See :meth:`dlcli.data.boxes.objects.Instances.read`."""
        return np.asarray(self.instances == np.arange(1, self.num_objects + 1)[:, None, None], np.uint8)


def read_scene_objects(
    *,
    num_samples: int,
    seed: int,
    min_visible: float,
    has_masks: bool = False,
    exclude: Sequence[str] = (),
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The scenes of :mod:`dlcli.data.synthetic.scenes` with the boxes of the visible parts of their shapes, drawn at
    the size of the recipe. The area of an object is that of its visible pixels.

    Args:
        min_visible: as in :class:`dlcli.data.boxes.objects.ObjectBoxes`.
        has_masks: whether the masks of the objects are kept besides their boxes.
        exclude: patterns of the names of scenes to leave out.

    Raises:
        InputError: scenes are too small or do not fit into memory, or the splits cannot be drawn.
    """
    height, width = common["image_size"] or DEFAULT_SIZE
    check_size(height, width, num_samples)
    pixels = np.empty((num_samples, height, width, 3), np.uint8)
    corners, labels, areas, counts = [], [], [], [0]
    masks: list[SceneInstances] = []
    for number in range(num_samples):
        scene = draw_scene(seed, number, height, width)
        pixels[number] = scene.pixels
        corners.append(scene.boxes)
        labels.append(scene.labels - 1)
        areas.append(np.bincount(scene.instances.ravel(), minlength=len(scene.labels) + 1)[1:])
        counts.append(len(scene.labels))
        masks += [SceneInstances(scene.instances, len(scene.labels))] if has_masks else []
    no_mark = np.zeros(sum(counts), np.bool_)
    objects = ObjectBoxes(
        corners=np.concatenate(corners),
        labels=np.concatenate(labels).astype(np.int32),
        is_crowd=no_mark,
        is_difficult=no_mark,
        areas=np.concatenate(areas).astype(np.float64),
        offsets=np.cumsum(counts).astype(np.int64),
        frames=(Frame(width, height),) * num_samples,
        min_visible=min_visible,
        instances=tuple(masks) if has_masks else None,
    )
    listing = Listing(
        names=tuple(f"scenes/{number}" for number in range(num_samples)),
        labels=np.full(num_samples, NO_LABEL, np.int32),
        arrays=pixels,
        annotations={NAME: objects},
    )
    dataset = assemble_images(
        {"train": listing}, OBJECTS, source="scenes", has_classes=False, exclude=exclude, common=common
    )
    return complete(dataset, source="scenes")
