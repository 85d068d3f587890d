"""The head of segmentation: a class for each pixel, evaluated at the size of the annotations."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.listing import NO_ALIASES
from dlcli.data.masks.statistics import count_masks
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.backbone import without_classifier
from dlcli.recipe.sections.detection_model import AnyDetector
from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.recipe.sections.mask_data import MaskData
from dlcli.recipe.sections.segmentation_model import Deeplabv3plus, Fcn, SegmentationModel, Unet
from dlcli.recipe.tasks.segmentation import Segmentation
from dlcli.report.plots import mask_comparison as mask_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_class_weights, weights_of_classes
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.images.aspects import Explainable
from dlcli.tasks.images.exported import ExportedHead, exported_masks
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs, ImageNetwork, InputShape, with_head
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.inspection import Finding
from dlcli.tasks.losses import pixel_loss_arguments
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.segmentation import inspection, network, prediction, sources
from dlcli.tasks.segmentation.baseline import MaskBaseline, baseline_of
from dlcli.tasks.segmentation.evaluation import evaluate_split
from dlcli.tasks.segmentation.explanation import explainable_masks
from dlcli.tasks.segmentation.inference import with_probabilities
from dlcli.tasks.task import ExplanationRequest, PredictionRequest
from dlcli.training.objectives.objective import Objective
from dlcli.training.objectives.segmentation import segmentation


@dataclass(frozen=True)
class SegmentationHead(ImageHead):
    """A class for each pixel."""

    recipe: Segmentation
    caches_features = False

    @property
    def base(self) -> ImageClassifier | None:
        backbone = self.recipe.model.backbone
        return None if backbone is None else without_classifier(backbone)

    # Data -------------------------------------------------------------------------------------------------------------

    def read(
        self,
        section: MaskData,
        console: Console,
        *,
        classes: tuple[str, ...] | None = None,
        aliases: Mapping[str, str] = NO_ALIASES,
    ) -> Dataset:
        return sources.read_dataset(section, console, classes=classes)

    def section_for(self, path: Path, images: dict[str, Any]) -> MaskData:
        return sources.section_for(path, self.recipe.data, images)

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        check_class_weights(loaded, self.recipe.train, dataset.classes)

    # The network and its training -------------------------------------------------------------------------------------

    def build(
        self,
        section: ImageClassifier | SegmentationModel | AnyDetector,
        info: TargetInfo,
        *,
        shape: InputShape,
        standardization: Standardization | None = None,
    ) -> ImageNetwork:
        assert isinstance(section, Unet | Fcn | Deeplabv3plus)
        base = network.maps_of(section, shape=shape, augment=self.recipe.augment, standardization=standardization)
        return with_head(base, network.pixel_outputs(base, section, num_classes=len(info.names)))

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        return network.pixel_outputs(base, self.recipe.model, num_classes=len(info.names))

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model)
        check_image_model(run, model, layer="probabilities")

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        section = self.recipe.train
        weights = None
        if train is not None and section.class_weights is not None:
            pixels = count_masks({"train": train})["train"].pixels
            weights = weights_of_classes(section.class_weights, pixels, info.names)
        return segmentation(
            num_classes=len(info.names), class_weights=weights, **pixel_loss_arguments(section, exact=exact)
        )

    # What is reported -------------------------------------------------------------------------------------------------

    def notes(self, dataset: Dataset) -> list[str]:
        return inspection.share_lines(dataset)

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        return inspection.statistics(dataset)

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        return inspection.findings(dataset)

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return mask_plots.mask_grid(images, entries["mask"], info.names, title="What the model sees")

    def preview(
        self,
        columns: Sequence[tuple[str, NDArray[Any], Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        return mask_plots.mask_preview(columns, [of_column["mask"] for of_column in entries], names)

    # After training ---------------------------------------------------------------------------------------------------

    def baseline(self, dataset: Dataset) -> dict[str, Any]:
        return baseline_of(dataset.splits["train"], len(dataset.classes)).to_dict()

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        classes, known = trained.info.names, None
        if trained.baseline is not None:
            known = MaskBaseline.from_dict(trained.baseline, num_classes=len(classes), place=to.run_info)
        return evaluate_split(
            *(to, model, samples),
            classes=classes,
            baseline=known,
            suggests_weights=self.recipe.train.class_weights is None,
            batch_size=self.recipe.train.batch_size,
            console=console,
        )

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_probabilities(model)

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        return prediction.predict(outputs, samples, classes=trained.info.names, request=request)

    def exported(self, run: RunDir) -> ExportedHead:
        return exported_masks()

    def explainable(self, model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
        return explainable_masks(model, request, names)
