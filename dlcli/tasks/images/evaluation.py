"""Evaluates an image model on a split, or on other data with the same classes."""

from pathlib import Path
from typing import Any

import keras

from dlcli.data.boxes.sources.yolo import is_yolo_index
from dlcli.data.images.samples import Dataset, Samples
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe, load
from dlcli.recipe.sections.image_data import Digits, Folder
from dlcli.recipe.sections.mask_data import Tiles
from dlcli.rundir.directory import RunDir
from dlcli.rundir.tables import read_csv
from dlcli.runtime.console import Console
from dlcli.tasks.calibration import calibrate, read_calibration
from dlcli.tasks.checks import check_same_data, count_trained_on, own_data_at
from dlcli.tasks.evaluation_files import Destination, Source
from dlcli.tasks.images.batches import predict_batches
from dlcli.tasks.images.head import ImageHead, Trained
from dlcli.tasks.images.own_sizes import refuse_too_small, smallest_side_of
from dlcli.tasks.images.sources import read_dataset, section_for
from dlcli.tasks.run_models import BestModel, load_image_model
from dlcli.tasks.split_choice import OWN_DATA, first_split, own_split
from dlcli.tasks.task import EvaluationRequest


def evaluate(run: RunDir, head: ImageHead, request: EvaluationRequest, console: Console) -> dict[str, Any]:
    """As :meth:`dlcli.tasks.task.Task.evaluate`; other data are a recipe, a folder, an .npz or a .csv."""
    split, data = request.split, request.data
    best = load_image_model(run, console, check=head.check_model)
    model = best.model
    name, samples, own = samples_of_run(run, head, split=split, data=data, console=console)
    noun = "samples" if samples.policy is None else "images"
    trained_on = count_trained_on(run, samples.digests, noun=noun, console=console, is_asked=name == "train")
    place = OWN_DATA if own is not None else request.url or str(data and data.absolute())
    source = Source(place, best.epoch, trained_on, split=None if own is None else name)
    if request.views is not None:  # its results are kept next to those without
        if samples.policy is None:
            raise InputError(f"--tta: is for images. Received samples of shape {samples.shape}. Remove the option.")
        name = f"{name}-tta-{request.views}"
    name = run.free_evaluation(name, source.data)
    to = Destination(run.evaluation(name), source, request)
    if request.calibrate:
        moved = None if own is None else data
        _calibrate(run, head, best, moved, console)
    expected = tuple(model.inputs[0].shape[1:])
    if samples.input_shape != expected:
        raise InputError(f"{data}: the model takes samples of shape {expected}. Received {samples.input_shape}.")
    refuse_too_small(str(data or run.path), samples, smallest_side_of(run, head, samples))
    console.say(f"run {run.path}: evaluating {len(samples):,} samples of {name}")
    baseline = run.read_baseline()
    if baseline is None and own is not None:  # a run that is not complete has not recorded it
        baseline = head.baseline(own)
    trained = Trained(head.recorded(run), read_calibration(run, best.digest, console), baseline)
    metrics = head.evaluate(to, model, samples, trained=trained, console=console)
    return {"run": str(run.path), "split": name, "folder": str(to.folder), **source.facts, **metrics}


def _calibrate(run: RunDir, head: ImageHead, best: BestModel, moved: Path | None, console: Console) -> None:
    _, samples, _ = samples_of_run(run, head, split="validation", data=moved, console=console)
    inner = keras.Model(best.model.inputs[0], best.model.get_layer("logits").output)
    outputs = predict_batches(inner, samples, batch_size=head.recipe.train.batch_size, console=console)
    calibrate(run, best.digest, ((index, logits) for index, (logits,) in outputs), samples.labels, console)


def samples_of_run(
    run: RunDir, head: ImageHead, *, split: str | None, data: Path | None, console: Console
) -> tuple[str, Samples, Dataset | None]:
    """Read a split of a run's own data, which may have moved, or other data in the same way.

    Returns:
        The name and the samples of the split, and all the data if they are the run's own; None for others.

    Raises:
        InputError: the data cannot be used, or there is no such split.
    """
    loaded = load(run.config)
    if data is None:
        dataset = head.open_data(loaded, console)
        check_same_data(run, dataset)
    else:
        moved = _moved_data(data, head, loaded, run, console)
        if moved is None:
            return *_other_data(data, head, run, split, console), None
        dataset = moved
    name = own_split(run, dataset.splits, split)
    return name, dataset.splits[name], dataset


def _moved_data(data: Path, head: ImageHead, loaded: LoadedRecipe, run: RunDir, console: Console) -> Dataset | None:
    """The run's own data at another place; None for other data, which their names show first."""
    if isinstance(loaded.recipe.data, Folder) and not (
        run.split.exists() and all((data / row["file"]).is_file() for row in read_csv(run.split))
    ):
        return None
    return own_data_at(run, data, lambda moved: head.open_data(moved, console), console)


def split_of_other(data: Path, dataset: Dataset, split: str | None) -> str:
    """The requested split of data other than a run's own; for None, the first of test, validation and train.

    Raises:
        InputError: the data have no such split.
    """
    name = split or first_split(dataset.splits)
    if name not in dataset.splits:
        raise InputError(f"{data}: has no {name} split. Available: {', '.join(dataset.splits)}.")
    return name


def samples_for_shape(
    data: Path, shape: tuple[int, ...], classes: tuple[str, ...], *, split: str | None, console: Console
) -> tuple[str, Samples]:
    """Read images, resized to the shape (height, width, channels) that a model file takes; returns their name too.

    Raises:
        InputError: the images cannot be used, or there is no such split.
    """
    if not data.exists():
        raise InputError(f"{data}: no such file or folder.")
    images = {"image_size": shape[:2], "color_mode": "grayscale" if shape[-1] == 1 else "rgb"}
    dataset = read_dataset(section_for(data, Digits(kind="digits"), images), console, classes=classes)
    name = split_of_other(data, dataset, split)
    return f"{data.stem}-{name}", dataset.splits[name]


def _data_keys(run: RunDir) -> dict[str, Any]:
    """How the model's images are resized or cut into tiles, as keys of a ``data`` section; none for other samples."""
    images = run.read_image_policy()
    if images is None:
        return {}
    if "tiles" in images:
        size, overlap = images["tiles"]["size"], images["tiles"]["overlap"]
        return {**images, "image_size": None, "tiles": Tiles(size=tuple(size), overlap=overlap)}
    if images["resize"] == "none":
        keys = ("resize", "color_mode", "value_range")
        return {"image_size": None, **{key: images[key] for key in keys if key in images}}
    return {**images, "image_size": tuple(images["image_size"])}


def _other_data(data: Path, head: ImageHead, run: RunDir, split: str | None, console: Console) -> tuple[str, Samples]:
    """The name of the evaluation's folder, made of the data's name and the split's, and the samples to evaluate on."""
    images = _data_keys(run)
    if not data.exists():
        raise InputError(f"{data}: no such recipe, file or folder.")
    if data.suffix.lower() in (".yaml", ".yml") and not (data.is_file() and is_yolo_index(data)):
        section = load(data).of_images.data
        section = section.model_copy(update=images)
    else:
        section = head.section_for(data, images)
    dataset = head.read(section, console, classes=run.read_classes(), aliases=run.read_aliases())
    split = split_of_other(data, dataset, split)
    part = split if len(dataset.splits) > 1 else "all"  # undivided data
    return f"{data.stem}-{part}", dataset.splits[split]
