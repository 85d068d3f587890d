"""Evaluates an image model on a split, or on other data with the same classes."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.boxes.sources.yolo import is_yolo_index
from dlcli.data.images.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.evaluation import classification
from dlcli.evaluation.class_predictions import ScoredClasses
from dlcli.recipe.load import ImageRecipe, LoadedRecipe, load
from dlcli.recipe.sections.image_data import Digits, Folder
from dlcli.report.plots import images as image_plots
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration, calibrate, read_calibration
from dlcli.tasks.checks import check_same_data, count_trained_on, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source, report_neglect, write_classification
from dlcli.tasks.images import localization
from dlcli.tasks.images.baselines import DESCRIPTIONS, baseline_accuracies
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.images.objective import make_objective
from dlcli.tasks.images.sources import open_dataset, read_dataset, section_for
from dlcli.tasks.images.views import Views, num_views, view_averages
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.run_models import BestModel, load_image_model
from dlcli.tasks.split_choice import OWN_DATA, first_split, own_split
from dlcli.tasks.task import EvaluationRequest

NO_ACCURACIES: Mapping[str, float] = MappingProxyType({})
NUM_MISTAKES = 25  # shown in plots/mistakes.png


def evaluate(run: RunDir, recipe: ImageRecipe, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a recipe, a folder, an .npz or a .csv."""
    split, data = request.split, request.data
    classes = run.read_classes()
    best = load_image_model(run, console)
    model = best.model
    name, samples, is_own = samples_of_run(run, split=split, data=data, console=console)
    noun = "samples" if samples.policy is None else "images"
    trained_on = count_trained_on(run, samples.digests, noun=noun, console=console, is_asked=name == "train")
    source = Source(OWN_DATA if is_own else str(data and data.absolute()), best.epoch, trained_on)
    split_name = name if is_own else None
    if request.views is not None:  # its results are kept next to those without
        if samples.policy is None:
            raise InputError(f"--tta: is for images. Received samples of shape {samples.shape}. Remove the option.")
        name = f"{name}-tta-{request.views}"
    name = run.free_evaluation(name, source.data)
    to = Destination(run.evaluation(name), source, request)
    if request.calibrate:
        moved = data if is_own else None
        _calibrate(run, best, moved, batch_size=recipe.train.batch_size, console=console)
    expected = tuple(model.inputs[0].shape[1:])
    if samples.shape != expected:
        raise InputError(f"{data}: the model takes samples of shape {expected}. Received {samples.shape}.")
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    metrics = evaluate_split(
        to,
        model,
        samples,
        classes=classes,
        recipe=recipe,
        baseline=run.read_info()["data"].get("baseline"),
        calibration=read_calibration(run, best.digest, console),
        accuracies=baseline_accuracies(run.read_baseline(), split_name, samples),
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def _calibrate(run: RunDir, best: BestModel, moved: Path | None, *, batch_size: int, console: Console) -> None:
    _, samples, _ = samples_of_run(run, split="validation", data=moved, console=console)
    inner = keras.Model(best.model.inputs[0], best.model.get_layer("logits").output)
    outputs = predict_batches(inner, samples, batch_size=batch_size, console=console)
    calibrate(run, best.digest, ((index, logits) for index, (logits,) in outputs), samples.labels, console)


def samples_of_run(run: RunDir, *, split: str | None, data: Path | None, console: Console) -> tuple[str, Samples, bool]:
    """Read a split of a run's own data, which may have moved, or other data in the same way.

    Returns:
        The name and the samples of the split, and whether the data are the run's own.

    Raises:
        InputError: the data cannot be used, or there is no such split.
    """
    loaded = load(run.config)
    if data is None:
        dataset = open_dataset(loaded, console)
        check_same_data(run, dataset)
    else:
        moved = _moved_data(data, loaded, run, console)
        if moved is None:
            return *_other_data(data, loaded, run, run.read_classes(), split, console), False
        dataset = moved
    name = own_split(run, dataset.splits, split)
    return name, dataset.splits[name], True


def _moved_data(data: Path, loaded: LoadedRecipe, run: RunDir, console: Console) -> Dataset | None:
    """The run's own data at another place; None for other data, which their names show first."""
    if isinstance(loaded.recipe.data, Folder) and not (
        run.split.exists() and all((data / row["file"]).is_file() for row in read_csv(run.split))
    ):
        return None
    return own_data_at(run, data, lambda moved: open_dataset(moved, console), console)


def split_of_other(data: Path, dataset: Dataset, split: str | None) -> str:
    """The requested split of data other than a run's own; for None, the first of test, validation and train.

    Raises:
        InputError: the data have no such split.
    """
    name = split or first_split(dataset.splits)
    if name not in dataset.splits:
        raise InputError(f"{data}: has no {name} split. Available: {', '.join(dataset.splits)}.")
    return name


def samples_for_shape(
    data: Path, shape: tuple[int, ...], classes: tuple[str, ...], *, split: str | None, console: Console
) -> tuple[str, Samples]:
    """Read images, resized to the shape (height, width, channels) that a model file takes; returns their name too.

    Raises:
        InputError: the images cannot be used, or there is no such split.
    """
    if not data.exists():
        raise InputError(f"{data}: no such file or folder.")
    images = {"image_size": shape[:2], "color_mode": "grayscale" if shape[-1] == 1 else "rgb"}
    dataset = read_dataset(section_for(data, Digits(kind="digits"), images), console, classes=classes)
    name = split_of_other(data, dataset, split)
    return f"{data.stem}-{name}", dataset.splits[name]


def _other_data(
    data: Path, loaded: LoadedRecipe, run: RunDir, classes: tuple[str, ...], split: str | None, console: Console
) -> tuple[str, Samples]:
    """The name of the evaluation's folder, made of the data's name and the split's, and the samples to evaluate on."""
    images = run.read_image_policy() or {}
    images = images and {**images, "image_size": tuple(images["image_size"])}
    if not data.exists():
        raise InputError(f"{data}: no such recipe, file or folder.")
    if data.suffix.lower() in (".yaml", ".yml") and not (data.is_file() and is_yolo_index(data)):
        section = load(data).of_images.data
        section = section.model_copy(update=images)
    else:
        section = section_for(data, loaded.of_images.data, images)
    dataset = read_dataset(section, console, classes=classes, aliases=run.read_aliases())
    split = split_of_other(data, dataset, split)
    part = split if len(dataset.splits) > 1 else "all"  # undivided data
    return f"{data.stem}-{part}", dataset.splits[split]


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: tuple[str, ...],
    recipe: ImageRecipe,
    baseline: dict[str, Any] | None,
    calibration: Calibration | None = None,
    accuracies: Mapping[str, float] = NO_ACCURACIES,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on samples; write metrics.json, per_class.csv, predictions.csv and plots.

    Args:
        to: where they are written.
        recipe: the recipe that the model was trained with.
        baseline: for localization, the prediction without a network (`localization.baseline_of`); else None.
        calibration: of the probabilities; None if they are evaluated as they are.
        accuracies: of the baselines of classification, by name.
    """
    objective = make_objective(recipe, num_classes=len(classes))
    batch_size = recipe.train.batch_size
    if baseline is not None:
        return localization.evaluate_split(
            *(to, model, samples),
            classes=classes,
            objective=objective,
            has_weights=recipe.train.class_weights is not None,
            baseline=baseline,
            calibration=calibration,
            batch_size=batch_size,
            console=console,
        )
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
    report_neglect(console, metrics, scored, classes, has_weights=recipe.train.class_weights is None)
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
    both = keras.Model(model.input, [model.get_layer("logits").output, model.output])
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
        samples.load(shown) if len(shown) else np.zeros((0, *samples.shape), np.uint8),
        labels=[classes[samples.labels[i]] for i in shown],
        predicted=[classes[predicted[i]] for i in shown],
        confidence=[float(confidence[i]) for i in shown],
        names=[samples.names[i] for i in shown],
    )
