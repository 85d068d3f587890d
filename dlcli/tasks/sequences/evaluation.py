"""Evaluates a sequence model on a split, or on other data with the same classes."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.files import printable
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.errors import InputError
from dlcli.evaluation import classification, regression
from dlcli.evaluation.class_predictions import ScoredClasses
from dlcli.recipe.load import LoadedRecipe, NumberRecipe, SequenceRecipe, load
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_multilabel import TextMultilabel
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration, calibrate, read_calibration
from dlcli.tasks.checks import check_same_data, count_trained_on, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source, report_neglect, write_classification, write_evaluation
from dlcli.tasks.losses import loss_arguments
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.run_models import BestModel, load_sequence_model
from dlcli.tasks.sequences.baselines import class_baseline, number_baseline
from dlcli.tasks.sequences.labels import evaluate_labels
from dlcli.tasks.sequences.outputs import MAX_SHOWN, NUM_MISTAKES, in_order, predict_samples
from dlcli.tasks.sequences.sources import open_sequences, other_data
from dlcli.tasks.sequences.tagging import WordNetwork, evaluate_tags, predict_words, words_and_tags
from dlcli.tasks.several_labels import check_frequencies, read_thresholds
from dlcli.tasks.split_choice import OWN_DATA, other_split, own_split
from dlcli.tasks.task import EvaluationRequest
from dlcli.training.objectives.classification import classification as class_objective


def evaluate(run: RunDir, recipe: SequenceRecipe, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`."""
    split, data = request.split, request.data
    best = load_sequence_model(run, recipe, console)
    info = evaluation_info(run, recipe)
    moved = None if data is None else own_data_at(run, data, _open, console)
    needed_for = None if data is None else "the baseline"
    dataset = moved or own_data(run, recipe, needed_for=needed_for, console=console)
    if data is None or moved is not None:
        assert dataset is not None
        name = own_split(run, dataset.splits, split)
        samples, place = dataset.splits[name], OWN_DATA
    else:
        samples, name, place = _other_samples(data, recipe, run, split)
    noun = "sequences" if samples.values is not None else "texts" if samples.words is None else "sentences"
    source = Source(
        place, best.epoch, count_trained_on(run, samples.digests, noun=noun, console=console, is_asked=name == "train")
    )
    name = run.free_evaluation(name, source.data)
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    to = Destination(run.evaluation(name), source, request)
    if request.calibrate:
        validation = dataset or own_data(run, recipe, console=console)
        assert validation is not None
        _calibrate(run, recipe, best, validation.splits[own_split(run, validation.splits, "validation")], console)
    metrics = evaluate_split(
        to,
        best.model,
        samples,
        info=info,
        recipe=recipe,
        train=None if dataset is None else dataset.splits["train"],
        validation=None if dataset is None else dataset.splits.get("validation"),
        calibration=calibration_of(run, recipe, best, console),
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def evaluation_info(run: RunDir, recipe: SequenceRecipe) -> dict[str, Any]:
    """What run.json records about the data, and the thresholds of labels if they are chosen already.

    Raises:
        InputError: it lacks what an evaluation needs, or a file is corrupt.
    """
    if isinstance(recipe, NumberRecipe):
        return run.read_data_info("target")
    if not isinstance(recipe, TextMultilabel):
        return run.read_data_info("classes")
    info = run.read_data_info("classes", "frequencies")
    check_frequencies(run, info["frequencies"], len(info["classes"]))
    return info | {"thresholds": read_thresholds(run, info["classes"])}


def calibration_of(run: RunDir, recipe: SequenceRecipe, best: BestModel, console: Console) -> Calibration | None:
    """The calibration of a run's class probabilities, if it has one."""
    has_classes = not isinstance(recipe, NumberRecipe | TextMultilabel)
    return read_calibration(run, best.digest, console) if has_classes else None


def _calibrate(run: RunDir, recipe: SequenceRecipe, best: BestModel, samples: Sequences, console: Console) -> None:
    model = best.model
    batch_size = recipe.train.batch_size
    if isinstance(recipe, Tagging):
        words, tags = words_and_tags(recipe, samples)
        of_words = predict_words(model, words, batch_size=batch_size, console=console)
        calibrate(run, best.digest, ((part.index, part.logits) for part in of_words), tags.flat, console)
        return
    outputs = predict_samples(model, samples, batch_size=batch_size, console=console)
    calibrate(run, best.digest, ((index, logits) for index, (logits, _) in outputs), samples.labels, console)


def samples_to_export(
    run: RunDir, recipe: SequenceRecipe, data: Path | None, console: Console
) -> tuple[str, Sequences, Sequences | None]:
    """The split on which an exported model is checked: its name, its samples, and the run's training split, if it is
    available.

    Args:
        data: other data than the run's own.

    Raises:
        InputError: the data cannot be used.
    """
    dataset = own_data(run, recipe, console=console) if data is None else own_data_at(run, data, _open, console)
    if dataset is not None:
        name = own_split(run, dataset.splits, None)
        return name, dataset.splits[name], dataset.splits["train"]
    assert data is not None
    samples, name, _ = _other_samples(data, recipe, run, None)
    return name, samples, None


def _open(loaded: LoadedRecipe) -> SequenceDataset:
    assert isinstance(loaded.recipe, SequenceRecipe)
    return open_sequences(loaded, loaded.recipe.data)


def own_data(
    run: RunDir, recipe: SequenceRecipe, *, needed_for: str | None = None, console: Console
) -> SequenceDataset | None:
    """The run's own data; arguments, result and errors are those of `dlcli.tasks.forecasting.evaluation.own_series`."""
    try:
        dataset = open_sequences(load(run.config), recipe.data)
        check_same_data(run, dataset)
    except InputError as error:
        if needed_for is None:
            raise
        console.warn(f"{needed_for} is not available: {error}")
        return None
    return dataset


def _other_samples(data: Path, recipe: SequenceRecipe, run: RunDir, split: str | None) -> tuple[Sequences, str, str]:
    if not data.exists():
        raise InputError(f"{data}: no such recipe, file or folder.")
    dataset = other_data(data, recipe.data, run, functools.partial(_section_in, recipe), goal=_goal(recipe))
    name = other_split(data, dataset.splits, split)
    part = name if len(dataset.splits) > 1 else "all"  # undivided data
    return dataset.splits[name], f"{data.stem}-{part}", str(data.absolute())


def _goal(recipe: SequenceRecipe) -> str:
    return "value" if isinstance(recipe, NumberRecipe) else "class"


def _section_in(recipe: SequenceRecipe, path: Path) -> Any:
    """The ``data`` section of another recipe, which must be of the same task."""
    loaded = load(path)
    if not isinstance(loaded.recipe, type(recipe)):
        raise loaded.error("task", f"expected {recipe.task}, the task of the run")
    return loaded.recipe.data


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Sequences,
    *,
    info: dict[str, Any],
    recipe: SequenceRecipe,
    train: Sequences | None,
    validation: Sequences | None = None,
    calibration: Calibration | None = None,
    exported_tagger: WordNetwork | None = None,
    console: Console,
) -> dict[str, Any]:
    """Evaluate the saved model on raw samples; write metrics.json, predictions.csv and the task's other files.

    Args:
        to: where they are written.
        info: of :func:`evaluation_info`.
        train, validation: these splits, for the baselines; None if they are not available.
        calibration: of the probabilities; None if they are evaluated as they are.
        exported_tagger: as ``exported`` of :func:`evaluate_tags`.
    """
    if isinstance(recipe, Tagging):
        return evaluate_tags(
            *(to, model, samples, recipe),
            classes=info["classes"],
            train=train,
            calibration=calibration,
            exported=exported_tagger,
            console=console,
        )
    if isinstance(recipe, TextMultilabel):
        return evaluate_labels(
            *(to, model, samples),
            info=info,
            recipe=recipe,
            train=train,
            validation=validation,
            console=console,
        )
    batches = predict_samples(model, samples, batch_size=recipe.train.batch_size, console=console)
    if isinstance(recipe, NumberRecipe):
        values = in_order(batches, len(samples))
        return _evaluate_numbers(to, samples, values, recipe, target=info["target"], train=train, console=console)
    classes = info["classes"]
    objective = class_objective(num_classes=len(classes), class_weights=None, **loss_arguments(recipe.train))
    kept = to.probability_file(len(samples), len(classes))
    reduction = Reduction(samples.labels, kept, calibration)
    for index, (logits, probabilities) in batches:
        batch = {"y": {"class": tf.constant(samples.labels[index])}}
        reduction.add(index, logits, probabilities, objective.loss(tf.constant(logits), batch).numpy())
    scored = reduction.scored()
    metrics = classification.metrics(scored, classes, loss=reduction.mean_loss(), top_k=to.request.top_k)
    metrics |= reduction.calibration_metrics()
    report_neglect(console, metrics, scored, classes, suggests_weights=recipe.train.class_weights is None)
    if train is not None:
        metrics |= class_baseline(recipe, train, samples, scored.is_correct, num_classes=len(classes), console=console)
    predictions = classification.predictions(samples.names, scored, classes)
    if samples.texts is not None:
        predictions = (row | {"text": text} for row, text in zip(predictions, samples.texts, strict=True))
    write_classification(
        to,
        metrics,
        scored,
        classes,
        names=samples.names,
        per_class=classification.per_class(scored, classes),
        predictions=predictions,
        others={"mistakes.txt": _mistakes(samples, scored, classes)},
        probabilities=kept,
        console=console,
    )
    return metrics


def _evaluate_numbers(
    to: Destination,
    samples: Sequences,
    predicted: np.ndarray,
    recipe: NumberRecipe,
    *,
    target: dict[str, float],
    train: Sequences | None,
    console: Console,
) -> dict[str, Any]:
    assert samples.targets is not None
    metrics = regression.metrics(samples.targets, predicted, **target)
    if metrics["mse"] >= metrics["baseline_mse"]:
        console.say("no better than always predicting the training split's mean (baseline_mse)")
    if train is not None:
        metrics |= number_baseline(recipe, train, samples, metrics["mae"], console=console)
    predictions = regression.predictions(samples.names, samples.targets, predicted)
    if samples.texts is not None:
        predictions = [row | {"text": text} for row, text in zip(predictions, samples.texts, strict=True)]
    write_evaluation(
        to,
        metrics,
        tables={"predictions.csv": predictions},
        others={"predictions.png": sequence_plots.predicted_numbers(samples.targets, predicted)},
    )
    return metrics


def _mistakes(samples: Sequences, scored: ScoredClasses, classes: Sequence[str]) -> str:
    """The most confident mistakes, one per line."""
    texts = samples.texts or ("",) * len(samples)
    predicted, confidence = scored.predicted, scored.confidence
    wrong = np.flatnonzero(~scored.is_correct)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:NUM_MISTAKES]
    lines = [
        f"{classes[predicted[i]]} {confidence[i]:.2f}, is {classes[samples.labels[i]]}: {samples.names[i]}: "
        f"{printable(texts[i])[:MAX_SHOWN]}".rstrip(": ")
        + "\n"
        for i in shown
    ]
    return "".join(lines) or "none\n"
