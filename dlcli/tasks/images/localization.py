"""What localization adds to evaluation: boxes in the pixels of the images, and the mean box beside the network's."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.boxes.boxes import in_frames
from dlcli.data.images.samples import Dataset, Samples
from dlcli.evaluation import classification, localization
from dlcli.recipe.load import LoadedRecipe
from dlcli.report.plots import boxes as box_plots
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import write_classification
from dlcli.tasks.images.batches import batches
from dlcli.training.objectives.objective import Objective
from dlcli.training.step import predict

NUM_SHOWN = 8  # images each of the best, the median and the worst


def baseline_of(dataset: Dataset) -> dict[str, Any]:
    """The answer that needs no network: the mean box of the training split, rel_xyxy, and its most frequent class."""
    train = dataset.splits["train"]
    boxes = train.relative_boxes()
    assert boxes is not None
    has_box = ~np.isnan(boxes).any(axis=1)
    mean = boxes[has_box].mean(axis=0, dtype=np.float64) if has_box.any() else np.array([0.0, 0.0, 1.0, 1.0])
    return {"box": mean.tolist(), "class": int(np.bincount(train.labels).argmax())}


def predict_boxes(
    model: keras.Model, samples: Samples, *, batch_size: int, console: Console
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of all samples: logits, boxes as training sees them, probabilities, and the final boxes, rel_xyxy ``[n, 4]``."""
    inside = [model.get_layer(name).output for name in ("logits", "boxes", "probabilities", "box")]
    outputs = predict(
        keras.Model(model.inputs[0], inside), batches(samples, batch_size=batch_size), progress=console.evaluating
    )
    logits, raw, probabilities, boxes = outputs
    return logits, raw, probabilities, boxes


def evaluate_split(
    folder: Path,
    model: keras.Model,
    samples: Samples,
    *,
    source: str,
    classes: Sequence[str],
    objective: Objective,
    baseline: dict[str, Any],
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluates on samples with boxes; writes metrics.json, per_class.csv, predictions.csv and three plots.

    Args:
        objective: of training, without class weights.
        baseline: what :func:`baseline_of` gave of the training split; its results stand beside the network's.
    """
    logits, raw, probabilities, relative = predict_boxes(model, samples, batch_size=batch_size, console=console)
    truth = samples.boxes
    policy = samples.policy
    own = samples.relative_boxes()
    assert truth is not None
    assert policy is not None
    assert own is not None
    metrics = classification.metrics(
        samples.labels, probabilities, classes, loss=_loss(objective, logits, raw, samples.labels, own)
    )
    sizes = np.array([[frame.width, frame.height] for frame in truth.frames])
    boxes = in_frames(relative, truth.frames, policy)
    metrics |= localization.metrics(samples.labels, probabilities, truth.corners, boxes, sizes)
    metrics |= _of_baseline(baseline, samples, sizes, len(classes))
    per_class = [
        row | more
        for row, more in zip(
            classification.per_class(samples.labels, probabilities, classes),
            localization.per_class(samples.labels, probabilities, truth.corners, boxes, len(classes)),
            strict=True,
        )
    ]
    predictions = [
        row | more
        for row, more in zip(
            classification.predictions(samples.names, samples.labels, probabilities, classes),
            localization.predictions(truth.corners, boxes),
            strict=True,
        )
    ]
    iou = localization.intersection_over_union(truth.corners, boxes)
    plots = {"boxes.png": _plot_boxes(samples, own, relative, iou, probabilities, classes)}
    if metrics.get("mean_iou", 1.0) <= metrics.get("baseline_mean_iou", 0.0):
        console.warn("the boxes are no better than the mean box of the training split (baseline_mean_iou)")
    if "localization_curve" in metrics:
        curves = {
            "network": metrics["localization_curve"],
            "mean box": metrics["baseline"]["localization_curve"],
        }
        plots["iou_curve.png"] = box_plots.localization_curves(curves)
    write_classification(
        folder, metrics, classes, source=source, per_class=per_class, predictions=predictions, others=plots
    )
    return metrics


def _loss(objective: Objective, logits: np.ndarray, raw: np.ndarray, labels: np.ndarray, boxes: np.ndarray) -> float:
    has_box = ~np.isnan(boxes).any(axis=1)
    y = {
        "class": tf.constant(labels),
        "box": tf.constant(np.where(has_box[:, None], boxes, 0.0), tf.float32),
        "box_weight": tf.constant(has_box, tf.float32),
    }
    batch = {"y": y, "weight": tf.ones(len(labels))}
    losses = objective.loss([tf.constant(logits), tf.constant(raw)], batch).numpy()
    return float(np.mean(losses, dtype=np.float64))


def _of_baseline(baseline: dict[str, Any], samples: Samples, sizes: np.ndarray, num_classes: int) -> dict[str, Any]:
    truth, policy = samples.boxes, samples.policy
    assert truth is not None
    assert policy is not None
    always = np.tile(np.array(baseline["box"]), (len(samples), 1))
    certain = np.tile(np.eye(num_classes)[baseline["class"]], (len(samples), 1))
    boxes = in_frames(always, truth.frames, policy)
    found = localization.metrics(samples.labels, certain, truth.corners, boxes, sizes)
    shown = {f"baseline_{name}": found[name] for name in ("mean_iou", "localization_accuracy") if name in found}
    return shown | {"baseline": found}


def _plot_boxes(
    samples: Samples,
    true: np.ndarray,
    predicted: np.ndarray,
    iou: np.ndarray,
    probabilities: np.ndarray,
    classes: Sequence[str],
) -> bytes:
    """The best, median and worst images, as the network sees them, with both boxes."""
    parts = localization.best_median_worst(iou, NUM_SHOWN)
    chosen = [(part, i) for part, index in parts.items() for i in index]
    index = np.array([i for _, i in chosen], np.int64)
    return box_plots.boxes(
        samples.load(index) if len(index) else np.zeros((0, *samples.shape), np.uint8),
        true=true[index],
        predicted=predicted[index],
        titles=[f"{part}: {iou[i]:.2f}" for part, i in chosen],
        names=[f"{classes[probabilities[i].argmax()]}: {samples.names[i]}" for _, i in chosen],
        num_columns=max(map(len, parts.values())),
    )


def check_boxes(loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
    """Says how many samples have no box, or none that the network sees.

    Raises:
        InputError: there is none to train on, or to compare with.
    """
    for split, samples in dataset.splits.items():
        boxes = samples.relative_boxes()
        if samples.boxes is None or boxes is None:
            continue
        is_seen, is_there = (~np.isnan(values).any(axis=1) for values in (boxes, samples.boxes.corners))
        if split == "train" and not is_seen.any():
            raise loaded.error(
                "data",
                "no image to train on has a box that the network can see; this is for task: classification"
                if not is_there.any()
                else "data.resize: crop cuts every box away; use stretch or pad",
            )
        if split != "train" and not is_there.any():
            raise loaded.error("data", f"no image of {split} has a box to compare with; give it some, or leave it out")
        missing, lost = int((~is_there).sum()), int((is_there & ~is_seen).sum())
        if missing:
            noun, its = ("image has", "its class") if missing == 1 else ("images have", "their class")
            console.say(f"{split}: {missing:,} {noun} no box: {its} alone is learned")
        if lost:
            noun = "box is" if lost == 1 else "boxes are"
            console.warn(
                f"{split}: {lost:,} {noun} cut away by data.resize: crop, and cannot be found; use stretch or pad"
            )
