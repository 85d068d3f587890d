"""The head of localization: a class and a box. Boxes are evaluated in pixels of the original images, next to the mean
box as a baseline."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.boxes.boxes import boxes_of, in_frames, relative_boxes
from dlcli.data.images.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.evaluation import classification, localization
from dlcli.evaluation.class_predictions import ScoredClasses
from dlcli.evaluation.localization import CORNERS
from dlcli.models.heads import boxes as box_heads
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.tasks.localization import BoxHead, Localization
from dlcli.report.plots import boxes as box_plots
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.box_overlay import with_box
from dlcli.rundir.directory import RunDir
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import Calibration
from dlcli.tasks.checks import check_class_weights, class_weights
from dlcli.tasks.evaluation_files import Destination, report_missing_glyphs, report_neglect, write_classification
from dlcli.tasks.images.aspects import Explainable
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.images.box_aspects import explainable_boxes
from dlcli.tasks.images.exported import ExportedHead, exported_box
from dlcli.tasks.images.frames import upright_frames
from dlcli.tasks.images.freezing import losses_of
from dlcli.tasks.images.head import Entries, ImageHead, Outputs, Predicted, TargetInfo, Trained
from dlcli.tasks.images.network import Features, HeadOutputs, class_outputs
from dlcli.tasks.inspection import Finding, some
from dlcli.tasks.losses import loss_arguments
from dlcli.tasks.optimization import stage_sections
from dlcli.tasks.predictions import Ranking, listed, write_probabilities
from dlcli.tasks.reduction import Reduction
from dlcli.tasks.run_models import check_image_model
from dlcli.tasks.task import ExplanationRequest, PredictionRequest
from dlcli.training.objectives import classification as class_objectives
from dlcli.training.objectives import localization as box_objectives
from dlcli.training.objectives.objective import Objective

NUM_SHOWN = 8  # images shown of each: the best, the median and the worst


@dataclass(frozen=True)
class LocalizationHead(ImageHead):
    """One class and one bounding box for each image."""

    recipe: Localization
    fact_names = ("baseline",)

    def check(self, loaded: LoadedRecipe, dataset: Dataset, console: Console) -> None:
        check_boxes(loaded, dataset, console)
        check_class_weights(loaded, self.recipe.train, dataset.classes)
        trained = {losses_of(section) for section in stage_sections(self.recipe.train)}
        if len(trained) == 1 and trained != {"all"}:
            other = "box" if trained == {"class"} else "class"
            console.warn(f"no stage trains the {other} head: it keeps its random weights (train.stages.losses)")

    def info(self, dataset: Dataset) -> TargetInfo:
        return TargetInfo(dataset.classes, {"baseline": baseline_of(dataset)})

    def outputs(self, base: Features, info: TargetInfo) -> HeadOutputs:
        return box_outputs(base, self.recipe.box_head, num_classes=len(info.names))

    def check_model(self, run: RunDir, model: keras.Model) -> None:
        check_image_model(run, model)
        has_boxes = {"boxes", "box"} <= {layer.name for layer in model.layers}
        if not (_is_box(self.recorded(run).facts["baseline"]) and has_boxes):
            raise InputError(
                f"{run.info}: is corrupt: data.baseline must be the box and class of a model that predicts boxes. "
                "Restore it."
            )

    def objective(
        self, info: TargetInfo, *, train: Samples | None = None, losses: str = "all", exact: bool = False
    ) -> Objective:
        section, box_head = self.recipe.train, self.recipe.box_head
        classes = class_objectives.classification(
            num_classes=len(info.names), class_weights=None, **loss_arguments(section, exact=exact)
        )
        return box_objectives.localization(
            classes=classes,
            box_loss=box_head.loss,
            class_weight=0.0 if losses == "box" else 1.0,
            box_weight=0.0 if losses == "class" else box_head.weight,
            class_weights=None if train is None else class_weights(section, train.labels, info.names),
        )

    def findings(self, dataset: Dataset) -> Iterator[Finding]:
        return box_findings(dataset)

    def plot_batch(self, images: NDArray[np.float32], entries: Entries, info: TargetInfo) -> bytes:
        titles = [info.names[label] for label in entries["class"]]
        return image_plots.sample_batch(images, titles, outlines(entries))

    def preview(
        self,
        columns: Sequence[tuple[str, NDArray[Any], Sequence[str]]],
        entries: Sequence[Entries],
        names: Sequence[str],
    ) -> bytes:
        return image_plots.preview(columns, [outlines(of_column) for of_column in entries])

    def evaluate(
        self, to: Destination, model: keras.Model, samples: Samples, *, trained: Trained, console: Console
    ) -> dict[str, Any]:
        if boxes_of(samples) is None or not samples.has_classes:
            raise InputError(f"{to.source.data}: each image must have a class and a box. Received images without them.")
        return evaluate_split(
            *(to, model, samples),
            classes=trained.info.names,
            objective=self.objective(trained.info),
            suggests_weights=self.recipe.train.class_weights is None,
            baseline=trained.info.facts["baseline"],
            calibration=trained.calibration,
            batch_size=self.recipe.train.batch_size,
            console=console,
        )

    def with_outputs(self, model: keras.Model) -> keras.Model:
        return with_raw_boxes(model)

    def predict(
        self, outputs: Outputs, samples: Samples, *, trained: Trained, request: PredictionRequest, console: Console
    ) -> Predicted:
        names, output, top = trained.info.names, request.output, request.top
        ranking = Ranking(len(samples), len(names), num_top=top, output=output, calibration=trained.calibration)
        relative = []
        for index, (logits, _, probabilities, found) in outputs(samples):
            ranking.add(index, logits, probabilities)
            relative.append(found)
        assert samples.policy is not None
        boxes = in_frames(np.concatenate(relative), upright_frames(samples), samples.policy).round(2).tolist()
        if output is not None:
            corners = dict(zip(CORNERS, zip(*boxes, strict=True), strict=True))
            files = {"file": samples.names}
            write_probabilities(output, files, ranking, names, corners, safe_csv=request.safe_csv)
        ranked = listed(ranking.ranked(), names, top)
        rows = [row | {"box": box} for row, box in zip(ranked, boxes, strict=True)]

        if request.draw is not None:
            report_missing_glyphs(console, [str(row["predicted"]) for row in rows], what=str(request.draw))

        def draw(position: int, image: Image.Image) -> bytes:
            row = rows[position]
            return with_box(image, row["box"], f"{row['predicted']} {row['confidence']:.2f}")

        return Predicted(rows, draw)

    def exported(self, run: RunDir) -> ExportedHead:
        return exported_box()

    def explainable(self, model: keras.Model, request: ExplanationRequest, names: Sequence[str]) -> Explainable:
        return explainable_boxes(model, request, names)


def box_outputs(base: Features, section: BoxHead, *, num_classes: int) -> HeadOutputs:
    """The outputs of a class head and a box head on a network's features.

    The loss is taken from the logits and the box head's raw outputs, which may lie outside [0, 1] or hold a box for
    each class; the saved model has a dictionary of ``probabilities`` and ``box``, rel_xyxy float32 ``[b, 4]``.
    """
    classes = class_outputs(base, num_classes=num_classes, least=1)
    boxes = box_heads.boxes(
        base.maps,
        channels=section.channels,
        dense=section.dense,
        dropout=section.dropout,
        form=section.form,
        num_boxes=num_classes if section.per_class else 1,
    )
    final = {"probabilities": classes.final, "box": box_heads.final_box(boxes, classes.final)}
    return HeadOutputs(final=final, trained=[classes.trained, boxes])


def outlines(entries: Entries) -> NDArray[np.float32]:
    """The boxes of a batch's ``y``, rel_xyxy ``[n, 4]``; NaN for a sample without one."""
    return np.where(entries["box_weight"][:, None] > 0, entries["box"], np.float32(np.nan))


def _is_box(baseline: Any) -> bool:
    """Whether it is the prediction without a network that a run of localization saves: a box and a class."""
    box, index = (baseline.get("box"), baseline.get("class")) if isinstance(baseline, dict) else (None, None)
    is_box = isinstance(box, list) and len(box) == 4 and all(isinstance(value, float) for value in box)
    return is_box and isinstance(index, int)


def box_findings(dataset: Dataset) -> Iterator[Finding]:
    """The findings about images without a box."""
    for name, split in dataset.splits.items():
        boxes = boxes_of(split)
        if boxes is None:
            continue
        without = tuple(split.names[i] for i in np.flatnonzero(np.isnan(boxes.corners).any(axis=1)))
        if len(without) == len(split):
            yield Finding("no box", True, f"no image in {name} has a box", without)
        elif without:
            noun = "image has" if len(without) == 1 else "images have"
            yield Finding("no box", False, f"{name}: {len(without):,} {noun} no box: {some(without)}", without)


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
    inner = with_raw_boxes(model)
    for index, found in predict_batches(inner, samples, batch_size=batch_size, console=console):
        logits, raw, probabilities, boxes = found
        yield index, logits, raw, probabilities, boxes


def with_raw_boxes(model: keras.Model) -> keras.Model:
    """A saved model that outputs its logits, the box head's outputs, probabilities, and final boxes."""
    outputs = [model.get_layer(name).output for name in ("logits", "boxes", "probabilities", "box")]
    return keras.Model(model.inputs[0], outputs)


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: Sequence[str],
    objective: Objective,
    suggests_weights: bool,
    baseline: dict[str, Any],
    calibration: Calibration | None,
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluate on samples with boxes; write metrics.json, per_class.csv, predictions.csv and three plots.

    Args:
        to: where they are written.
        objective: the training objective, without class weights.
        suggests_weights: whether train.class_weights may be set, and is not.
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
    report_neglect(console, metrics, scored, classes, suggests_weights=suggests_weights)
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
