"""From pairs of images and masks to a data set: masks are read once, checked and counted.

Every source of masks ends here, so that they are treated alike whatever the source.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlcli.data.files import Progress
from dlcli.data.images.dataset import CommonKeys, OnBadImage, assemble_files
from dlcli.data.images.samples import Dataset, Samples
from dlcli.data.listing import NO_ALIASES, name_some, refuse
from dlcli.data.masks.coding import MIDDLE, WHITE, Coding, ValueCoding
from dlcli.data.masks.masks import NAME, MaskFile, Masks, masks_of
from dlcli.data.masks.pairs import Pair, Paired
from dlcli.data.masks.scan import Counted, Scanned, best_coding, scan_masks
from dlcli.data.masks.statistics import count_masks
from dlcli.data.masks.stored import SAVE_AS
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.errors import InputError

NUM_SHOWN = 4  # undeclared values in one message
MOSTLY = 0.5  # of a split's pixels; more that are ignored are warned about


def assemble_masks(
    paired: Paired,
    codings: Sequence[Coding],
    *,
    source: Path,
    on_bad_image: OnBadImage,
    has_groups: bool,
    exclude: Sequence[str] = (),
    progress: Progress | None,
    common: CommonKeys,
) -> Dataset:
    """A data set of images with a mask file each; images and masks that are used are read once.

    Args:
        codings: what the values may mean, with the same classes; that by which most masks can be read is used.
        source: the folder or table, for messages.
        on_bad_image: whether an image or a mask that cannot be read is an error, or the image is left out.
        exclude: patterns of the names of images to leave out, which the source may have done.
        progress: called with the number of images, then of masks, that were read, and their total.

    Raises:
        InputError: images cannot be read, or masks cannot, have values that are not declared, or another size than
            their images; all of these are named.
    """
    place_of = {
        pair.name: f"{source}:{pair.line}: {pair.name}" if pair.line else str(pair.file) for pair in paired.pairs
    }

    def annotate(part: Sequence[Pair]) -> Mapping[str, Masks]:
        return {NAME: Masks(tuple(MaskFile(pair.mask_name, pair.mask, codings[0]) for pair in part))}

    dataset = assemble_files(
        paired.pairs,
        source=str(source),
        rule="there must be images to train on.",
        place=lambda name: place_of[name],
        on_bad_image=on_bad_image,
        trained=None,
        aliases=NO_ALIASES,
        progress=progress,
        common=common,
        outputs=codings[0].classes,
        annotate=annotate,
        has_groups=has_groups,
        by_suffix=True,
        exclude=exclude,
        left_out=paired.left_out,
        warnings=paired.warnings,
    )
    return _scanned(dataset, codings, source=source, on_bad_image=on_bad_image, progress=progress)


def _scanned(
    dataset: Dataset, codings: Sequence[Coding], *, source: Path, on_bad_image: OnBadImage, progress: Progress | None
) -> Dataset:
    """The data set after its masks were read and counted."""
    files = [mask for samples in dataset.splits.values() for mask in _files_of(samples)]
    results = scan_masks([file.path for file in files], codings, progress=progress)
    if on_bad_image == "skip" and any(isinstance(result, Scanned) for result in results):
        dataset = _without_unreadable(dataset, results, source=source)
        files = [mask for samples in dataset.splits.values() for mask in _files_of(samples)]
        results = [result for result in results if isinstance(result, Scanned)]
    chosen = best_coding(results, len(codings))
    sizes = [(image.height, image.width) for samples in dataset.splits.values() for image in samples.checked]
    checked: list[tuple[Scanned, Counted]] = []
    errors: list[str] = []
    for file, size, result in zip(files, sizes, results, strict=True):
        error = _error_of(result, size, chosen, codings[chosen])
        if error:
            errors.append(f"{file.path}: {error}")
        elif isinstance(result, Scanned):
            checked.append((result, result.meanings[chosen]))
    refuse(
        errors,
        f"{len(errors)} of {len(files)} masks cannot be used. Correct the files or the classes in the recipe"
        f"{_remedy_of(results, chosen, codings[chosen])}, or leave images out with data.exclude"
        f"{', or by `data.on_bad_image: skip`' if any(isinstance(result, str) for result in results) else ''}.",
    )
    splits: dict[str, Samples] = {}
    start = 0
    for split, samples in dataset.splits.items():
        part = checked[start : start + len(samples)]
        start += len(samples)
        masks = masks_of(samples)
        assert masks is not None
        digests = [scanned.digest for scanned, _ in part]
        counts = np.stack([counted.counts for _, counted in part])
        annotations = {**samples.annotations, NAME: masks.with_digests(digests, codings[chosen], counts)}
        splits[split] = replace(samples, annotations=annotations)
    _refuse_ignored_white(splits, codings[chosen], str(source))
    lossy = [counted for scanned, counted in checked if scanned.is_lossy]
    _refuse_lossy_black(lossy, str(source))
    warnings = [*dataset.warnings, *warn_of_masks(splits, dataset.classes), *_warn_of_lossy(len(lossy))]
    return replace(dataset, splits=splits, warnings=tuple(warnings))


def _without_unreadable(dataset: Dataset, results: Sequence[Scanned | str], *, source: Path) -> Dataset:
    """The data set without the images whose masks cannot be read.

    Raises:
        InputError: none is left to train on.
    """
    splits: dict[str, Samples] = {}
    bad: list[LeftOut] = []
    start = 0
    for split, samples in dataset.splits.items():
        part = results[start : start + len(samples)]
        start += len(samples)
        splits[split] = samples.take_files(
            np.array([i for i, r in enumerate(part) if isinstance(r, Scanned)], np.int64)
        )
        each = zip(samples.names, _files_of(samples), part, strict=True)
        bad += [LeftOut(name, f"{mask.name}: {r}", "unreadable") for name, mask, r in each if isinstance(r, str)]
    if not len(splits["train"]):
        raise InputError(f"{source}: train must have an image with a readable mask. Received none: repair its masks.")
    left = {split: samples for split, samples in splits.items() if len(samples)}
    return replace(dataset, splits=left, left_out=(*dataset.left_out, *bad))


def _files_of(samples: Samples) -> list[MaskFile]:
    masks = masks_of(samples)
    assert masks is not None
    return [mask for mask in masks.masks if isinstance(mask, MaskFile)]


def _error_of(result: Scanned | str, size: tuple[int, int], chosen: int, coding: Coding) -> str:
    """What is wrong with a mask; empty if nothing is."""
    if isinstance(result, str):
        return f"{result}."
    if (result.height, result.width) != size:
        return (
            f"a mask must have the size of its image, {size[0]}x{size[1]} (height x width). Received "
            f"{result.height}x{result.width}."
        )
    counted = result.meanings[chosen]
    if counted.reason:
        return f"{counted.reason}."
    if not counted.undeclared:
        return ""
    more = ", …" if len(counted.undeclared) > NUM_SHOWN else ""
    noun = "pixel" if counted.num_undeclared == 1 else "pixels"
    received = f"Received {', '.join(counted.undeclared[:NUM_SHOWN])}{more} in {counted.num_undeclared:,} {noun}."
    if coding.is_colored:
        return f"a color must be in data.palette or data.ignore. {received}"
    return f"a value must be that of a class ({_values_of(coding)}) or in data.ignore. {received}"


def _remedy_of(results: Sequence[Scanned | str], chosen: int, coding: Coding) -> str:
    """How to ignore the values that have no meaning, if they are few; and what to do if they are ids of objects."""
    scanned = [result for result in results if isinstance(result, Scanned)]
    values = {value for result in scanned for value in result.meanings[chosen].undeclared}
    listed = ", ".join(sorted(values, key=lambda value: (len(value), value)))
    ignoring = f", ignore pixels by data.ignore: [{listed}]" if 0 < len(values) <= NUM_SHOWN else ""
    number = len(coding.classes)
    # beyond two classes the next values are rather further classes than objects
    may_be_ids = number == 2 and str(number) in values and isinstance(coding, ValueCoding)
    return ignoring + (", name one class in data.foreground if values are ids of objects" if may_be_ids else "")


def _values_of(coding: Coding) -> str:
    values = coding.values if isinstance(coding, ValueCoding) else ()
    if values == tuple(range(len(values))):
        return f"0 to {len(values) - 1}"
    return ", ".join(map(str, values))


def _refuse_ignored_white(splits: Mapping[str, Samples], coding: Coding, source: str) -> None:
    """Refuses masks of 0 and 255 whose 255, the only sign of the second class, is to be ignored.

    Raises:
        InputError: masks are like this.
    """
    if not isinstance(coding, ValueCoding) or len(coding.classes) != 2 or WHITE not in coding.ignore:
        return
    counted = count_masks(splits).values()
    if not any(part.pixels[1] for part in counted) and any(part.ignored for part in counted):
        raise InputError(
            f"{source}: the masks have no value but 0 and 255, and 255 is in data.ignore, so that no pixel is left of "
            f"class '{coding.classes[1]}'. Remove data.ignore."
        )


def warn_of_masks(splits: Mapping[str, Samples], classes: tuple[str, ...]) -> list[DataWarning]:
    """Warnings of classes without a pixel in a split, and of splits most of whose pixels are ignored."""
    warnings = []
    for split, counted in count_masks(splits).items():
        absent = [name for name, number in zip(classes, counted.pixels, strict=True) if not number]
        if absent:
            noun = "class" if len(absent) == 1 else f"{len(absent)} of the {len(classes)} classes:"
            warnings.append(DataWarning("masks", f"{split} has no pixel of {noun} {name_some(absent)}."))
        if counted.ignored_share > MOSTLY:
            text = f"{counted.ignored_share:.0%} of the pixels of {split} are ignored (data.ignore)."
            warnings.append(DataWarning("masks", text))
    return warnings


def _refuse_lossy_black(lossy: Sequence[Counted], source: str) -> None:
    """Refuse lossy masks that are black everywhere: their values are small numbers of classes, which are lost."""
    if lossy and not any(counted.counts[1] for counted in lossy):
        raise InputError(
            f"{source}: none of the masks with lossy compression (JPEG and the like) has a value from {MIDDLE} on, so "
            f"that all their pixels would be background. Lossy masks must be black and white: {SAVE_AS}."
        )


def _warn_of_lossy(number: int) -> list[DataWarning]:
    if not number:
        return []
    noun = "mask is" if number == 1 else "masks are"
    text = (
        f"{number:,} {noun} of a format with lossy compression: values from {MIDDLE} on are read as 255, others as 0."
    )
    return [DataWarning("masks", text)]


def refuse_other_classes(classes: Sequence[str], trained: Sequence[str] | None, source: Path) -> None:
    """Refuses masks whose classes are not those of a trained model.

    Raises:
        InputError: they are others, or in another order.
    """
    if trained is not None and tuple(classes) != tuple(trained):
        raise InputError(
            f"{source}: the classes must be those of the trained model, in its order: {', '.join(trained)}. Received "
            f"{', '.join(classes)}."
        )
