"""Predicts image files, or the samples in an .npz."""

import functools
import itertools
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from PIL import Image

from dlcli.data.files import printable
from dlcli.data.images.decoding import ImagePolicy, decode, read_file
from dlcli.data.images.samples import Samples
from dlcli.data.images.unlabeled import collect
from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_folder, write_file
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import read_calibration
from dlcli.tasks.images.head import ImageHead
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import PredictionRequest

MAX_LEFT_OUT = 5  # skipped files that are named


def predict(run: RunDir, head: ImageHead, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`, for images, which are resized as in training."""
    output, draw = request.output, request.draw
    if draw is not None:
        _check_drawing(draw, output)
    images = run.read_image_policy()
    policy = None if images is None else ImagePolicy.from_dict(images)
    best = load_image_model(run, console, check=head.check_model)
    model = best.model
    samples, left_out = collect(
        request.paths,
        policy=policy,
        shape=tuple(model.inputs[0].shape[1:]),
        value_range=getattr(head.recipe.data, "value_range", None) or (0.0, 255.0),
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
    predicted = head.predict(
        model,
        samples,
        info=head.recorded(run),
        request=request,
        calibration=read_calibration(run, best.digest, console),
        console=console,
    )
    if output is not None:
        console.say(f"{len(samples):,} rows written to {output}")
    predictions = [{"file": name, **row} for name, row in zip(samples.names, predicted.rows, strict=True)]
    if draw is not None:
        assert predicted.draw is not None, "the schema allows --draw, and the head does not draw"
        _draw(draw, samples, predicted.draw)
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


def _draw(folder: Path, samples: Samples, draw: Callable[[int, Image.Image], bytes]) -> None:
    """Write each image, upright, with its prediction; a name that occurs again gets a number."""
    files: dict[str, Callable[[Path], None]] = {}
    for position in range(len(samples)):
        stem = printable(str(position) if samples.files is None else samples.files[position].stem)
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if f"{name}.png" not in files)
        files[f"{name}.png"] = functools.partial(_draw_image, samples, position, draw)
    replace_folder(folder.resolve(), files)


def _draw_image(samples: Samples, position: int, draw: Callable[[int, Image.Image], bytes], path: Path) -> None:
    if samples.files is not None:
        assert samples.policy is not None
        image = decode(read_file(samples.files[position]), value_range=samples.policy.value_range)
    else:
        pixels = samples.unsized if samples.unsized is not None else samples.pixels
        assert pixels is not None
        values = pixels[position]
        image = Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
    write_file(path, draw(position, image))
