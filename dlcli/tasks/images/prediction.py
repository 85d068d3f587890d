"""Predicts image files, or the samples in an .npz."""

import functools
import itertools
import os
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.data.files import printable
from dlcli.data.images.decoding import ImagePolicy, decode, read_file
from dlcli.data.images.samples import Samples
from dlcli.data.images.unlabeled import collect
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_folder, write_file
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import read_calibration
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.images.head import ImageHead, Trained
from dlcli.tasks.images.own_sizes import smallest_side_of, too_small
from dlcli.tasks.inspection import count
from dlcli.tasks.run_models import load_image_model
from dlcli.tasks.task import PredictionRequest

MAX_LEFT_OUT = 5  # skipped files that are named


def predict(run: RunDir, head: ImageHead, request: PredictionRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.predict`, for images, which are resized as in training."""
    output, draw = request.output, request.draw
    folders = {"--draw": draw, "--masks": request.masks, "--crops": request.crops}
    _check_folders({option: folder for option, folder in folders.items() if folder is not None}, output)
    best = load_image_model(run, console, check=head.check_model)
    model = best.model
    samples, left_out = read_samples(run, head, model, request.paths, console, verb="predict")
    console.say(f"run {run.path}: predicting {count(samples, 'sample')}")
    inner, batch_size = head.with_outputs(model), head.recipe.train.batch_size
    predicted = head.predict(
        lambda images: predict_batches(inner, images, batch_size=batch_size, console=console),
        samples,
        trained=Trained(head.recorded(run), read_calibration(run, best.digest, console)),
        request=request,
        console=console,
    )
    if output is not None:
        console.say(f"predictions written to {output}")
    predictions = [{"file": name, **row} for name, row in zip(samples.names, predicted.rows, strict=True)]
    if draw is not None:
        assert predicted.draw is not None, "the schema allows --draw, and the head does not draw"
        drawer = predicted.draw
        _write_files(draw, _files(samples, lambda position: drawer(position, _upright(samples, position))))
        console.say(f"{count(samples, 'image')} written to {draw}")
    if request.masks is not None:
        assert predicted.mask is not None, "the schema allows --masks, and the head predicts none"
        _write_files(request.masks, _files(samples, predicted.mask))
        console.say(f"{count(samples, 'mask')} written to {request.masks}")
    if request.crops is not None:
        assert predicted.crops is not None, "the schema allows --crops, and the head has no objects"
        number = _write_files(request.crops, _crop_files(samples, predicted.crops))
        console.say(f"{number:,} crop{'' if number == 1 else 's'} written to {request.crops}")
    return {
        "run": str(run.path),
        "predictions": predictions,
        "left_out": [[left.name, left.reason] for left in left_out],
    }


def read_samples(
    run: RunDir, head: ImageHead, model: keras.Model, paths: Sequence[Path], console: Console, *, verb: str
) -> tuple[Samples, tuple[LeftOut, ...]]:
    """The samples of paths as a run's model takes them, and what was skipped, which is reported.

    Args:
        verb: what is done with the samples, for messages.

    Raises:
        InputError: a path does not exist, or nothing can be read.
    """
    images = run.read_image_policy()
    policy = None if images is None else ImagePolicy.from_dict(images)
    samples, left_out = collect(
        paths,
        policy=policy,
        shape=tuple(model.inputs[0].shape[1:]),
        value_range=getattr(head.recipe.data, "value_range", None) or (0.0, 255.0),
        verb=verb,
    )
    samples, small = _without_small(samples, smallest_side_of(run, head, samples))
    left_out = tuple(sorted((*left_out, *small), key=lambda left: left.kind != "unreadable"))
    report_left_out(samples, left_out, console, verb=verb)
    return samples, left_out


def report_left_out(samples: Samples, left_out: Sequence[LeftOut], console: Console, *, verb: str) -> None:
    """Report what was skipped, images that cannot be read first and all of them.

    Raises:
        InputError: no sample is left.
    """
    left_out = tuple(sorted(left_out, key=lambda left: left.kind != "unreadable"))  # those first, and all of them
    num_named = max(MAX_LEFT_OUT, sum(left.kind == "unreadable" for left in left_out))
    for left in left_out[:num_named]:
        console.warn(f"{left.name}: {left.reason}; skipped")
    if len(left_out) > num_named:
        console.warn(f"{len(left_out) - num_named} more skipped (--json lists all)")
    if len(samples) == 0:
        raise InputError(f"nothing to {verb}: none of the files is a readable image.")


def _without_small(samples: Samples, least: int) -> tuple[Samples, tuple[LeftOut, ...]]:
    """The samples without images that are too small for the network, and these."""
    small = too_small(samples, least) if least > 1 else ()
    if not len(small):
        return samples, ()
    reason = f"too small: the network takes images of at least {least}x{least} pixels. It has"
    left_out = tuple(
        LeftOut(samples.names[i], f"{reason} {'x'.join(map(str, samples.sizes[i].tolist()))}", "unreadable")
        for i in small
    )
    if len(small) == len(samples):
        raise InputError("\n".join(f"{left.name}: {left.reason}." for left in left_out[:MAX_LEFT_OUT]))
    return samples.take_files(np.setdiff1d(np.arange(len(samples)), small)), left_out


def _check_folders(folders: Mapping[str, Path], output: Path | None) -> None:
    """Check the folders that are to be written, by their options."""
    for option, folder in folders.items():
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise InputError(f"{option} {folder}: already exists, and is not an empty folder. Choose another name.")
        if not os.access(folder.parent, os.W_OK) or not folder.parent.is_dir():
            raise InputError(f"{option} {folder}: cannot create a folder in {folder.parent}. Choose another name.")
        if folder.resolve() == Path.cwd():
            raise InputError(f"{option} {folder}: is the current folder. Choose a new one.")
        if output is not None and folder.absolute() == output.absolute():
            raise InputError(f"{option} {folder}: is the same path as --output. Choose a folder.")
    if len({folder.absolute() for folder in folders.values()}) < len(folders):
        raise InputError(f"{' and '.join(folders)}: must be different folders.")


File = tuple[str, Callable[[], bytes]]
"""The name of a file to be written, without a suffix, and its content."""


def _files(samples: Samples, content: Callable[[int], bytes]) -> Iterator[File]:
    """A file for each image, by its position."""
    for position in range(len(samples)):
        yield _stem(samples, position), functools.partial(content, position)


def _crop_files(samples: Samples, crops: Sequence[tuple[int, Callable[[Image.Image], bytes]]]) -> Iterator[File]:
    """The file of each object, numbered within its image."""
    numbers: dict[int, int] = defaultdict(int)
    upright = functools.lru_cache(1)(functools.partial(_upright, samples))  # objects are listed image by image
    for position, content in crops:
        numbers[position] += 1
        yield (
            f"{_stem(samples, position)}-{numbers[position]}",
            functools.partial(_of_image, content, upright, position),
        )


def _of_image(content: Callable[[Image.Image], bytes], upright: Callable[[int], Image.Image], position: int) -> bytes:
    return content(upright(position))


def _stem(samples: Samples, position: int) -> str:
    return printable(str(position) if samples.files is None else Path(samples.files[position]).stem)


def _write_files(folder: Path, files: Iterable[File]) -> int:
    """Write PNG files into a folder, and return their number; a name that occurs again gets a number."""
    writers: dict[str, Callable[[Path], None]] = {}
    for stem, content in files:
        names = itertools.chain([stem], (f"{stem}-{number}" for number in itertools.count(2)))
        name = next(name for name in names if f"{name}.png" not in writers)
        writers[f"{name}.png"] = functools.partial(_write_file, content)
    replace_folder(folder.resolve(), writers)
    return len(writers)


def _write_file(content: Callable[[], bytes], path: Path) -> None:
    write_file(path, content())


def _upright(samples: Samples, position: int) -> Image.Image:
    """The image at a position at its own size."""
    if samples.files is not None:
        assert samples.policy is not None
        return decode(read_file(samples.files[position]), value_range=samples.policy.value_range)
    pixels = samples.unsized if samples.unsized is not None else samples.pixels
    assert pixels is not None
    values: NDArray[np.uint8] = pixels[position]
    return Image.fromarray(values[:, :, 0] if values.shape[2] == 1 else values)
