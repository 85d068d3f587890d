"""The head of image classification: its loss, its evaluation with baselines, and its predictions."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.data.images.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.evaluation import classification
from dlcli.evaluation.class_predictions import ScoredClasses
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.image_model import Cells
from dlcli.recipe.tasks.classification import Classification
from dlcli.report.plots import images as image_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.checks import check_class_weights, class_weights
from dlcli.tasks.evaluation_files import Destination, report_neglect, write_classification
from dlcli.tasks.images.baselines import DESCRIPTIONS, baseline_accuracies, compute_baselines
from dlcli.tasks.images.batches import predict_batches, with_logits
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs, class_outputs, with_auxiliary
from dlcli.tasks.images.views import Views, num_views, view_averages
from dlcli.tasks.losses import loss_arguments
from dlcli.tasks.predictions import Ranking, listed, write_probabilities
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.task import PredictionRequest
from dlcli.training.objectives import classification as objectives
from dlcli.training.objectives.objective import Objective

NO_ACCURACIES: Mapping[str, float] = MappingProxyType({})
NUM_MISTAKES = 25  # shown in plots/mistakes.png


@dataclass(frozen=True)
class ClassificationHead(ImageHead):
    """One class for each image, signal or volume."""

    recipe: Classification
    fact_names = ("baseline",)

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        check_class_weights(loaded, self.recipe.train, dataset.classes)

    def info(self, dataset: Dataset) -> TargetInfo:
        return TargetInfo(dataset.classes, {"baseline": None})

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        outputs = class_outputs(base, num_classes=len(info.names))
        model = self.recipe.model
        if not isinstance(model, Cells) or not model.auxiliary:
            return outputs
        width = 0.4 if str(model.genotype).startswith("amoebanet") else 1.0  # as in their releases
        return with_auxiliary(base, outputs, num_classes=len(info.names), width=width)

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model)
        if self.recorded(run).facts["baseline"] is not None:
            raise InputError(f"{run.info}: is corrupt: data.baseline is for a model that predicts boxes. Restore it.")

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        section = self.recipe.train
        return objectives.classification(
            num_classes=len(info.names),
            class_weights=None if train is None else class_weights(section, train.labels, info.names),
            auxiliary=self.recipe.model.auxiliary if isinstance(self.recipe.model, Cells) else 0.0,
            **loss_arguments(section, exact=exact),
        )

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        return image_plots.sample_batch(images, [title(label, info.names) for label in entries["class"]])

    def baseline(self, dataset: Dataset) -> dict[str, Any] | None:
        return compute_baselines(dataset)

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        if not samples.has_classes:
            raise InputError(f"{to.source.data}: each image must have a class. Received images without one.")
        return evaluate_split(
            *(to, model, samples),
            classes=trained.info.names,
            recipe=self.recipe,
            objective=self.objective(trained.info),
            calibration=trained.calibration,
            accuracies=baseline_accuracies(trained.baseline, to.source.split, samples, place=to.run_info),
            console=console,
        )

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_logits(model)

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        names, output, top = trained.info.names, request.output, request.top
        ranking = Ranking(len(samples), len(names), num_top=top, output=output, calibration=trained.calibration)
        for index, (logits, probabilities) in outputs(samples):
            ranking.add(index, logits, probabilities)
        if output is not None:
            files = {"file": samples.names}
            write_probabilities(output, files, ranking, names, {}, safe_csv=request.safe_csv)
        return Predicted(list(listed(ranking.ranked(), names, top)))


def title(label: NDArray[Any], classes: tuple[str, ...]) -> str:
    """The class of a sample; for a mixed sample, its two main classes with their proportions."""
    if label.ndim == 0:
        return classes[int(label)]
    first, second = (int(i) for i in np.argsort(-label, kind="stable")[:2])
    if label[second] < 0.005:
        return classes[first]
    return f"{label[first]:.2f} {classes[first]}, {label[second]:.2f} {classes[second]}"


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: tuple[str, ...],
    recipe: Classification,
    objective: Objective,
    calibration: Calibration | None = None,
    accuracies: Mapping[str, float] = NO_ACCURACIES,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on samples; write metrics.json, per_class.csv, predictions.csv and plots.

    Args:
        to: where they are written.
        recipe: the recipe that the model was trained with.
        objective: the training objective, without class weights.
        calibration: of the probabilities; None if they are evaluated as they are.
        accuracies: of the baselines, by name.
    """
    batch_size = recipe.train.batch_size
    kept = to.probability_file(len(samples), len(classes))
    reduction = Reduction(samples.labels, kept, calibration)
    outputs = (
        predict_logits(model, samples, batch_size=batch_size, console=console)
        if to.request.views is None
        else _predict_views(model, samples, to.request.views, batch_size=batch_size, console=console)
    )
    for index, logits, probabilities in outputs:
        batch = {"y": {"class": tf.constant(samples.labels[index])}}
        reduction.add(index, logits, probabilities, objective.loss(tf.constant(logits), batch).numpy())
    scored = reduction.scored()
    metrics = classification.metrics(scored, classes, loss=reduction.mean_loss(), top_k=to.request.top_k)
    metrics |= reduction.calibration_metrics()
    if to.request.views is not None:
        metrics["views"] = num_views(to.request.views)
    metrics |= {f"baseline_{baseline_name}": accuracy for baseline_name, accuracy in accuracies.items()}
    _report_baselines(metrics["accuracy"], accuracies, console)
    report_neglect(console, metrics, scored, classes, suggests_weights=recipe.train.class_weights is None)
    write_classification(
        to,
        metrics,
        scored,
        classes,
        names=samples.names,
        per_class=classification.per_class(scored, classes),
        predictions=classification.predictions(samples.names, scored, classes),
        others={"mistakes.png": _plot_mistakes(samples, scored, classes)},
        probabilities=kept,
        console=console,
    )
    return metrics


def _report_baselines(accuracy: float, accuracies: Mapping[str, float], console: Console) -> None:
    better = [name for name in DESCRIPTIONS if accuracies.get(name, -1.0) >= accuracy]
    if better:
        best = max(better, key=lambda name: accuracies[name])
        console.say(f"no better than the baseline, {DESCRIPTIONS[best]} (baseline_{best})")


def predict_logits(
    model: keras.Model, samples: Samples, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Predict samples in inference mode, batch by batch: their positions, logits and probabilities, float32
    ``[b, classes]``."""
    both = with_logits(model)
    for index, (logits, probabilities) in predict_batches(both, samples, batch_size=batch_size, console=console):
        yield index, logits, probabilities


def _predict_views(
    model: keras.Model, samples: Samples, views: Views, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """As :func:`predict_logits`, averaged over views of each image."""
    averages = view_averages(model, views)
    for index, (logits, probabilities) in predict_batches(averages, samples, batch_size=batch_size, console=console):
        yield index, logits, probabilities


def _plot_mistakes(samples: Samples, scored: ScoredClasses, classes: tuple[str, ...]) -> bytes:
    predicted, confidence = scored.predicted, scored.confidence
    wrong = np.flatnonzero(~scored.is_correct)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:NUM_MISTAKES]
    return image_plots.mistakes(
        samples.of_one_size().load(shown) if len(shown) else np.zeros((0, *samples.shape), np.uint8),
        labels=[classes[samples.labels[i]] for i in shown],
        predicted=[classes[predicted[i]] for i in shown],
        confidence=[float(confidence[i]) for i in shown],
        names=[samples.names[i] for i in shown],
    )
