"""Series in .npz files."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Unpack

from dlcli.data.listing import NO_ALIASES, SplitKeys
from dlcli.data.npz_archive import (
    SUFFIXES,
    label_names,
    missing_arrays,
    read_arrays,
    sort_labels,
    splits_of,
    unused_arrays,
)
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import Goal, Series, as_numbers, as_steps, assemble_series
from dlcli.errors import InputError


def read_sequence_npz(
    *,
    path: str | Path,
    goal: Goal,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    exclude: Sequence[str] = (),
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """x_train ``[n, steps, features]`` or ``[n, steps]``, y_train ``[n]`` and, optionally, lengths_train ``[n]``.

    The same with the suffixes _val and _test. Without lengths a sequence ends before its trailing steps of NaN.

    Args:
        goal: whether y are classes (whole numbers or text) or numbers.
        classes: those of a trained model, to use its labels; a file with a single split is then treated as undivided.
            Default: those of y_train, sorted.
        aliases: other names of these.
        num_features: of a trained model.

    Raises:
        InputError: the file, its arrays, shapes or values are not as described.
    """
    file = Path(path)
    keys = [f"{axis}_{suffix}" for suffix in SUFFIXES.values() for axis in ("x", "y", "lengths")]
    arrays, others = read_arrays(file, keys)
    left_out = unused_arrays(keys, others)
    is_trained = classes is not None or num_features is not None
    suffixes = splits_of(file, arrays, left_out, axes=("x", "y"), is_trained=is_trained)
    samples: list[Series] = []
    for split, suffix in suffixes.items():
        expected = [f"x_{suffix}", f"y_{suffix}"]
        if not all(key in arrays for key in expected):
            raise missing_arrays(file, expected, [*arrays])
        lengths = arrays.get(f"lengths_{suffix}")
        where = f"{file}: x_{suffix}"
        x = as_steps(arrays[f"x_{suffix}"], lengths, where, lengths_source=f"{file}: lengths_{suffix}")
        y = arrays[f"y_{suffix}"]
        if y.shape[:1] != (len(x),):
            raise InputError(
                f"{file}: x_{suffix} and y_{suffix} must have one entry for each sample. Received shapes "
                f"{arrays[f'x_{suffix}'].shape} and {y.shape}."
            )
        labels = label_names(y, f"{file}: y_{suffix}") if goal == "class" else as_numbers(y, f"{file}: y_{suffix}")
        own = "train" if len(suffixes) == 1 else split
        samples += [Series(f"{split}/{i}", own, labels[i], values) for i, values in enumerate(x)]
    return assemble_series(
        str(file),
        samples,
        goal=goal,
        in_order=sort_labels,
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        exclude=exclude,
        left_out=left_out,
        common=common,
    )
