"""The plots of a segmenter's evaluation."""

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.data.masks.masks import masks_of
from dlcli.data.masks.resizing import resize_mask
from dlcli.evaluation.class_predictions import MANY_CLASSES
from dlcli.evaluation.localization import best_median_worst
from dlcli.report.plots import class_scores, mask_comparison
from dlcli.report.plots import classification as classification_plots

NUM_SHOWN = 3  # images shown of each: the best, the median and the worst


def evaluation_plots(
    samples: Samples,
    pngs: Sequence[bytes],
    result: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    predictions: Sequence[Mapping[str, Any]],
) -> dict[str, bytes]:
    """The plots by the names of their files.

    Args:
        pngs: the predicted mask of each sample as a file.
        result: the metrics.
        rows: of per_class.csv.
        predictions: the rows of predictions.csv.
    """
    classes = result["classes"]
    if "confusion_matrix" not in result:
        return {}
    files = {"overlays.png": _overlays(samples, pngs, classes, predictions)}
    if len(classes) <= MANY_CLASSES:
        files["confusion_matrix.png"] = classification_plots.confusion_matrix(result["confusion_matrix"], classes)
    files["iou.png"] = class_scores.class_scores(
        classes,
        [row["iou"] for row in rows],
        measure="IoU",
        baseline=[row["baseline_iou"] for row in rows] if "baseline_iou" in rows[0] else (),
        baseline_name="most frequent class at each position",
        mean=result["mean_iou"],
    )
    return files


def _overlays(
    samples: Samples, pngs: Sequence[bytes], classes: Sequence[str], predictions: Sequence[Mapping[str, Any]]
) -> bytes:
    """The best, median and worst images, as the network sees them, with the true and the predicted mask; those that are
    cut into tiles as a whole."""
    samples = samples.of_one_size()
    masks, policy = masks_of(samples), samples.policy
    assert masks is not None
    assert policy is not None
    scores = np.array([np.nan if row["mean_iou"] is None else row["mean_iou"] for row in predictions], np.float64)
    chosen = [(part, i) for part, index in best_median_worst(scores, NUM_SHOWN).items() for i in index]
    index = np.array([i for _, i in chosen], np.int64)
    predicted = [np.array(Image.open(io.BytesIO(pngs[i]))) for i in index]
    return mask_comparison.mask_comparison(
        samples.load(index),
        true=masks.take(index).target(policy).load(np.arange(len(index))),
        predicted=np.stack([resize_mask(mask, policy) for mask in predicted]),
        titles=[f"{part}: {scores[i]:.2f}" for part, i in chosen],
        names=[samples.names[i] for i in index],
        classes=classes,
    )
