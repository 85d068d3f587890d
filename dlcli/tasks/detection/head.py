"""The head of detection: any number of objects in each image, each with a class and a box."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.boxes.objects import objects_of
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.listing import NO_ALIASES
from dlcli.errors import InputError
from dlcli.models.heads.detection_outputs import CANDIDATES
from dlcli.recipe.sections.backbone import without_classifier
from dlcli.recipe.sections.detection_data import DetectionData, InstanceData
from dlcli.recipe.sections.detection_model import AnyDetector, FasterRcnn, Fcos, MaskRcnn, Retinanet
from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.recipe.sections.segmentation_model import SegmentationModel
from dlcli.recipe.tasks.detection import Detection
from dlcli.recipe.tasks.instance_segmentation import InstanceSegmentation
from dlcli.report.plots import objects as object_plots
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console
from dlcli.tasks.detection import baseline as baselines
from dlcli.tasks.detection import inspection, network, prediction, sources
from dlcli.tasks.detection.detecting import FINAL, MASKS, with_detections
from dlcli.tasks.detection.evaluation import choose_threshold, evaluate_split, measure
from dlcli.tasks.detection.explanation import explainable_objects
from dlcli.tasks.detection.objective import objective_of
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.images.aspects import Explainable
from dlcli.tasks.images.exported import ExportedHead, exported_objects
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs, ImageNetwork, InputShape, with_head
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.inspection import Finding
from dlcli.tasks.task import ExplanationRequest, PredictionRequest
from dlcli.training.loop import Measure
from dlcli.training.objectives.objective import Objective

DEFAULT_THRESHOLD = 0.3  # of predictions, before one is chosen and without a validation split


@dataclass(frozen=True)
class DetectionHead(ImageHead):
    """Any number of objects in each image, with boxes; see :class:`dlcli.tasks.detection.instances.InstanceHead`."""

    recipe: Detection | InstanceSegmentation
    best_metric = "ap"
    caches_features = False
    has_masks: ClassVar[bool] = False
    """Whether objects have masks besides their boxes."""

    @property
    def base(self) -> ImageClassifier:
        return without_classifier(self.recipe.model.backbone)

    # Data -------------------------------------------------------------------------------------------------------------

    def read(
        self,
        section: DetectionData | InstanceData,
        console: Console,
        *,
        classes: tuple[str, ...] | None = None,
        aliases: Mapping[str, str] = NO_ALIASES,
    ) -> Dataset:
        return sources.read_dataset(section, console, has_masks=self.has_masks, classes=classes, aliases=aliases)

    def section_for(self, path: Path, images: dict[str, Any]) -> DetectionData | InstanceData:
        assert isinstance(self.recipe, Detection)
        return sources.section_for(path, self.recipe.data, images)

    def recorded(self, run: RunDir) -> TargetInfo:
        """As :meth:`ImageHead.recorded`, with the threshold of a complete run."""
        info = super().recorded(run)
        return replace(info, facts=_read_threshold(run) if run.status() == "completed" else {})

    # The network and its training -------------------------------------------------------------------------------------

    def build(
        self,
        section: ImageClassifier | SegmentationModel | AnyDetector,
        info: TargetInfo,
        *,
        shape: InputShape,
        standardization: Standardization | None = None,
    ) -> ImageNetwork:
        assert isinstance(section, Fcos | Retinanet | FasterRcnn | MaskRcnn)
        base = network.maps_of(section, shape=shape, augment=self.recipe.augment, standardization=standardization)
        return with_head(base, self._outputs(base, section, info))

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        return self._outputs(base, self.recipe.model, info)

    def _outputs(self, base: Features, section: AnyDetector, info: TargetInfo) -> HeadOutputs:
        detect = self.recipe.evaluate.detect
        return network.detection_outputs(base, section, detect=detect, num_classes=len(info.names))

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        missing = {*FINAL, *CANDIDATES, *((MASKS,) if self.has_masks else ())} - {layer.name for layer in model.layers}
        if missing:
            raise InputError(f"{run.model}: is not the detector of its run: it has no layer {sorted(missing)[0]}.")

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        return objective_of(self.recipe.model)

    def measure(self, model: keras.Model, samples: Samples, info: TargetInfo, console: Console) -> Measure:
        return measure(
            *(model, samples),
            num_classes=len(info.names),
            has_masks=self.has_masks,
            detect=self.recipe.evaluate.detect,
            batch_size=self.recipe.train.batch_size,
            console=Console(quiet=True),  # after each epoch there is a line anyway
        )

    # What is reported -------------------------------------------------------------------------------------------------

    def notes(self, dataset: Dataset) -> list[str]:
        return inspection.notes(dataset, self.recipe.model)

    def counts(self, dataset: Dataset) -> dict[str, dict[str, int]]:
        return inspection.counts(dataset)

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        return inspection.statistics(dataset)

    def plot_data(self, dataset: Dataset) -> bytes:
        return inspection.plot(dataset)

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        data, model = self.recipe.data, self.recipe.model
        if data.tiles is not None:
            return inspection.findings(dataset, data.tiles.size, overlap=data.tiles.overlap, model=model)
        return inspection.findings(dataset, data.image_size, model=model)

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        boxes, labels = entries["boxes"], entries["box_class"]
        return object_plots.object_grid(images, boxes, labels, info.names, title="What the model sees")

    def preview(
        self,
        columns: Sequence[tuple[str, NDArray[Any], Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        boxes, labels = [column["boxes"] for column in entries], [column["box_class"] for column in entries]
        return object_plots.object_preview(columns, boxes, labels, names)

    # After training ---------------------------------------------------------------------------------------------------

    def baseline(self, dataset: Dataset) -> dict[str, Any]:
        objects = objects_of(dataset.splits["train"])
        assert objects is not None
        return baselines.to_dict(baselines.baseline_of(objects, len(dataset.classes)))

    def fitted(
        self, run: RunDir, model: keras.Model, dataset: Dataset, info: TargetInfo, console: Console
    ) -> TargetInfo:
        """Choose the score from which detections count on the validation split, and write thresholds.json."""
        facts = {"threshold": DEFAULT_THRESHOLD, "chosen_on": ""}
        if "validation" in dataset.splits:
            facts["chosen_on"] = "validation"
            facts["threshold"] = choose_threshold(
                *(model, dataset.splits["validation"]),
                num_classes=len(info.names),
                has_masks=self.has_masks,
                detect=self.recipe.evaluate.detect,
                batch_size=self.recipe.train.batch_size,
                console=console,
            )
        else:
            console.say(f"without a validation split, detections count from a score of {DEFAULT_THRESHOLD} on")
        replace_json(run.thresholds, facts)
        return replace(info, facts=facts)

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        info, known = trained.info, None
        if trained.baseline is not None:
            known = baselines.from_dict(
                trained.baseline, num_classes=len(info.names), place=to.run_info, has_masks=self.has_masks
            )
        return evaluate_split(
            *(to, model, samples),
            classes=info.names,
            baseline=known,
            threshold=info.facts.get("threshold"),
            chosen_on=info.facts.get("chosen_on", ""),
            detect=self.recipe.evaluate.detect,
            has_masks=self.has_masks,
            batch_size=self.recipe.train.batch_size,
            console=console,
        )

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_detections(model, has_masks=self.has_masks)

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        return prediction.predict(
            *(outputs, samples),
            classes=trained.info.names,
            threshold=trained.info.facts.get("threshold", DEFAULT_THRESHOLD),
            has_masks=self.has_masks,
            detect=self.recipe.evaluate.detect,
            request=request,
            console=console,
        )

    def exported(self, run: RunDir) -> ExportedHead:
        threshold = self.recorded(run).facts.get("threshold", DEFAULT_THRESHOLD)
        return exported_objects(threshold, has_masks=self.has_masks)

    def explainable(self, model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
        return explainable_objects(model, request, names)


def _read_threshold(run: RunDir) -> dict[str, Any]:
    """The score from which detections count, and the split that it was chosen on, if any, at the end of training.

    Raises:
        InputError: thresholds.json is missing or corrupt.
    """
    values = read_json(run.thresholds)
    threshold, chosen_on = values.get("threshold"), values.get("chosen_on")
    if not isinstance(threshold, float) or not 0 <= threshold <= 1 or chosen_on not in ("", "validation"):
        raise InputError(
            f"{run.thresholds}: is corrupt: 'threshold' must be a score in [0, 1], and 'chosen_on' a split. Restore it "
            "from a copy."
        )
    return {"threshold": threshold, "chosen_on": chosen_on}
