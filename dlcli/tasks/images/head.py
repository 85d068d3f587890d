"""What differs between the tasks on images: the head of the network, its loss, its evaluation and its predictions.

Everything else is shared, and asks the head: data, augmentation, networks, stages, caches and files.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.listing import NO_ALIASES
from dlcli.recipe.load import ImageRecipe, LoadedRecipe
from dlcli.recipe.sections.backbone import base_of
from dlcli.recipe.sections.detection_data import ObjectSource
from dlcli.recipe.sections.detection_model import AnyDetector
from dlcli.recipe.sections.image_model import ImageClassifier
from dlcli.recipe.sections.mask_data import MaskSource
from dlcli.recipe.sections.segmentation_model import SegmentationModel
from dlcli.report.plots import images as image_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.checks import class_counts
from dlcli.tasks.evaluation_files import Destination
from dlcli.tasks.images.aspects import Explainable, of_classifier
from dlcli.tasks.images.exported import ExportedHead, exported_classes
from dlcli.tasks.images.network import Features, HeadOutputs, ImageNetwork, InputShape, features, with_head
from dlcli.tasks.images.sources import read_dataset, section_for
from dlcli.tasks.images.standardization import Standardization
from dlcli.tasks.inspection import Finding
from dlcli.tasks.task import ExplanationRequest, PredictionRequest, SampleShape
from dlcli.training.loop import Measure
from dlcli.training.objectives.objective import Objective

Entries = Mapping[str, NDArray[Any]]
"""What a batch's ``y`` holds of some samples."""

Outputs = Callable[[Samples], Iterator[tuple[NDArray[np.int64], tuple[NDArray[Any], ...]]]]
"""The outputs of a network for samples, batch by batch, with their positions, as
:func:`dlcli.tasks.images.batches.predict_batches` yields them."""


@dataclass(frozen=True)
class TargetInfo:
    """What a head needs to know of the data; a run records it, so that its model can be used without them.

    Attributes:
        names: of the outputs in their order: classes, labels, columns of numbers. They are recorded in labels.json.
        facts: plain values such as a baseline, under their keys in run.json's ``data``.
    """

    names: tuple[str, ...]
    facts: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Trained:
    """What a run knows of its trained model, by which the model is evaluated and predicts.

    Attributes:
        info: of the data that it was trained on.
        calibration: of its probabilities; None if they are used as they are.
        baseline: what :meth:`ImageHead.baseline` returned; None if the run has none.
    """

    info: TargetInfo
    calibration: Calibration | None = None
    baseline: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class Predicted:
    """The predictions for some samples.

    Attributes:
        rows: what is predicted for each sample, in plain values.
        draw: the PNG file of the upright image of the sample at a position with its prediction, for ``--draw``.
        mask: the PNG file of the predicted mask of the sample at a position, for ``--masks``.
        crops: for each object the position of its sample, and the PNG file of it in the upright image, for ``--crops``.
    """

    rows: Sequence[dict[str, Any]]
    draw: Callable[[int, Image.Image], bytes] | None = None
    mask: Callable[[int], bytes] | None = None
    crops: Sequence[tuple[int, Callable[[Image.Image], bytes]]] | None = None


class ImageHead(Protocol):
    """The head of one recipe. The methods with a body are right for heads whose outputs have one name each."""

    recipe: ImageRecipe
    fact_names: ClassVar[tuple[str, ...]] = ()
    """The keys of :attr:`TargetInfo.facts`."""
    best_metric: ClassVar[str] = "loss"
    """The metric of the validation split by which the best epoch is chosen, unless the recipe names one."""
    caches_features: ClassVar[bool] = True
    """Whether the features of frozen layers are computed once; not worth it for a head that uses the finest maps."""

    @property
    def base(self) -> ImageClassifier | None:
        """The section of the network that pretrained weights are for, as it is built; None for one without any."""
        return base_of(self.recipe.model)

    # Data -------------------------------------------------------------------------------------------------------------

    def open_data(self, loaded: LoadedRecipe, console: Console) -> Dataset:
        """Read the data of a recipe; every image is read once, so that corrupt ones are found before training starts.

        Raises:
            InputError: the data cannot be used; a missing path is located in the recipe.
        """
        loaded.check_data_path()
        return self.read(loaded.of_images.data, console)

    def read(
        self,
        section: Any,
        console: Console,
        *,
        classes: tuple[str, ...] | None = None,
        aliases: Mapping[str, str] = NO_ALIASES,
    ) -> Dataset:
        """Read the data of a ``data`` section.

        Args:
            section: of the task's schema.
            classes: names of a trained model's outputs, by which labels are numbered; None to find them.
            aliases: other names of these that folders and tables may use.

        Raises:
            InputError: the data cannot be used.
        """
        return read_dataset(section, console, classes=classes, aliases=aliases)

    def section_for(self, path: Path, images: dict[str, Any]) -> Any:
        """A ``data`` section that reads a path like the recipe's data, without dividing them, for evaluation.

        Args:
            images: how the model's images are resized, as keys of the section.

        Raises:
            InputError: the path is nothing that the task can read.
        """
        trained_on = self.recipe.data
        assert not isinstance(trained_on, MaskSource | ObjectSource), "these have readers of their own"
        return section_for(path, trained_on, images)

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        """Check the recipe against the data before training, and report what the user should know.

        Raises:
            InputError: they do not fit; located at the key.
        """
        return  # most of it is checked where the data are read

    def info(self, dataset: Dataset) -> TargetInfo:
        """What the head needs to know of the data, of its training split alone."""
        return TargetInfo(dataset.classes)

    def recorded(self, run: RunDir) -> TargetInfo:
        """The same as a run has recorded it.

        Raises:
            InputError: a file of the run is corrupt.
        """
        data = run.read_info()["data"]
        return TargetInfo(run.read_classes(), {name: data.get(name) for name in self.fact_names})

    def assumed(self, sample: SampleShape) -> TargetInfo:
        """The same for the samples that ``dlcli summary --input`` assumes."""
        return TargetInfo(tuple(map(str, range(sample.num_classes))))

    # The network ------------------------------------------------------------------------------------------------------

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        """Build the head's layers on a network's features."""
        ...

    def build(
        self,
        section: ImageClassifier | SegmentationModel | AnyDetector,
        info: TargetInfo,
        *,
        shape: InputShape,
        standardization: Standardization | None = None,
    ) -> ImageNetwork:
        """Build the recipe's network under the current dtype policy and seed.

        Args:
            section: the recipe's ``model`` section; for a run, with the files that the run has kept.
            shape: of one sample; None for a side of any length.
            standardization: the statistics fitted for the ``augment`` section.

        Raises:
            InputError: the network cannot take samples of this shape.
        """
        network = base_of(section)
        assert network is not None
        base = features(network, shape=shape, augment=self.recipe.augment, standardization=standardization)
        return with_head(base, self.outputs(base, info))

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        """Check that a loaded model is one that the run saved; see :func:`dlcli.tasks.run_models.check_image_model`.

        Raises:
            InputError: its inputs or outputs are not those of the run, or what the run records is corrupt.
        """
        ...

    # Training ---------------------------------------------------------------------------------------------------------

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        """The loss and the metrics of the trained outputs.

        Args:
            train: the training split, for a loss that weights its classes; None for evaluation, which weights none.
            losses: all, or the name of one of the task's several losses.
            exact: a loss that can reach 0; see :func:`dlcli.tasks.losses.loss_arguments`.
        """
        ...

    def measure(self, model: keras.Model, samples: Samples, info: TargetInfo, console: Console) -> Measure | None:
        """What is measured of the validation split after each epoch besides the objective's values; None for nothing.

        Args:
            model: the network with its final predictions, in the precision of training.
            samples: the validation split.
        """
        return None

    # What is reported -------------------------------------------------------------------------------------------------

    def summary(self, info: TargetInfo) -> str:
        """What is predicted, in a few words: ``10 classes``."""
        return f"{len(info.names)} {'class' if len(info.names) == 1 else 'classes'}"

    def notes(self, dataset: Dataset) -> list[str]:
        """Lines about the training split, printed before training."""
        return class_counts(dataset.splits["train"].labels, dataset.classes) if dataset.has_classes else []

    def counts(self, dataset: Dataset) -> dict[str, dict[str, int]]:
        """The number of samples of each class, by split; of all samples if they have no class."""
        if not dataset.has_classes:
            return {name: {"samples": len(samples)} for name, samples in dataset.splits.items()}
        size = len(dataset.classes)
        return {
            name: dict(zip(dataset.classes, np.bincount(samples.labels, minlength=size).tolist(), strict=True))
            for name, samples in dataset.splits.items()
        }

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        """What ``dlcli data check`` reports of the annotations."""
        yield from ()

    def statistics(self, dataset: Dataset) -> dict[str, Any]:
        """What ``dlcli data stats`` reports of the annotations of the training split, in plain values."""
        return {}

    def plot_data(self, dataset: Dataset) -> bytes | None:
        """The PNG file that ``dlcli data check --plot`` draws of the annotations of all splits; None for none."""
        return None

    def captions(self, dataset: Dataset, samples: Samples, index: NDArray[np.int64]) -> list[str]:
        """A few words on the ground truth of the samples at these positions, for plots; the class by default."""
        return [dataset.classes[samples.labels[i]] if samples.has_classes else "" for i in index]

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        """The PNG file of images as the model sees them, ``[n, height, width, channels]``, with their ground truth."""
        ...

    def preview(
        self,
        columns: Sequence[tuple[str, NDArray[Any], Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        """The PNG file of samples next to their augmented versions.

        Args:
            columns: a title, images and a caption for each, as in :func:`dlcli.report.plots.images.preview`.
            entries: the ground truth of the images of each column.
            names: of the outputs.
        """
        return image_plots.preview(columns)

    # After training ---------------------------------------------------------------------------------------------------

    def baseline(self, dataset: Dataset) -> dict[str, Any] | None:
        """Baselines that take long to compute, in plain values: computed once and kept in run.json; None for none."""
        return None

    def fitted(
        self, run: RunDir, model: keras.Model, dataset: Dataset, info: TargetInfo, console: Console
    ) -> TargetInfo:
        """What the head needs to know after training, such as thresholds; what it adds is written into the run.

        Args:
            model: the saved model.
            info: as before training.
        """
        return info

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        """Evaluate a model on samples, write the results with a baseline next to them, and return the metrics.

        Args:
            to: where they are written, and in which form.
            model: the saved model: float32, raw samples in and final predictions out.

        Raises:
            InputError: the samples have no ground truth of this task.
        """
        ...

    def with_outputs(self, model: keras.Model) -> keras.Model:
        """The saved model with the outputs that :meth:`predict` needs, in its order; those of the model by default."""
        return model

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        """Predict samples without ground truth, and write the file of ``--output``, if one is requested.

        Args:
            outputs: of the network that :meth:`with_outputs` returns.
        """
        ...

    def explainable(self, model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
        """What ``dlcli explain`` explains of a network.

        Args:
            model: the saved model, in float32.
            names: of the outputs.

        Raises:
            InputError: there is nothing of the kind that is asked for.
        """
        return of_classifier(model, request, names)

    def exported(self, run: RunDir) -> ExportedHead:
        """What the outputs of an exported model are; by default, the probabilities of classes."""
        return exported_classes()
