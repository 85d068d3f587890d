"""Evaluates a segmenter at the size of the annotations, next to the two baselines of masks."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import workers
from dlcli.data.images.samples import Samples
from dlcli.data.masks.coding import IGNORED, Mask
from dlcli.data.masks.masks import AnyMask, masks_of
from dlcli.errors import InputError
from dlcli.evaluation.boundaries import boundary_f1
from dlcli.evaluation.mask_baseline import DESCRIPTIONS, resize_nearest
from dlcli.evaluation.segmentation import (
    confusion_matrix,
    image_scores,
    metrics,
    neglect,
    per_class,
)
from dlcli.report.plots.mask_overlay import mask_png
from dlcli.runtime.console import Console
from dlcli.tasks.evaluation_files import Destination, write_evaluation
from dlcli.tasks.segmentation.baseline import MaskBaseline
from dlcli.tasks.segmentation.inference import predict_masks
from dlcli.tasks.segmentation.plots import evaluation_plots

FOLDER = "masks"  # of the predicted masks, in the folder of an evaluation


@dataclass(frozen=True)
class ScoredImage:
    """The comparison of an image's predicted mask with its annotation.

    Attributes:
        matrix: the confusion matrix, int64 ``[classes, classes]``.
        boundary: the boundary F1 of each class ``[classes]``; NaN for classes without true pixels.
        of_position: the confusion matrix of the baseline of positions; None without baselines.
        num_outside: annotated pixels that the network did not see, because the image was cropped.
        png: the predicted mask as a PNG file, at the size of the annotation.
    """

    matrix: NDArray[np.int64]
    boundary: NDArray[np.float64]
    of_position: NDArray[np.int64] | None
    num_outside: int
    png: bytes


@dataclass
class Scores:
    """The comparisons of a split: what is kept of each image does not depend on its size, but for the mask's file."""

    num_classes: int
    images: list[ScoredImage] = field(default_factory=list)

    @property
    def matrix(self) -> NDArray[np.int64]:
        """The confusion matrix of all images."""
        return sum((image.matrix for image in self.images), np.zeros((self.num_classes, self.num_classes), np.int64))

    @property
    def boundary(self) -> NDArray[np.float64]:
        """The boundary F1 of each image and class ``[n, classes]``."""
        return np.stack([image.boundary for image in self.images])

    @property
    def num_outside(self) -> int:
        """Annotated pixels that the network did not see."""
        return sum(image.num_outside for image in self.images)

    def baseline_matrices(self, most_frequent: int) -> dict[str, NDArray[np.int64]]:
        """The confusion matrices of the baselines, by name, if they are known."""
        of_position = [image.of_position for image in self.images if image.of_position is not None]
        constant = np.zeros_like(self.matrix)
        constant[:, most_frequent] = self.matrix.sum(axis=1)
        return {"position": sum(of_position, np.zeros_like(constant)), "most_frequent": constant}


def evaluate_split(
    to: Destination,
    model: keras.Model,
    samples: Samples,
    *,
    classes: tuple[str, ...],
    baseline: MaskBaseline | None,
    suggests_weights: bool,
    batch_size: int,
    console: Console,
) -> dict[str, Any]:
    """Evaluate a model on samples; write metrics.json, per_class.csv, predictions.csv, predicted masks and plots.

    Args:
        to: where they are written.
        baseline: what was computed from the training split; None if the run has none yet.
        suggests_weights: whether train.class_weights may be set, and is not.

    Raises:
        InputError: the samples have no masks, or one can no longer be read.
    """
    masks = masks_of(samples)
    if masks is None:
        raise InputError("the samples have no masks to be evaluated on.")
    scores = Scores(len(classes))
    for index, predicted in predict_masks(model, samples, batch_size=batch_size, console=console):
        of_batch = [masks.masks[i] for i in index]
        scores.images += compare(of_batch, predicted, num_classes=len(classes), baseline=baseline)
    matrix, boundary = scores.matrix, scores.boundary
    result = {"samples": len(samples), **metrics(matrix, classes, boundary=boundary)}
    if scores.num_outside:
        result["pixels_outside"] = scores.num_outside
        console.warn(
            f"{scores.num_outside:,} annotated pixels are outside of what data.resize: crop leaves of the images, and "
            "do not count"
        )
    matrices = {} if baseline is None else scores.baseline_matrices(baseline.most_frequent)
    result |= _baseline_metrics(matrices, classes)
    rows = per_class(matrix, classes, boundary=boundary, baseline=matrices.get("position"))
    _report(result, rows, console, suggests_weights=suggests_weights)
    files = mask_names(samples.names)
    predictions = [
        {"file": name, **image_scores(image.matrix), "mask": f"{FOLDER}/{file}"}
        for name, file, image in zip(samples.names, files, scores.images, strict=True)
    ]
    write_evaluation(
        to,
        result,
        tables={"per_class.csv": rows, "predictions.csv": predictions},
        others={
            **{f"{FOLDER}/{file}": image.png for file, image in zip(files, scores.images, strict=True)},
            **evaluation_plots(samples, [image.png for image in scores.images], result, rows, predictions),
        },
    )
    return result


def compare(
    masks: Sequence[AnyMask], predicted: Sequence[Mask], *, num_classes: int, baseline: MaskBaseline | None
) -> list[ScoredImage]:
    """Compare predicted masks, IGNORED where the network did not see the image, with annotations, in threads."""

    def of_image(mask: AnyMask, of_network: Mask) -> ScoredImage:
        true = mask.read()
        height, width = true.shape
        is_outside = (of_network == IGNORED) & (true != IGNORED)
        counted = np.where(is_outside, IGNORED, true)
        matrix = confusion_matrix(counted, of_network, num_classes)
        of_position = None
        if baseline is not None:
            of_position = confusion_matrix(counted, resize_nearest(baseline.grid, height, width), num_classes)
        return ScoredImage(
            matrix,
            boundary_f1(counted, of_network, num_classes),
            of_position,
            int(is_outside.sum()),
            mask_png(of_network, num_classes),
        )

    return list(workers().map(of_image, masks, predicted))


def mask_names(names: Sequence[str]) -> list[str]:
    """The names of the files of masks: those of the images as PNG; one that occurs again gets a number."""
    taken: set[str] = set()
    result = []
    for name in names:
        stem = Path(name).stem
        file, number = f"{stem}.png", 1
        while file in taken:
            number += 1
            file = f"{stem}-{number}.png"
        taken.add(file)
        result.append(file)
    return result


def _baseline_metrics(matrices: Mapping[str, NDArray[np.int64]], classes: Sequence[str]) -> dict[str, float]:
    """The metrics of the baselines that are shown beside the model's."""
    found = {}
    for name, matrix in matrices.items():
        of_baseline = metrics(matrix, classes)
        for measure in ("mean_iou", "pixel_accuracy"):
            if measure in of_baseline:
                found[f"baseline_{name}_{measure}"] = of_baseline[measure]
    return found


def _report(
    result: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], console: Console, *, suggests_weights: bool
) -> None:
    """Warn of what a high pixel accuracy hides: baselines that are not beaten, and classes that are never found."""
    if "mean_iou" not in result:
        console.warn("no pixel is annotated: nothing is measured")
        return
    better = {
        name: result[f"baseline_{name}_mean_iou"]
        for name in DESCRIPTIONS
        if result.get(f"baseline_{name}_mean_iou", -1.0) >= result["mean_iou"]
    }
    if better:
        best = max(better, key=lambda name: better[name])
        console.warn(
            f"mean IoU {result['mean_iou']:.4f} is no better than the baseline's {better[best]:.4f}, "
            f"{DESCRIPTIONS[best]}"
        )
    text = neglect(result, rows)
    if text:
        console.warn(text + ("; see train.class_weights and train.loss" if suggests_weights else ""))
