"""What ``dlcli data`` reports about images, and its previews. The user's data are never changed."""

import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import printable
from dlcli.data.images.batches import Batches
from dlcli.data.images.decoding import bring_to
from dlcli.data.images.duplicates import SIDE, has_wrong_suffix
from dlcli.data.images.members import Member
from dlcli.data.images.own_sizes import describe_sizes
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.images.sources.class_folders import class_folders
from dlcli.data.images.statistics import channel_statistics
from dlcli.data.listing import is_encodable
from dlcli.data.masks.masks import MASK_COLUMNS, MaskFile, masks_of
from dlcli.data.paths import is_outside
from dlcli.data.splits import Index, evenly_spaced
from dlcli.errors import InputError
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.augment import Augment
from dlcli.recipe.sections.image_data import Folder
from dlcli.rundir.tables import rows_text
from dlcli.rundir.writing import replace_file
from dlcli.runtime.console import Console
from dlcli.tasks.images.augmentation import check_augment, make_augmentation
from dlcli.tasks.images.batches import batches, tiles_per_image
from dlcli.tasks.images.copies import copy_findings, find_copies, names_to_exclude
from dlcli.tasks.images.head import Entries, ImageHead
from dlcli.tasks.images.own_sizes import smallest_shape
from dlcli.tasks.inspection import Finding, class_findings, count, report, some, with_leakage

REPORTED = ("classes", "leakage")  # kinds of warnings of which other findings say more
NUM_LOADED = 256  # samples in memory at a time
MAX_VALUES = 4_000_000  # values in memory at a time, for statistics in float64


# Check ----------------------------------------------------------------------------------------------------------------


def check(section: Any, head: ImageHead, console: Console) -> dict[str, Any]:
    """Look for problems in all the data of a recipe's ``data`` section, as :meth:`dlcli.tasks.task.Task.check`.

    Raises:
        InputError: there is nothing to train on.
    """
    # thumbnails are enough, and what would stop training is to be reported here
    changes: dict[str, Any] = {"image_size": (SIDE, SIDE), "allow_leakage": True}
    if hasattr(section, "on_bad_image"):
        changes["on_bad_image"] = "skip"
    if getattr(section, "on_missing", None) == "error":
        changes["on_missing"] = "skip"
    if getattr(section, "tiles", None) is not None:
        changes["tiles"] = None
    if getattr(section, "layout", "image") != "image":
        del changes["image_size"]
    dataset, refusal = _read_all(section.model_copy(update=changes), head, console)
    found, counts = find_copies(dataset, console), head.counts(dataset)
    findings = [
        *_file_findings(dataset),
        *_unpaired_findings(section, dataset),
        *_size_findings(section, dataset),
        *(
            Finding(warning.kind, False, warning.text.rstrip("."), ())
            for warning in dataset.warnings
            if warning.kind not in REPORTED
        ),
        *head.findings(dataset),
        *copy_findings(found),
        *([] if refusal is None else [Finding("refused", True, refusal.rstrip("."), ())]),
        *(class_findings(counts, is_refused=refusal is not None) if dataset.has_classes else ()),
    ]
    checked = [image for split in dataset.splits.values() for image in split.checked]
    sizes, modes = Counter((image.height, image.width) for image in checked), Counter(image.mode for image in checked)
    return report(
        counts,
        findings,
        sizes={f"{height}x{width}": number for (height, width), number in sizes.most_common()},
        modes=dict(modes.most_common()),
        exclude=[*section.exclude, *names_to_exclude(found)] if hasattr(section, "exclude") else None,
    )


def _read_all(section: Any, head: ImageHead, console: Console) -> tuple[Dataset, str | None]:
    """The data, and why training would refuse them although they can be read.

    Then the classes are given, as for a trained model, so that all the other findings are reported too.

    Raises:
        InputError: they cannot be read.
    """
    try:
        return head.read(section, console), None
    except InputError as error:
        classes = class_folders(section.path, folders=section.folders) if isinstance(section, Folder) else ()
        if len(classes) < 2:
            raise
        return head.read(section, console, classes=classes), str(error)


def folder_section(folder: Path) -> Folder:
    """The ``data`` section for a folder with a folder for each class."""
    return Folder(kind="folder", path=str(folder.absolute()))


def _file_findings(dataset: Dataset) -> Iterator[Finding]:
    unreadable = [item for item in dataset.left_out if item.kind == "unreadable"]
    for item in unreadable:
        yield Finding("unreadable", True, f"{item.name}: {item.reason}", (item.name,))
    skipped = [item for item in dataset.left_out if item.kind in ("unused", "excluded")]
    if skipped:
        shown = some([f"{item.name} ({item.reason})" for item in skipped])
        names = tuple(item.name for item in skipped)
        yield Finding("skipped", False, f"{len(skipped):,} skipped: {shown}", names)
    wrong = [
        name
        for samples in dataset.splits.values()  # samples in arrays have no files
        for name, path, image in zip(samples.names, samples.files or (), samples.checked, strict=False)
        if has_wrong_suffix(path, image.image_format)
    ]
    if wrong:
        verb = "has a suffix" if len(wrong) == 1 else "have suffixes"
        text = f"{count(wrong, 'file')} {verb} that the content contradicts: {some(wrong)}"
        yield Finding("wrong suffix", True, text, tuple(wrong))


def _unpaired_findings(section: Any, dataset: Dataset) -> Iterator[Finding]:
    """Images without the file that annotates them, and such files without image: problems where training would stop."""
    unpaired = [item for item in dataset.left_out if item.kind == "unpaired"]
    if unpaired:
        stops = section.on_missing == "error"
        shown = some([f"{item.name} ({item.reason})" for item in unpaired])
        names = tuple(item.name for item in unpaired)
        text = f"{count(names, 'file')} without counterpart (data.on_missing: {section.on_missing}): {shown}"
        yield Finding("without counterpart", stops, text, names)


def _size_findings(section: Any, dataset: Dataset) -> Iterator[Finding]:
    """Images with masks that have different sizes, to which training would have to resize them."""
    if masks_of(dataset.splits["train"]) is None or section.image_size is not None or section.tiles is not None:
        return
    sizes = {(image.height, image.width) for split in dataset.splits.values() for image in split.checked}
    if len(sizes) > 1:
        text = f"the images have {len(sizes):,} sizes: set data.image_size to resize them, or data.tiles to cut them"
        yield Finding("sizes", True, text, ())


# Statistics and splits ------------------------------------------------------------------------------------------------


def stats(loaded: LoadedRecipe, head: ImageHead, console: Console) -> dict[str, Any]:
    """Mean and standard deviation of each channel over the training split, of decoded and resized samples; of images
    that are cut into tiles or not resized at their own size."""
    dataset = head.open_data(loaded, console)
    for warning in dataset.warnings:  # such as that values use little of their range
        console.warn(warning.text)
    train = dataset.splits["train"]
    mean, std = channel_statistics(loaded_in_parts(train, console))
    return {
        "samples": {name: len(split) for name, split in dataset.splits.items()},
        "classes": len(dataset.classes),
        "shape": list(dataset.input_shape),
        **_sizes(dataset),
        "mean": mean.tolist(),
        "std": std.tolist(),
        **head.statistics(dataset),
    }


def _sizes(dataset: Dataset) -> dict[str, str]:
    """The sizes of training images that keep them, in words: those that tiles are cut from, or that are not resized."""
    train = dataset.splits["train"]
    return {"sizes": describe_sizes(train.sizes)} if train.keeps_size else {}


def plot_data(loaded: LoadedRecipe, head: ImageHead, output: Path, console: Console) -> None:
    """Draw what the head plots of the annotations in all splits, as :meth:`dlcli.tasks.task.Task.plot_data`."""
    loaded.check_data_path()
    drawn = head.plot_data(head.read(with_leakage(loaded.of_images.data), console))
    assert drawn is not None, "the option is refused for heads without such a plot"
    replace_file(output, drawn)


def loaded_in_parts(samples: Samples, console: Console) -> Iterator[np.ndarray]:
    """The samples, at most MAX_VALUES values of them at a time, but at least one; images that keep their size one by
    one."""
    if samples.keeps_size:
        for position in range(len(samples)):
            yield samples.load_whole(position)[None]
            console.reading(position + 1, len(samples))
        return
    step = max(1, min(NUM_LOADED, MAX_VALUES // math.prod(samples.shape)))
    for start in range(0, len(samples), step):
        stop = min(start + step, len(samples))
        yield samples.load(np.arange(start, stop))
        console.reading(stop, len(samples))


def divide(loaded: LoadedRecipe, head: ImageHead, output: Path | None, console: Console) -> dict[str, dict[str, int]]:
    """As :meth:`dlcli.tasks.task.Task.divide`.

    For images, and masks, in files the table has paths relative to its own folder, so that ``data.kind: csv``, or
    ``masks``, can read it.
    """
    dataset = head.open_data(loaded, console)
    if output is not None:
        files = [file for split in dataset.splits.values() for file in split.files or ()]
        # members of shards have no paths that a table could name
        paths = [os.fspath(file) for file in files if not isinstance(file, Member)]
        masks = _mask_files(dataset)
        rows = dataset.split_rows()
        if paths:
            folder = output.absolute().parent
            if num_outside := sum(is_outside(folder, Path(path)) for path in paths):
                noun = "1 image is" if num_outside == 1 else f"{num_outside:,} images are"
                console.say(f"{noun} outside of {folder}: a recipe for {output} needs data.allow_outside: true")
            invalid = next((path for path in (*paths, *masks) if not is_encodable(path)), None)
            if invalid is not None:
                raise InputError(
                    f"{printable(invalid)}: its name is not valid UTF-8, so a table cannot hold it. Rename it."
                )
            rows = [{**row, "file": os.path.relpath(path, folder)} for row, path in zip(rows, paths, strict=True)]
            if masks:
                column = MASK_COLUMNS[0]
                rows = [{**row, column: os.path.relpath(path, folder)} for row, path in zip(rows, masks, strict=True)]
        replace_file(output, rows_text(rows))
    return head.counts(dataset)


def _mask_files(dataset: Dataset) -> list[str]:
    """The files of the masks of all samples; none for masks that are not files of their own."""
    found = [masks_of(samples) for samples in dataset.splits.values()]
    masks = [mask for of_split in found if of_split is not None for mask in of_split.masks]
    return [str(mask.path) for mask in masks if isinstance(mask, MaskFile)]


# Preview --------------------------------------------------------------------------------------------------------------


def preview(
    loaded: LoadedRecipe, head: ImageHead, output: Path, *, num_samples: int, num_epochs: int, console: Console
) -> None:
    """Draw training samples next to their augmented versions in the first epochs, with the random parameters; whole
    images next to the first tile that each epoch cuts from them. Images that are not resized are drawn at the median
    size, after they have been augmented.

    Raises:
        InputError: the samples are not images, or the data cannot be used.
    """
    recipe = loaded.of_images
    dataset = head.open_data(loaded, console)
    if dataset.policy is None:
        raise InputError(f"{loaded.path}: only images can be previewed; the samples have shape {dataset.shape}.")
    check_augment(loaded, smallest_shape(dataset))
    if recipe.augment is not None and (recipe.augment.mixup or recipe.augment.cutmix):
        console.say("mixup and cutmix are not shown: they mix samples of a batch; see plots/batch.png of a run")
    train = dataset.splits["train"]
    chosen = evenly_spaced(len(train), num_samples)
    whole = train.of_one_size()
    captions = head.captions(dataset, train, chosen)
    names = [f"{caption}\n{train.names[i]}".strip() for caption, i in zip(captions, chosen, strict=True)]
    original = batches(whole, batch_size=len(chosen)).at(0, chosen)
    columns, entries = [("original", original["x"].numpy(), names)], [_entries(original)]
    if recipe.augment is not None or train.is_tiled:
        augment, num_tiles = recipe.augment or Augment(), tiles_per_image(recipe.data)
        keys: dict[str, Any] = {"augment": augment, "num_tiles": num_tiles, "is_mixed": False}
        data = batches(train, batch_size=recipe.train.batch_size, seed=recipe.train.seed, **keys)
        for epoch in range(num_epochs):
            shown = chosen * num_tiles
            images, ground_truth = _of_one_size(data, train, epoch, shown)
            columns.append((f"epoch {epoch + 1}", images, _descriptions(data, augment, epoch, shown)))
            entries.append(ground_truth)
            if dropped := data.num_dropped(epoch):
                noun = "box" if dropped == 1 else "boxes"
                console.say(
                    f"epoch {epoch + 1}: less than data.min_visible is left of {dropped:,} {noun} of all images"
                )
    replace_file(output, head.preview(columns, entries, dataset.classes))


def _of_one_size(data: Batches, train: Samples, epoch: int, index: Index) -> tuple[NDArray[np.float32], Entries]:
    """The images ``[n, height, width, channels]`` at these positions as an epoch augments them, and their ground truth;
    those that are not resized are brought to the median size afterwards."""
    if not train.has_own_sizes:
        batch = data.at(epoch, index)
        return batch["x"].numpy(), _entries(batch)
    assert train.policy is not None
    policy, images, entries = train.policy.of_one_size(), [], []
    for position in index:
        batch = data.at(epoch, np.array([position]))
        images.append(bring_to(np.rint(batch["x"].numpy()[0]).astype(np.uint8), policy))
        entries.append(_entries(batch))
    joined = {name: np.concatenate([entry[name] for entry in entries]) for name in entries[0]}
    return np.stack(images).astype(np.float32), joined


def _entries(batch: Mapping[str, Any]) -> Entries:
    """The ground truth of a batch."""
    return {name: np.asarray(values) for name, values in batch["y"].items()}


def _descriptions(data: Batches, augment: Augment, epoch: int, index: np.ndarray) -> list[str]:
    """What augmentation draws in an epoch for the samples at these positions."""
    parameters, parts = data.parameters(epoch), data.parts(epoch)
    assert parameters is not None
    rows = {name: values[index] for name, values in parameters.items()}
    augmentation = make_augmentation(augment)
    pasting = data.pasting(epoch)
    result = []
    for i, sample in enumerate(index.tolist()):
        words = [augmentation.describe(rows, i)]
        if parts is not None and parts.is_composed[sample]:
            words.insert(0, "mosaic")
        if pasting is not None and pasting.partners[sample] != sample:
            words.append("copy_paste")
        result.append(", ".join(filter(None, words)))
    return result
