"""The head of instance segmentation: that of detection, whose objects also have masks."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.objects import objects_of
from dlcli.data.images.samples import Dataset
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.detection_data import InstanceData
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.report.plots.objects import with_masks
from dlcli.runtime.console import Console
from dlcli.tasks.detection import baseline as baselines
from dlcli.tasks.detection import sources
from dlcli.tasks.detection.head import DetectionHead
from dlcli.tasks.detection.mask_baseline import mean_shapes
from dlcli.tasks.detection.masks import objects_with_masks
from dlcli.tasks.images.head import Entries, TargetInfo


@dataclass(frozen=True)
class InstanceHead(DetectionHead):
    """Any number of objects in each image, with boxes and masks."""

    recipe: InstanceSegmentation
    best_metric = "mask_ap"
    has_masks = True

    def section_for(self, path: Path, images: dict[str, Any]) -> InstanceData:
        return sources.instance_section_for(path, self.recipe.data, images)

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        super().check(loaded, dataset, console)
        found = [objects for samples in dataset.splits.values() if (objects := objects_of(samples)) is not None]
        most, limit = (
            max(int(objects.counts.max(initial=0)) for objects in found),
            self.recipe.evaluate.detect.max_boxes,
        )
        if most > limit:
            console.warn(
                f"an image has {most:,} objects, of which the model finds at most {limit:,}: raise "
                f"evaluate.detect.max_boxes to {most:,} or more"
            )

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return super().plot_batch(_tinted(images, entries), entries, info)

    def preview(
        self,
        columns: Sequence[tuple[str, NDArray[Any], Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        drawn = [
            (title, _tinted(images, own), captions)
            for (title, images, captions), own in zip(columns, entries, strict=True)
        ]
        return super().preview(drawn, entries, names)

    def baseline(self, dataset: Dataset) -> dict[str, Any]:
        objects = objects_with_masks(dataset.splits["train"])
        boxes = baselines.baseline_of(objects, len(dataset.classes))
        return baselines.to_dict(replace(boxes, shapes=mean_shapes(objects, len(dataset.classes))))


def _tinted(images: NDArray[Any], entries: Entries) -> NDArray[np.float32]:
    return with_masks(images, entries["masks"], entries["box_class"]).astype(np.float32)
