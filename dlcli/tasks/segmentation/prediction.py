"""Predicts the masks of images: the area of each class, masks as files, and overlays."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image

from dlcli.data.images.samples import Samples
from dlcli.data.masks.coding import IGNORED, Mask
from dlcli.report.plots.mask_overlay import mask_png, overlay_png
from dlcli.tasks.images.head import Outputs, Predicted
from dlcli.tasks.predictions import write_table
from dlcli.tasks.segmentation.inference import masks_in_images
from dlcli.tasks.task import PredictionRequest

HEADER = ("file", "class", "pixels", "share")


def predict(
    outputs: Outputs,
    samples: Samples,
    *,
    classes: Sequence[str],
    request: PredictionRequest,
) -> Predicted:
    """Predict the mask of each image at its own size, and write the table of ``--output``, if one is requested.

    Each row has ``height`` and ``width`` of the upright image, ``areas``: for each class that occurs its ``pixels``,
    its ``share`` of the image, and with ``--pixel-size`` its ``area``; and ``outside``: the share of the image that was
    cropped and has no prediction.
    """
    pngs: list[bytes] = []
    rows: list[dict[str, Any]] = []
    for _, masks in masks_in_images(outputs(samples), samples):
        pngs += [mask_png(mask, len(classes)) for mask in masks]
        rows += [_row(mask, classes, request.pixel_size) for mask in masks]
    if request.output is not None:
        header = [*HEADER, *(["area"] if request.pixel_size is not None else [])]
        cells = (
            [name, class_name, *area.values()]
            for name, row in zip(samples.names, rows, strict=True)
            for class_name, area in row["areas"].items()
        )
        write_table(request.output, header, cells, safe_csv=request.safe_csv)

    def draw(position: int, image: Image.Image) -> bytes:
        pixels = np.asarray(image.convert("RGB"))
        return overlay_png(pixels, np.array(Image.open(io.BytesIO(pngs[position]))), len(classes))

    return Predicted(rows, draw, pngs.__getitem__)


def _row(mask: Mask, classes: Sequence[str], pixel_size: float | None) -> dict[str, Any]:
    pixels = np.bincount(mask.ravel(), minlength=IGNORED + 1)
    areas: dict[str, dict[str, float]] = {}
    for name, number in zip(classes, pixels, strict=False):
        if number:
            areas[name] = {"pixels": int(number), "share": float(number / mask.size)}
            if pixel_size is not None:
                areas[name]["area"] = float(number) * pixel_size**2
    row: dict[str, Any] = {"height": mask.shape[0], "width": mask.shape[1], "areas": areas}
    if pixels[IGNORED]:
        row["outside"] = float(pixels[IGNORED] / mask.size)
    return row
