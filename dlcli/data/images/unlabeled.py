"""Images, signals and volumes without ground truth, for prediction: files, folders, an .npz file, or stdin."""

import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from dlcli.data.files import Progress, printable
from dlcli.data.images.dataset import as_samples, leave_unsized, left_out_of
from dlcli.data.images.decoding import MAX_FILE_BYTES, BadImage, ImagePolicy, decode
from dlcli.data.images.discovery import check_images, find_images
from dlcli.data.images.formats import FORMAT_NAMES
from dlcli.data.images.samples import Samples
from dlcli.data.images.scan_index import Checked
from dlcli.data.images.sources.npz import BRING_TO_RANGE, Layout, list_arrays, to_samples
from dlcli.data.listing import NUM_NAMED, name_some
from dlcli.data.npz_archive import read_arrays
from dlcli.data.splits import NO_LABEL, LeftOut
from dlcli.errors import InputError

STDIN = Path("-")
ARRAY_KEYS = ("x", "x_test")  # the first that exists is used


def collect(
    paths: Sequence[Path],
    *,
    policy: ImagePolicy | None,
    shape: tuple[int, ...],
    value_range: tuple[float, float],
    verb: str = "predict",
    progress: Progress | None = None,
) -> tuple[Samples, tuple[LeftOut, ...]]:
    """The samples of paths, in their order: files, all images below a folder, an .npz with x or x_test, or - for the
    bytes of one image on stdin.

    A sample is named by its path as given, or by its position in an .npz: "FILE.npz/17". Images that cannot be read are
    left out. Labels are all NO_LABEL.

    Args:
        policy: that of training; None for signals and volumes, which must be in an .npz file.
        shape: of one sample in training.
        value_range: of the pixels of an .npz file.
        verb: what is done with the samples, for messages.

    Raises:
        InputError: a path does not exist, nothing can be read, or an .npz file or - is among other paths.
    """
    archives = [path for path in paths if path.suffix.lower() == ".npz"]
    if archives and len(paths) > 1:
        raise InputError(f"{archives[0]}: an .npz file must be the only path. Received {len(paths)} paths.")
    if STDIN in paths and len(paths) > 1:
        raise InputError(f"{STDIN}: stdin must be the only path. Received {len(paths)} paths.")
    missing = [path for path in paths if path != STDIN and not os.path.lexists(path)]
    if missing:
        raise InputError("\n".join(f"{path}: no such file or folder. Name what to {verb}." for path in missing))
    if archives:
        return _collect_arrays(archives[0], policy, shape, value_range), ()
    if policy is None:
        raise InputError(f"{paths[0]}: samples of this model are not images. Give an .npz file with an array x.")
    if STDIN in paths:
        return _collect_stdin(policy), ()
    files: list[Path] = []
    left_out: list[LeftOut] = []
    for path in paths:
        if os.path.isdir(path):
            found, others = find_images(path, root=path)
            files += [path / name for name in found]
            left_out += [LeftOut(printable((path / item.name).as_posix()), item.reason) for item in others]
        else:
            files.append(path)
    files = list(dict.fromkeys(files))
    if not files:
        raise InputError(
            f"{name_some([str(path) for path in paths])}: there must be an image to {verb}. Received none."
        )
    return _collect_files(files, left_out, policy, verb, progress)


def _collect_files(
    files: Sequence[Path], left_out: list[LeftOut], policy: ImagePolicy, verb: str, progress: Progress | None
) -> tuple[Samples, tuple[LeftOut, ...]]:
    names = [printable(path.as_posix()) for path in files]
    checked = check_images(files, by_suffix=False, value_range=policy.value_range, progress=progress)
    bad = left_out_of(names, checked)
    good = [i for i, result in enumerate(checked) if isinstance(result, Checked)]
    properties = tuple(result for result in checked if isinstance(result, Checked))
    if not good:
        lines = [f"{item.name}: {item.reason}." for item in bad[:NUM_NAMED]]
        raise InputError("\n".join([*lines, f"Nothing to {verb}: give {FORMAT_NAMES} files, or folders of them."]))
    samples = Samples(
        names=tuple(names[i] for i in good),
        labels=np.full(len(good), NO_LABEL, np.int32),
        digests=tuple(result.digest for result in properties),
        groups=None,
        policy=policy,
        files=tuple(str(files[i]) for i in good),
        checked=properties,
    )
    return samples, (*left_out, *bad)


def _collect_stdin(policy: ImagePolicy) -> Samples:
    data = sys.stdin.buffer.read(MAX_FILE_BYTES + 1)
    try:
        if len(data) > MAX_FILE_BYTES:
            raise BadImage(f"too large: an image may have at most {MAX_FILE_BYTES:,} bytes")
        image = np.asarray(decode(data, value_range=policy.value_range))
    except BadImage as reason:
        raise InputError(f"{STDIN}: {reason}. Send the bytes of one image to stdin.") from None
    x = image.reshape(1, *image.shape[:2], -1)  # [1, height, width, channels]
    listing = list_arrays(str(STDIN), x, np.full(1, NO_LABEL, np.int32), str(STDIN))
    return leave_unsized(replace(as_samples(listing, policy), names=(str(STDIN),)))


def _collect_arrays(
    file: Path, policy: ImagePolicy | None, shape: tuple[int, ...], value_range: tuple[float, float]
) -> Samples:
    arrays, others = read_arrays(file, ARRAY_KEYS)
    key = next((key for key in ARRAY_KEYS if key in arrays), None)
    if key is None:
        raise InputError(f"{file}: there must be an array x or x_test. Received {name_some(others) or 'none'}.")
    layout: Layout = "image" if policy is not None else "signal" if len(shape) == 2 else "volume"
    x = to_samples(arrays[key], f"{file}: {key}", layout=layout, value_range=value_range, remedy=BRING_TO_RANGE)
    if policy is None and x.shape[1:] != shape:
        raise InputError(
            f"{file}: {key} must contain samples of shape {shape}, as in training. Received {x.shape[1:]}."
        )
    listing = list_arrays(file.name, x, np.full(len(x), NO_LABEL, np.int32), f"{file}: {key}")
    samples = as_samples(listing, policy)
    return samples if policy is None else leave_unsized(samples)
