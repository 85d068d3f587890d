"""The interface between verbs and tasks, so that no verb needs to know which tasks exist."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.exporting.exportable import Exportable
from dlcli.exporting.formats import Format, Quantization
from dlcli.recipe.load import LoadedRecipe, Recipe
from dlcli.report.cost.layer_table import LayerTable
from dlcli.report.page.page import MarkedText
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.attack_target import AttackTarget
from dlcli.tasks.job import AnyDataset, Job
from dlcli.tasks.predictor import Predictor
from dlcli.tasks.recurrent import RecurrentSamples


@dataclass(frozen=True)
class EvaluationRequest:
    """What ``dlcli evaluate`` is asked for.

    Attributes:
        split: train, validation or test; None for test, or validation where there is none.
        data: a recipe, folder or file to evaluate on instead of the run's own data.
        beam: hypotheses kept at each decoding step, for tasks that generate text.
        safe_csv: quote the cells of tables that a spreadsheet would read as a formula.
        all_probabilities: write the probabilities of all classes to probabilities.npz, for classifiers.
        top_k: numbers of most probable classes whose accuracy is reported besides the usual ones, for classifiers.
        views: average the probabilities of several views of each image: flip, crops or flip+crops; None for none.
        calibrate: fit a temperature on the validation split first, for classifiers.
        copy_unknown: copy unknown tokens from the source text by attention, for encoder-decoders.
        url: of which ``data`` are a copy; None if they are none.
    """

    split: str | None = None
    data: Path | None = None
    beam: int = 1
    safe_csv: bool = False
    all_probabilities: bool = False
    top_k: tuple[int, ...] = ()
    calibrate: bool = False
    views: Literal["flip", "crops", "flip+crops"] | None = None
    copy_unknown: bool = False
    url: str | None = None


@dataclass(frozen=True)
class PredictionRequest:
    """What ``dlcli predict`` is asked for.

    Attributes:
        paths: images, folders and .npz files; for text and series, files of lines and tables, and - for stdin.
        texts: samples given on the command line, for text models.
        top: number of classes listed for each sample.
        output: a .csv, .json or .npz file for all probabilities.
        draw: a folder for the images with their predicted boxes or masks; it must be absent or empty.
        beam: hypotheses kept at each decoding step, for tasks that generate text.
        safe_csv: quote the cells of the output that a spreadsheet would read as a formula.
        masks: a folder for the predicted masks; it must be absent or empty.
        pixel_size: the length of a pixel's side in any unit; areas are then also given in its square.
        score: the lowest score of an object that is shown; None for the one that the run has chosen.
        crops: a folder for a file of each object that is shown; it must be absent or empty.
        copy_unknown: copy unknown tokens from the source text by attention, for encoder-decoders.
    """

    paths: Sequence[Path]
    texts: Sequence[str] = ()
    top: int = 3
    output: Path | None = None
    draw: Path | None = None
    beam: int = 1
    safe_csv: bool = False
    masks: Path | None = None
    pixel_size: float | None = None
    score: float | None = None
    crops: Path | None = None
    copy_unknown: bool = False


@dataclass(frozen=True)
class GenerationRequest:
    """What ``dlcli generate`` is asked for.

    Attributes:
        prompt: the beginning of the text; empty to let the model choose one.
        label: the class of the text, for a model trained on texts of several classes.
        length: the most tokens to add.
        temperature: divides the logits; 0 always takes the most likely token.
        top_k: sample from the ``top_k`` most likely tokens only.
        num_samples: texts to generate.
        seed: of the sampling.
    """

    prompt: str = ""
    label: str | None = None
    length: int = 500
    temperature: float = 1.0
    top_k: int | None = None
    num_samples: int = 1
    seed: int = 0


@dataclass(frozen=True)
class SampleShape:
    """The samples that ``dlcli summary`` is asked to assume, in place of the recipe's data.

    Attributes:
        shape: of one sample, such as (height, width, channels).
        num_classes: number of classes that the network distinguishes.
    """

    shape: tuple[int, ...]
    num_classes: int


@dataclass(frozen=True)
class AttackedModel:
    """The classifier that an attack is run against, and the samples it is run on.

    Attributes:
        file: the model's .keras file, or the file of a checkpoint.
        digest: the SHA-256 of the file.
        classes: in the order of the model's outputs.
        target: the classifier as a function from pixels to logits.
        samples: with their true labels.
        name: what the samples are called, such as ``test``.
    """

    file: Path
    digest: str
    target: AttackTarget
    classes: tuple[str, ...]
    samples: Samples
    name: str


@dataclass(frozen=True)
class ExplanationRequest:
    """What ``dlcli explain`` is asked for.

    Attributes:
        paths: files as of a :class:`PredictionRequest`; empty for samples of a split.
        texts: samples given on the command line, for text models.
        methods: names of methods of attribution, such as ``gradcam``; ``auto`` chooses by the size of the images.
        target: the class to explain: a name, its index, ``predicted`` or ``label``.
        outputs: names of what to explain where a network has several, such as ``left``, or steps ahead;
            empty for the default.
        object_number: of the object to explain, counted from 1 in falling order of their scores.
        layer: the layer whose feature maps Grad-CAM weights; None for the last.
        baseline: the image without content that some methods compare with; None for black.
        steps: of integrated gradients; None for as many as completeness needs.
        split: train, validation or test; None for test, or validation where there is none.
        limit: number of images that are explained; None for all of the paths, and some of a split.
        check: check the methods, too, on samples of a split.
        mistakes: explain the most confident mistakes of a split, in place of evenly spaced samples.
        features: show what the filters of this stage or layer have learned instead of explaining outputs; ``all`` for
            each stage.
        filters: their numbers; empty for some.
        maximize: make images, too, that maximize the filters.
    """

    paths: Sequence[Path] = ()
    texts: Sequence[str] = ()
    methods: Sequence[str] = ("auto",)
    target: str = "predicted"
    outputs: Sequence[str] = ()
    object_number: int = 1
    layer: str | None = None
    baseline: Literal["black", "mean", "blur"] | None = None
    steps: int | None = None
    split: str | None = None
    limit: int | None = None
    check: bool = False
    mistakes: bool = False
    features: str | None = None
    filters: Sequence[int] = ()
    maximize: bool = False


@dataclass(frozen=True)
class ExportRequest:
    """What ``dlcli export`` is asked for.

    Attributes:
        format: of the exported model.
        quantization: float16, dynamic or int8; None for float32.
        data: a recipe, folder or file to check the exported model on instead of the run's own data.
        num_samples: on which it is checked at most.
    """

    format: Format
    quantization: Quantization | None = None
    data: Path | None = None
    num_samples: int = 100


@dataclass(frozen=True)
class Explained:
    """What a task explains.

    Attributes:
        name: of the results folder, unless another is asked for.
        rows: of explanations.csv; all have the same columns.
        files: further files by name: their content, or what writes them.
        facts: plain values for explanation.json, by which two requests are the same; ``settings`` holds ``methods``.
        plots: by name, what is drawn of the run itself, into its folder of plots.
        left_out: file and reason of what was skipped.
        check: the results of the checks, for check.json; None if the methods were not checked.
        texts: the texts that are explained, whose tokens are shown in colors; empty for other samples.
        tables: what is printed in place of the rows, by title; all rows of a table have the same columns.
        shown: the columns of the rows that are printed.
    """

    name: str
    rows: Sequence[dict[str, Any]]
    files: Mapping[str, bytes | str | Callable[[Path], None]]
    facts: dict[str, Any]
    plots: Mapping[str, bytes] = field(default_factory=dict)
    left_out: Sequence[tuple[str, str]] = ()
    check: dict[str, Any] | None = None
    texts: Sequence[MarkedText] = ()
    tables: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)
    shown: Sequence[str] = ()


@dataclass(frozen=True)
class Embedded:
    """Feature vectors of images.

    Attributes:
        samples: the images, without ground truth.
        vectors: float32 ``[n, d]``, in their order.
        left_out: file and reason of what was skipped.
    """

    samples: Samples
    vectors: NDArray[np.float32]
    left_out: Sequence[tuple[str, str]] = ()


class Task(Protocol):
    """What a task offers to the verbs, for one recipe.

    A task's schema class says which verbs and options it supports (``recipe/support.py``), and the command line refuses
    the others before TensorFlow starts. The methods that only some tasks have raise InputError here.
    """

    recipe: Recipe
    """The recipe; its class is one of the task's schemas."""

    def open_data(self, loaded: LoadedRecipe, console: Console) -> AnyDataset:
        """Read the recipe's data.

        Raises:
            InputError: the data cannot be used; a missing path is located in the recipe.
        """

    def prepare(self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
        """Read the data, check the recipe against them, and build the model.

        Args:
            loaded: the recipe, with the positions of its keys for error messages.
            device: the device that training will run on.
            is_new: start from the weights that the recipe names; False if a checkpoint replaces them anyway.

        Raises:
            InputError: the data or the recipe cannot be used.
        """

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        """Evaluate a run's best model and write ``evaluation/<split>/``.

        Returns:
            The metrics, with ``run``, ``split`` and ``folder``.

        Raises:
            InputError: the run has no model, the data cannot be used, or there is no such split.
        """

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        """The layer table of a run's network.

        Args:
            data: what run.json records about the run's data.

        Raises:
            KeyError, TypeError: it records too little.
            InputError: another of the run's files is corrupt.
        """

    def table_of_recipe(
        self, loaded: LoadedRecipe, assumed: SampleShape | None, console: Console
    ) -> tuple[LayerTable, int | None]:
        """The layer table of a recipe's network, and the number of training samples, None if the data are not read.

        Args:
            assumed: the samples to assume in place of the data, for tasks that support ``--input``.

        Raises:
            InputError: the data cannot be used, or the network does not fit them.
        """
        job = self.prepare(loaded, Device("cpu", "CPU"), console)
        return job.table(), job.train_data.num_samples

    @property
    def remark(self) -> str:
        """Why the network is slow on some devices; empty if it is not."""
        return ""

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        """Look for problems in all the data of a recipe.

        Returns:
            ``splits`` (number of samples of each class by split), ``sizes`` and ``modes`` of image files, ``findings``,
            the number of ``problems`` among them, and for images in files ``exclude``: the value of ``data.exclude``
            with which no copies remain.

        Raises:
            InputError: there is nothing to train on.
        """
        raise self._lacks("data check")

    def plot_data(self, loaded: LoadedRecipe, output: Path, console: Console) -> None:
        """Draw the numbers and sizes of the objects in the data.

        Raises:
            InputError: the data cannot be used.
        """
        raise self._lacks("data check --plot")

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        """Compute statistics of the data: of channels for images, of lengths and features for sequences.

        Raises:
            InputError: the data cannot be used.
        """
        raise self._lacks("data stats")

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        """Divide the data into splits as training would.

        Args:
            output: a file to write the split of each sample to, as a table; None for none.

        Returns:
            The number of samples of each class, by split.

        Raises:
            InputError: the data cannot be used.
        """
        raise self._lacks("data split")

    def pack(self, loaded: LoadedRecipe, output: Path, max_bytes: int, console: Console) -> dict[str, Any]:
        """Pack the image files into shards, which ``data.kind: shards`` reads.

        Args:
            output: the folder to create.
            max_bytes: of a shard.

        Returns:
            The numbers of ``samples`` by split, of ``shards`` and of ``bytes``.

        Raises:
            InputError: the data cannot be used, or are no image files.
            OSError: the folder cannot be written.
        """
        raise self._lacks("data pack")

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        """Predict with a run's best model.

        Returns:
            ``run``, ``predictions``, and ``left_out``: the file and reason of each sample that was skipped.

        Raises:
            InputError: the run has no model, or no sample can be read.
        """
        raise self._lacks("predict")

    def predictor(self, run: RunDir, console: Console) -> Predictor:
        """Load a run's best model once, to predict samples held in memory.

        Raises:
            InputError: the run has no model, or one of its files is corrupt.
        """
        raise self._lacks("serve")

    def embed(self, run: RunDir, paths: Sequence[Path], console: Console) -> Embedded:
        """The feature vectors of images by a run's best model.

        Raises:
            InputError: the run has no model, or no image can be read.
        """
        raise self._lacks("embed")

    def preview(
        self, loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console
    ) -> None:
        """Draw training samples next to their augmented versions in the first epochs.

        Raises:
            InputError: the samples are not images, or the data cannot be used.
        """
        raise self._lacks("data preview")

    def generate(self, run: RunDir, request: GenerationRequest, console: Console) -> dict[str, Any]:
        """Generate text with a run's best model.

        Returns:
            ``run`` and ``samples``: for each the ``text``, prompt included, and the part that was ``added``.

        Raises:
            InputError: the run has no model, or there is no such class.
        """
        raise self._lacks("generate")

    def attacked(self, run: RunDir, *, split: str | None, data: Path | None, console: Console) -> AttackedModel:
        """Load the classifier of a run as the target of an attack, with the samples to attack it on.

        Args:
            split: train, validation or test; None for test, or validation if there is none.
            data: other data than the run's own.

        Raises:
            InputError: the run's model is not an image classifier, or the data cannot be used.
        """
        raise self._lacks("attack")

    def explain(self, run: RunDir, request: ExplanationRequest, console: Console) -> Explained:
        """Explain outputs of a run's best model.

        Raises:
            InputError: the run has no model, no sample can be read, or the network lacks what a method needs.
        """
        raise self._lacks("explain")

    def recurrent_samples(self, run: RunDir, request: ExplanationRequest, console: Console) -> RecurrentSamples:
        """A run's best model and sequences of its data, to measure gradient norms and gates.

        Raises:
            InputError: the run has no model, or its data cannot be used.
        """
        raise self._lacks("explain --gradient-norms")

    def exportable(self, run: RunDir, request: ExportRequest, console: Console) -> Exportable:
        """What is exported of a run's best model in a format.

        Raises:
            InputError: the run has no model, its data cannot be used, or the format cannot hold the network.
        """
        raise self._lacks("export")

    def _lacks(self, verb: str) -> InputError:
        return InputError(f"dlcli {verb} is not available for task: {self.recipe.task}.")
