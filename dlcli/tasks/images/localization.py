"""The evaluation of localization: boxes in pixels of the original images, and the mean box as a baseline."""

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dlcli.data.boxes.boxes import boxes_of, in_frames, relative_boxes
from dlcli.data.images.samples import Dataset, Samples
from dlcli.evaluation import classification, localization
from dlcli.evaluation.class_predictions import ScoredClasses
from dlcli.recipe.load import LoadedRecipe
from dlcli.report.plots import boxes as box_plots
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.evaluation_files import Destination, report_neglect, write_classification
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.reduction import Reduction
from dlcli.training.objectives.objective import Objective

NUM_SHOWN = 8  # images shown of each: the best, the median and the worst


def baseline_of(dataset: Dataset) -> dict[str, Any]:
    """The prediction without a network: the mean box of the training split, rel_xyxy, and its most frequent class."""
    train = dataset.splits["train"]
    boxes = relative_boxes(train)
    assert boxes is not None
    has_box = ~np.isnan(boxes).any(axis=1)
    mean = boxes[has_box].mean(axis=0, dtype=np.float64) if has_box.any() else np.array([0.0, 0.0, 1.0, 1.0])
    return {"box": mean.tolist(), "class": int(np.bincount(train.labels).argmax())}


def predict_boxes(
    model: keras.Model, samples: Samples, *, batch_size: int, console: Console
) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
    """Predict samples batch by batch: their positions, logits, the box head's outputs, probabilities, and final boxes,
    rel_xyxy ``[b, 4]``."""
    outputs = [model.get_layer(name).output for name in ("logits", "boxes", "probabilities", "box")]
    inner = keras.Model(model.inputs[0], outputs)
    for index, found in predict_batches(inner, samples, batch_size=batch_size, console=console):
        logits, raw, probabilities, boxes = found
        yield index, logits, raw, probabilities, boxes


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: Sequence[str],
    objective: Objective,
    has_weights: bool,
    baseline: dict[str, Any],
    calibration: Calibration | None,
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluate on samples with boxes; write metrics.json, per_class.csv, predictions.csv and three plots.

    Args:
        to: where they are written.
        objective: the training objective, without class weights.
        has_weights: whether the network was trained with class weights.
        baseline: the result of :func:`baseline_of`, whose metrics are reported next to the network's.
        calibration: of the probabilities; None if they are evaluated as they are.
    """
    truth = boxes_of(samples)
    policy = samples.policy
    relative_truth = relative_boxes(samples)
    assert truth is not None
    assert policy is not None
    assert relative_truth is not None
    kept = to.probability_file(len(samples), len(classes))
    reduction = Reduction(samples.labels, kept, calibration)
    relative = np.empty((len(samples), 4), np.float32)
    for index, logits, raw, probabilities, found in predict_boxes(
        model, samples, batch_size=batch_size, console=console
    ):
        losses = _losses(objective, logits, raw, samples.labels[index], relative_truth[index])
        reduction.add(index, logits, probabilities, losses)
        relative[index] = found
    scored = reduction.scored()
    metrics = classification.metrics(scored, classes, loss=reduction.mean_loss(), top_k=to.request.top_k)
    metrics |= reduction.calibration_metrics()
    report_neglect(console, metrics, scored, classes, has_weights=not has_weights)
    sizes = np.array([[frame.width, frame.height] for frame in truth.frames])
    boxes = in_frames(relative, truth.frames, policy)
    metrics |= localization.metrics(scored.label_rank, len(classes), truth.corners, boxes, sizes)
    metrics |= _baseline_metrics(baseline, samples, sizes, len(classes))
    per_class = [
        row | more
        for row, more in zip(
            classification.per_class(scored, classes),
            localization.per_class(samples.labels, scored.is_correct, truth.corners, boxes, len(classes)),
            strict=True,
        )
    ]
    predictions = (
        row | more
        for row, more in zip(
            classification.predictions(samples.names, scored, classes),
            localization.predictions(truth.corners, boxes),
            strict=True,
        )
    )
    iou = localization.intersection_over_union(truth.corners, boxes)
    plots = {"boxes.png": _plot_boxes(samples, relative_truth, relative, iou, scored, classes)}
    if metrics.get("mean_iou", 1.0) <= metrics.get("baseline_mean_iou", 0.0):
        console.warn("the boxes are no better than the mean box of the training split (baseline_mean_iou)")
    if "localization_curve" in metrics:
        curves = {
            "network": metrics["localization_curve"],
            "mean box": metrics["baseline"]["localization_curve"],
        }
        plots["iou_curve.png"] = box_plots.localization_curves(curves)
    write_classification(
        to,
        metrics,
        scored,
        classes,
        names=samples.names,
        per_class=per_class,
        predictions=predictions,
        others=plots,
        probabilities=kept,
        console=console,
    )
    return metrics


def _losses(
    objective: Objective, logits: np.ndarray, raw: np.ndarray, labels: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    has_box = ~np.isnan(boxes).any(axis=1)
    y = {
        "class": tf.constant(labels),
        "box": tf.constant(np.where(has_box[:, None], boxes, 0.0), tf.float32),
        "box_weight": tf.constant(has_box, tf.float32),
    }
    batch = {"y": y, "weight": tf.ones(len(labels))}
    losses: np.ndarray = objective.loss([tf.constant(logits), tf.constant(raw)], batch).numpy()
    return losses


def _baseline_metrics(
    baseline: dict[str, Any], samples: Samples, sizes: np.ndarray, num_classes: int
) -> dict[str, Any]:
    truth, policy = boxes_of(samples), samples.policy
    assert truth is not None
    assert policy is not None
    mean_boxes = np.tile(np.array(baseline["box"]), (len(samples), 1))
    boxes = in_frames(mean_boxes, truth.frames, policy)
    # the constant class comes first, then all others in order
    label_rank = np.where(samples.labels == baseline["class"], 0, samples.labels + (samples.labels < baseline["class"]))
    metrics = localization.metrics(label_rank, num_classes, truth.corners, boxes, sizes)
    shown = {f"baseline_{name}": metrics[name] for name in ("mean_iou", "localization_accuracy") if name in metrics}
    return shown | {"baseline": metrics}


def _plot_boxes(
    samples: Samples,
    true: np.ndarray,
    predicted: np.ndarray,
    iou: np.ndarray,
    scored: ScoredClasses,
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
        names=[f"{classes[scored.predicted[i]]}: {samples.names[i]}" for _, i in chosen],
        num_columns=max(map(len, parts.values())),
    )


def check_boxes(loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
    """Report the samples that have no box, or whose box lies outside the part of the image that the network sees.

    Raises:
        InputError: the training split has no visible box, or another split has no box to evaluate on.
    """
    for split, samples in dataset.splits.items():
        boxes, visible = boxes_of(samples), relative_boxes(samples)
        if boxes is None or visible is None:
            continue
        is_visible, has_box = (~np.isnan(values).any(axis=1) for values in (visible, boxes.corners))
        if split == "train" and not is_visible.any():
            raise loaded.error(
                "data",
                "no training image has a box; without boxes use task: classification"
                if not has_box.any()
                else "data.resize: crop removes every box; use stretch or pad",
            )
        if split != "train" and not has_box.any():
            raise loaded.error("data", f"no image in {split} has a box to evaluate on; add boxes, or remove the split")
        missing, lost = int((~has_box).sum()), int((has_box & ~is_visible).sum())
        if missing:
            noun, goal = ("image has", "its class") if missing == 1 else ("images have", "their classes")
            console.say(f"{split}: {missing:,} {noun} no box; only {goal} will be learned")
        if lost:
            noun = "box is" if lost == 1 else "boxes are"
            console.warn(f"{split}: {lost:,} {noun} outside the crop of data.resize: crop; use stretch or pad")
