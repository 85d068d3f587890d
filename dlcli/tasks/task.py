"""What every task offers to the verbs, so that no verb needs to know which tasks there are."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, Recipe
from dlcli.report.cost.layer_table import LayerTable
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.runtime.startup import Device
from dlcli.tasks.attack_target import AttackTarget
from dlcli.tasks.job import AnyDataset, Job


@dataclass(frozen=True)
class EvaluationRequest:
    """What ``dlcli evaluate`` is asked for.

    Attributes:
        split: train, validation or test; None for test, or validation where there is none.
        data: a recipe, folder or file to evaluate on instead of the run's own data.
        beam: hypotheses kept at each decoding step, for tasks that generate text.
    """

    split: str | None = None
    data: Path | None = None
    beam: int = 1


@dataclass(frozen=True)
class PredictionRequest:
    """What ``dlcli predict`` is asked for.

    Attributes:
        paths: images, folders and .npz files; for text and series, files of lines and tables, and - for stdin.
        texts: samples given on the command line, for models of text.
        top: classes listed for each sample.
        output: a .csv or .json file for all probabilities.
        draw: a folder for the images with their predicted boxes; it must be absent or empty.
        beam: hypotheses kept at each decoding step, for tasks that generate text.
    """

    paths: Sequence[Path]
    texts: Sequence[str] = ()
    top: int = 3
    output: Path | None = None
    draw: Path | None = None
    beam: int = 1


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
        num_classes: how many classes the network tells apart.
    """

    shape: tuple[int, ...]
    num_classes: int


@dataclass(frozen=True)
class AttackedModel:
    """The classifier that an attack is run against, and the samples it is run on.

    Attributes:
        file: the model's .keras file.
        classes: in the order of the model's outputs.
        samples: with the labels that an attack leads away from.
        name: of the samples, such as ``test``.
    """

    file: Path
    target: AttackTarget
    classes: tuple[str, ...]
    samples: Samples
    name: str


class Task(Protocol):
    """A task, for one recipe of it: what the verbs ask for.

    A task's schema class says which verbs and options it supports (``recipe/support.py``), and the command line refuses
    the others before TensorFlow starts. The methods that only some tasks have raise InputError here.
    """

    recipe: Recipe
    """The recipe, of one of this task's schemas."""

    def open_data(self, loaded: LoadedRecipe, console: Console) -> AnyDataset:
        """Reads the recipe's data.

        Raises:
            InputError: they cannot be used.
        """

    def prepare(self, loaded: LoadedRecipe, device: Device, console: Console, *, is_new: bool = True) -> Job:
        """Reads the data, checks the recipe against them, and builds the model.

        Args:
            is_new: start from the weights that the recipe names; False where a checkpoint replaces them.

        Raises:
            InputError: the data or the recipe cannot be used.
        """

    def evaluate(self, run: RunDir, request: EvaluationRequest, console: Console) -> dict[str, Any]:
        """Evaluates a run's best model and writes ``evaluation/<split>/``.

        Returns the metrics, with ``run``, ``split`` and ``folder``.

        Raises:
            InputError: the run has no model, the data cannot be used, or there is no such split.
        """

    def table_of_run(self, run: RunDir, data: dict[str, Any]) -> LayerTable:
        """The layers of a run's network.

        Args:
            data: what run.json says about the run's data.

        Raises:
            KeyError, TypeError: it does not say enough.
            InputError: another of the run's files is corrupt.
        """

    def table_of_recipe(
        self, loaded: LoadedRecipe, assumed: SampleShape | None, console: Console
    ) -> tuple[LayerTable, int | None]:
        """The layers of a recipe's network, and the samples it is trained on; None where the data are not read.

        Args:
            assumed: samples to assume, for tasks that support ``--input``.

        Raises:
            InputError: the data cannot be used, or the network does not suit them.
        """
        job = self.prepare(loaded, Device("cpu", "CPU"), console)
        return job.table(), job.train_data.num_samples

    @property
    def remark(self) -> str:
        """What makes the network slow on some devices; empty where nothing does."""
        return ""

    def check(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        """Looks for problems in all the data of a recipe.

        Returns ``splits`` (samples of each class), ``sizes`` and ``modes`` of image files, ``findings`` and
        ``problems``, their number.

        Raises:
            InputError: there is nothing to train on.
        """
        raise self._lacks("data check")

    def stats(self, loaded: LoadedRecipe, console: Console) -> dict[str, Any]:
        """Statistics of the data: of channels for images, of lengths and features for sequences."""
        raise self._lacks("data stats")

    def divide(self, loaded: LoadedRecipe, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
        """The samples of each class by split; writes a table of all samples to ``output`` where given."""
        raise self._lacks("data split")

    def predict(self, run: RunDir, request: PredictionRequest, console: Console) -> dict[str, Any]:
        """Predicts with a run's best model.

        Returns ``run``, ``predictions`` and ``left_out`` (file, reason).

        Raises:
            InputError: no sample can be read, or this task predicts nothing.
        """
        raise self._lacks("predict")

    def preview(
        self, loaded: LoadedRecipe, output: Path, *, num_samples: int, num_epochs: int, console: Console
    ) -> None:
        """Draws training samples beside what augmentation makes of them in the first epochs.

        Raises:
            InputError: the samples are not images.
        """
        raise self._lacks("data preview")

    def generate(self, run: RunDir, request: GenerationRequest, console: Console) -> dict[str, Any]:
        """Generates text with a run's best model.

        Returns ``run`` and ``samples``: for each its ``text``, prompt included, and what was ``added``.

        Raises:
            InputError: the task is not language modeling, or there is no such class.
        """
        raise self._lacks("generate")

    def attacked(self, run: RunDir, *, split: str | None, data: Path | None, console: Console) -> AttackedModel:
        """The classifier of a run, and the samples to attack it on.

        Raises:
            InputError: it is not a classifier of images, or the data cannot be used.
        """
        raise self._lacks("attack")

    def _lacks(self, verb: str) -> InputError:
        return InputError(f"dlcli {verb} is not available for task: {self.recipe.task}.")
