"""Evaluates a sequence model on a split, or on other data with the same classes."""

import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.files import printable
from dlcli.data.sequences.batches import by_length
from dlcli.data.sequences.dataset import SequenceDataset, Sequences
from dlcli.errors import InputError
from dlcli.evaluation import classification, regression, tagging
from dlcli.evaluation.text_baseline import tf_idf_predictions
from dlcli.recipe.load import SequenceRecipe, load
from dlcli.recipe.tasks.sequence_regression import SequenceRegression
from dlcli.recipe.tasks.tagging import Tagging
from dlcli.recipe.tasks.text_classification import TextClassification
from dlcli.report.plots import sequences as sequence_plots
from dlcli.rundir import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.checks import check_same_data
from dlcli.tasks.evaluation_files import write_classification, write_evaluation
from dlcli.tasks.run_models import load_sequence_model
from dlcli.tasks.sequences.sources import open_sequences, other_data
from dlcli.tasks.sequences.tokens import encodable
from dlcli.tasks.split_choice import OWN_DATA, other_split, own_split
from dlcli.tasks.task import EvaluationRequest
from dlcli.training.objectives.classification import classification as class_objective
from dlcli.training.objectives.sequences import tagging as tagging_objective

NUM_MISTAKES = 100  # listed in mistakes.txt
MAX_SHOWN = 300  # characters of each


def evaluate(run: RunDir, recipe: SequenceRecipe, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`."""
    split, data = request.split, request.data
    model = load_sequence_model(run, recipe)
    info = run.read_data_info("target" if isinstance(recipe, SequenceRegression) else "classes")
    dataset = _own_data(run, recipe, is_needed=data is None, console=console)
    if data is None:
        assert dataset is not None
        name = own_split(run, dataset.splits, split)
        samples, source = dataset.splits[name], OWN_DATA
    else:
        samples, name, source = _other_samples(data, recipe, run, split)
    name = run.free_evaluation(name, source)
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    metrics = evaluate_split(
        run.evaluation(name),
        model,
        samples,
        source=source,
        info=info,
        recipe=recipe,
        train=None if dataset is None else dataset.splits["train"],
        console=console,
    )
    return {"run": str(run.path), "split": name, "folder": str(run.evaluation(name)), **metrics}


def _own_data(run: RunDir, recipe: SequenceRecipe, *, is_needed: bool, console: Console) -> SequenceDataset | None:
    """The run's own data; None if only the baseline could use them, and it needs none or they are not available."""
    if not is_needed and not isinstance(recipe, TextClassification):
        return None
    try:
        dataset = open_sequences(load(run.config), recipe.data)
        check_same_data(run, dataset)
    except InputError as error:
        if is_needed:
            raise
        console.warn(f"the baseline is not available: {error}")
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
    return "value" if isinstance(recipe, SequenceRegression) else "class"


def _section_in(recipe: SequenceRecipe, path: Path) -> Any:
    """The ``data`` section of another recipe, which must be of the same task."""
    loaded = load(path)
    if not isinstance(loaded.recipe, type(recipe)):
        raise loaded.error("task", f"expected {recipe.task}, the task of the run")
    return loaded.recipe.data


def evaluate_split(
    folder: Path,
    model: keras.Model,
    samples: Sequences,
    *,
    source: str,
    info: dict[str, Any],
    recipe: SequenceRecipe,
    train: Sequences | None,
    console: Console,
) -> dict[str, Any]:
    """Evaluate the saved model on raw samples; write metrics.json, predictions.csv and the task's other files.

    Args:
        source: what metrics.json names as the data.
        info: what run.json records about the data.
        train: the training split, for the baseline of texts; None if it is not available.
    """
    if isinstance(recipe, Tagging):
        return _evaluate_tags(folder, model, samples, recipe, source=source, classes=info["classes"], console=console)
    outputs = predict_samples(model, samples, batch_size=recipe.train.batch_size, console=console)
    if isinstance(recipe, SequenceRegression):
        return _evaluate_numbers(folder, samples, outputs[0], source=source, target=info["target"], console=console)
    logits, probabilities = outputs
    classes = info["classes"]
    objective = class_objective(
        num_classes=len(classes), label_smoothing=recipe.train.label_smoothing, class_weights=None
    )
    losses = objective.loss(tf.constant(logits), {"y": {"class": tf.constant(samples.labels)}}).numpy()
    metrics = classification.metrics(
        samples.labels, probabilities, classes, loss=float(np.mean(losses, dtype=np.float64))
    )
    if isinstance(recipe, TextClassification) and train is not None:
        assert train.texts is not None
        assert samples.texts is not None
        predicted = tf_idf_predictions(train.texts, train.labels, samples.texts, unit=recipe.text.unit)
        metrics["baseline_accuracy"] = float(np.mean(predicted == samples.labels))
        if metrics["accuracy"] <= metrics["baseline_accuracy"]:
            console.say("no better than the baseline, logistic regression on TF-IDF features (baseline_accuracy)")
    predictions = classification.predictions(samples.names, samples.labels, probabilities, classes)
    if samples.texts is not None:
        predictions = [row | {"text": text} for row, text in zip(predictions, samples.texts, strict=True)]
    write_classification(
        folder,
        metrics,
        classes,
        source=source,
        per_class=classification.per_class(samples.labels, probabilities, classes),
        predictions=predictions,
        others={"mistakes.txt": _mistakes(samples, probabilities, classes)},
    )
    return metrics


def _evaluate_numbers(
    folder: Path, samples: Sequences, predicted: np.ndarray, *, source: str, target: dict[str, float], console: Console
) -> dict[str, Any]:
    assert samples.targets is not None
    metrics = regression.metrics(samples.targets, predicted, **target)
    if metrics["mse"] >= metrics["baseline_mse"]:
        console.say("no better than always predicting the training split's mean (baseline_mse)")
    write_evaluation(
        folder,
        metrics,
        source=source,
        tables={"predictions.csv": regression.predictions(samples.names, samples.targets, predicted)},
        others={"predictions.png": sequence_plots.predicted_numbers(samples.targets, predicted)},
    )
    return metrics


def _evaluate_tags(
    folder: Path,
    model: keras.Model,
    samples: Sequences,
    recipe: Tagging,
    *,
    source: str,
    classes: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    assert samples.words is not None
    assert samples.tags is not None
    cut = recipe.text.max_length
    words, tags = [sentence[:cut] for sentence in samples.words], samples.tags.cut(cut)
    logits, probabilities = predict_words(model, words, batch_size=recipe.train.batch_size, console=console)
    objective = tagging_objective(label_smoothing=recipe.train.label_smoothing)
    losses = objective.loss(tf.constant(logits), {"y": {"tags": tf.constant(tags.flat)}}).numpy()
    known = set(model.get_layer("words").get_vocabulary())
    is_known = np.array([word in known for sentence in words for word in sentence])
    metrics = tagging.metrics(
        tags.flat,
        probabilities,
        classes,
        lengths=tags.lengths,
        is_known=is_known,
        loss=float(np.mean(losses, dtype=np.float64)),
    )
    write_classification(
        folder,
        metrics,
        classes,
        source=source,
        per_class=classification.per_class(tags.flat, probabilities, classes),
        predictions=tagging.predictions(samples.names, words, tags.flat, probabilities, classes, is_known=is_known),
        others={},
    )
    return metrics


def predict_words(
    model: keras.Model, sentences: Sequence[Sequence[str]], *, batch_size: int, console: Console
) -> tuple[np.ndarray, np.ndarray]:
    """Predict logits and probabilities of the words of all sentences in a row, ``[n, classes]``, in inference mode."""
    inner = keras.Model(model.input, [model.get_layer("logits").output, model.output])
    compiled = tf.function(
        lambda batch: inner(batch, training=False),
        input_signature=[tf.TensorSpec([None, None], tf.string)],
        autograph=False,
    )
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    batches = by_length(lengths, batch_size)
    empty = np.empty((0, model.output.shape[-1]), np.float32)
    outputs = [(empty, empty)] * len(sentences)
    for done, index in enumerate(batches, start=1):
        width = max(1, int(lengths[index].max()))
        batch = [[encodable(word) for word in sentences[i]] + [""] * (width - len(sentences[i])) for i in index]
        logits, probabilities = (tensor.numpy() for tensor in compiled(tf.constant(batch)))
        for row, i in enumerate(index):
            outputs[i] = (logits[row, : lengths[i]], probabilities[row, : lengths[i]])
        console.evaluating(done, len(batches))
    return np.concatenate([pair[0] for pair in outputs]), np.concatenate([pair[1] for pair in outputs])


def predict_samples(
    model: keras.Model, samples: Sequences, *, batch_size: int, console: Console
) -> tuple[np.ndarray, ...]:
    """Predict raw samples with a saved model, in inference mode, with samples of similar length in one batch.

    Returns:
        Logits and probabilities of a classifier, else the predicted numbers; each float32 ``[n, …]``.
    """
    names = [layer.name for layer in model.layers]
    tensors = [model.get_layer("logits").output, model.output] if "logits" in names else [model.output]
    inner = keras.Model(model.input, tensors)
    shape = model.inputs[0].shape
    signature = tf.TensorSpec(shape, tf.string if samples.values is None else tf.float32)
    compiled = tf.function(
        lambda batch: tf.nest.flatten(inner(batch, training=False)), input_signature=[signature], autograph=False
    )
    batches = by_length(_lengths(samples), batch_size)
    results = [np.empty((len(samples), *tensor.shape[1:]), np.float32) for tensor in tensors]
    for done, index in enumerate(batches, start=1):
        for result, output in zip(results, compiled(tf.constant(_raw(samples, index))), strict=True):
            result[index] = output.numpy()
        console.evaluating(done, len(batches))
    return tuple(results)


def _lengths(samples: Sequences) -> np.ndarray:
    if samples.values is not None:
        return samples.values.lengths
    assert samples.texts is not None
    return np.array([len(text) for text in samples.texts], np.int64)


def _raw(samples: Sequences, index: np.ndarray) -> Any:
    """Samples as the saved model takes them: texts, or float32 ``[b, steps, features]`` padded with NaN."""
    if samples.values is None:
        assert samples.texts is not None
        return [encodable(samples.texts[i]) for i in index]
    part = samples.values.take(index)
    padded = np.full((len(index), int(part.lengths.max()), part.flat.shape[1]), np.nan, np.float32)
    padded[np.arange(padded.shape[1]) < part.lengths[:, None]] = part.flat
    return padded


def _mistakes(samples: Sequences, probabilities: np.ndarray, classes: Sequence[str]) -> str:
    """The most confident mistakes, one per line."""
    texts = samples.texts or ("",) * len(samples)
    predicted, confidence = probabilities.argmax(axis=1), probabilities.max(axis=1)
    wrong = np.flatnonzero(predicted != samples.labels)
    shown = wrong[np.argsort(-confidence[wrong], kind="stable")][:NUM_MISTAKES]
    lines = [
        f"{classes[predicted[i]]} {confidence[i]:.2f}, is {classes[samples.labels[i]]}: {samples.names[i]}: "
        f"{printable(texts[i])[:MAX_SHOWN]}".rstrip(": ")
        + "\n"
        for i in shown
    ]
    return "".join(lines) or "none\n"
