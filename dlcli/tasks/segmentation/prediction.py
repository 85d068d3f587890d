"""Predicts the masks of images: the area of each class, masks as files, and overlays."""

import io
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from PIL import Image

from dlcli.data.boxes.boxes import Frame
from dlcli.data.images.decoding import read_header
from dlcli.data.images.samples import Samples
from dlcli.data.masks.coding import IGNORED, Mask
from dlcli.report.plots.mask_overlay import mask_png, overlay_png
from dlcli.runtime.console import Console
from dlcli.tasks.images.head import Predicted
from dlcli.tasks.predictions import write_table
from dlcli.tasks.segmentation.evaluation import mask_in_image, predict_pixels
from dlcli.tasks.task import PredictionRequest

HEADER = ("file", "class", "pixels", "share")


def predict(
    model: keras.Model,
    samples: Samples,
    *,
    classes: Sequence[str],
    request: PredictionRequest,
    batch_size: int,
    console: Console,
) -> Predicted:
    """Predict the mask of each image at its own size, and write the table of ``--output``, if one is requested.

    Each row has ``height`` and ``width`` of the upright image, ``areas``: for each class that occurs its ``pixels``,
    its ``share`` of the image, and with ``--pixel-size`` its ``area``; and ``outside``: the share of the image that was
    cropped and has no prediction.
    """
    policy = samples.policy
    assert policy is not None
    pngs: list[bytes] = []
    rows: list[dict[str, Any]] = []
    for index, probabilities in predict_pixels(model, samples, batch_size=batch_size, console=console):
        for position, of_network in zip(index.tolist(), probabilities, strict=True):
            height, width = _size_of(samples, position)
            mask = mask_in_image(of_network, height, width, policy)
            pngs.append(mask_png(mask, len(classes)))
            rows.append(_row(mask, classes, request.pixel_size))
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


def _size_of(samples: Samples, position: int) -> tuple[int, int]:
    """Height and width of an upright image."""
    if samples.files is None:
        pixels = samples.unsized if samples.unsized is not None else samples.pixels
        assert pixels is not None
        return pixels.shape[1], pixels.shape[2]
    width, height = Frame(*read_header(samples.files[position])).upright_size
    return height, width


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
