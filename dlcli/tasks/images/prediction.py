"""Predicts the classes (and boxes) of image files, or of the samples in an .npz."""

import functools
import itertools
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from dlcli.data.boxes.boxes import Frame, in_frames
from dlcli.data.files import printable
from dlcli.data.images.decoding import ImagePolicy, decode, read_file, read_header
from dlcli.data.images.samples import Samples
from dlcli.data.images.unlabeled import collect
from dlcli.errors import InputError
from dlcli.evaluation.localization import CORNERS
from dlcli.recipe.load import ImageRecipe
from dlcli.recipe.tasks.localization import Localization
from dlcli.report.plots.box_overlay import with_box
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_folder, write_file
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import read_calibration
from dlcli.tasks.images.evaluation import predict_logits
from dlcli.tasks.images.localization import predict_boxes
from dlcli.tasks.predictions import Ranking, listed, write_probabilities
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import PredictionRequest

MAX_LEFT_OUT = 5  # skipped files that are named


def predict(run: RunDir, recipe: ImageRecipe, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`, for images, which are resized as in training."""
    paths, top, output, draw = request.paths, request.top, request.output, request.draw
    has_boxes = isinstance(recipe, Localization)
    if draw is not None:
        _check_drawing(draw, output)
    classes = run.read_classes()
    images = run.read_image_policy()
    policy = None if images is None else ImagePolicy.from_dict(images)
    best = load_image_model(run, console)
    model = best.model
    samples, left_out = collect(
        paths,
        policy=policy,
        shape=tuple(model.inputs[0].shape[1:]),
        value_range=getattr(recipe.data, "value_range", None) or (0.0, 255.0),
    )
    left_out = tuple(sorted(left_out, key=lambda left: left.kind != "unreadable"))  # those first, and all of them
    num_named = max(MAX_LEFT_OUT, sum(left.kind == "unreadable" for left in left_out))
    for left in left_out[:num_named]:
        console.warn(f"{left.name}: {left.reason}; skipped")
    if len(left_out) > num_named:
        console.warn(f"{len(left_out) - num_named} more skipped (--json lists all)")
    if len(samples) == 0:
        raise InputError("nothing to predict: none of the files is a readable image.")
    console.say(f"run {run.path}: predicting {len(samples):,} sample{'' if len(samples) == 1 else 's'}")
    batch_size = recipe.train.batch_size
    boxes: list[list[float]] | None = None
    calibration = read_calibration(run, best.digest, console)
    ranking = Ranking(len(samples), len(classes), num_top=top, output=output, calibration=calibration)
    if has_boxes:
        relative = []
        for index, logits, _, probabilities, found in predict_boxes(
            model, samples, batch_size=batch_size, console=console
        ):
            ranking.add(index, logits, probabilities)
            relative.append(found)
        assert policy is not None
        boxes = in_frames(np.concatenate(relative), _frames(samples), policy).round(2).tolist()
    else:
        for index, logits, probabilities in predict_logits(model, samples, batch_size=batch_size, console=console):
            ranking.add(index, logits, probabilities)
    if output is not None:
        corners = {} if boxes is None else dict(zip(CORNERS, zip(*boxes, strict=True), strict=True))
        names = {"file": samples.names}
        write_probabilities(output, names, ranking, classes, corners, safe_csv=request.safe_csv)
        console.say(f"{len(samples):,} rows written to {output}")
    predictions = [
        {"file": name, **row} for name, row in zip(samples.names, listed(ranking.ranked(), classes, top), strict=True)
    ]
    for row, box in zip(predictions, boxes or [], strict=boxes is not None):
        row["box"] = box
    if draw is not None:
        _draw(draw, samples, predictions)
        console.say(f"{len(samples):,} images written to {draw}")
    return {
        "run": str(run.path),
        "predictions": predictions,
        "left_out": [[left.name, left.reason] for left in left_out],
    }


def _check_drawing(draw: Path, output: Path | None) -> None:
    if draw.exists() and (not draw.is_dir() or any(draw.iterdir())):
        raise InputError(f"--draw {draw}: already exists, and is not an empty folder. Choose another name.")
    if not os.access(draw.parent, os.W_OK) or not draw.parent.is_dir():
        raise InputError(f"--draw {draw}: cannot create a folder in {draw.parent}. Choose another name.")
    if draw.resolve() == Path.cwd():
        raise InputError(f"--draw {draw}: is the current folder. Choose a new one.")
    if output is not None and draw.absolute() == output.absolute():
        raise InputError(f"--draw {draw}: is the same path as --output. Choose a folder.")


def _frames(samples: Samples) -> tuple[Frame, ...]:
    """The size of each image, upright."""
    if samples.files is None:
        pixels = samples.unsized if samples.unsized is not None else samples.pixels
        assert pixels is not None
        return (Frame(pixels.shape[2], pixels.shape[1]),) * len(samples)
    return tuple(Frame(*Frame(*read_header(path)).upright_size) for path in samples.files)


def _draw(folder: Path, samples: Samples, predictions: Sequence[dict[str, Any]]) -> None:
    """Write each image, upright, with its box; a name that occurs again gets a number."""
    files: dict[str, Callable[[Path], None]] = {}
    for position, row in enumerate(predictions):
        stem = printable(str(position) if samples.files is None else samples.files[position].stem)
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if f"{name}.png" not in files)
        files[f"{name}.png"] = functools.partial(_draw_image, samples, position, row)
    replace_folder(folder.resolve(), files)


def _draw_image(samples: Samples, position: int, row: dict[str, Any], path: Path) -> None:
    if samples.files is not None:
        assert samples.policy is not None
        image = decode(read_file(samples.files[position]), value_range=samples.policy.value_range)
    else:
        pixels = samples.unsized if samples.unsized is not None else samples.pixels
        assert pixels is not None
        values = pixels[position]
        image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
    write_file(path, with_box(image, row["box"], f"{row['predicted']} {row['confidence']:.2f}"))
