"""Series in .npz files."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from dlcli.data.listing import NO_ALIASES, SplitKeys, name_some
from dlcli.data.npz_archive import SUFFIXES, label_names, read_arrays, sort_labels
from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.series.sequence import Goal, Series, as_numbers, as_steps, assemble_series
from dlcli.data.splits import LeftOut
from dlcli.errors import InputError


def read_sequence_npz(
    *,
    path: str | Path,
    goal: Goal,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """x_train ``[n, steps, features]`` or ``[n, steps]``, y_train ``[n]`` and, where wanted, lengths_train ``[n]``.

    The same with _val and _test where there are. Without lengths a sequence ends before the steps at its end that are
    NaN throughout.

    Args:
        goal: y is a class (whole numbers or text), or a number.
        classes: those of a trained model, where its labels are to be used; a file with one split alone then counts as
            undivided. Default: those of y_train, sorted.
        aliases: other names of these.
        num_features: of a trained model.

    Raises:
        InputError: the file, its arrays, shapes or values are not as described.
    """
    file = Path(path)
    keys = [f"{axis}_{suffix}" for suffix in SUFFIXES.values() for axis in ("x", "y", "lengths")]
    arrays, others = read_arrays(file, keys)
    splits = [split for split, suffix in SUFFIXES.items() if f"x_{suffix}" in arrays or f"y_{suffix}" in arrays]
    is_new = classes is None and num_features is None
    if "train" not in splits and (is_new or len(splits) != 1):
        present = name_some([*arrays, *others]) or "none"
        raise InputError(f"{file}: there must be arrays x_train and y_train. Received {present}.")
    samples: list[Series] = []
    for split in splits:
        suffix = SUFFIXES[split]
        for axis in ("x", "y"):
            if f"{axis}_{suffix}" not in arrays:
                raise InputError(
                    f"{file}: there must be arrays x_{suffix} and y_{suffix}. Received {name_some([*arrays])}."
                )
        x = as_steps(arrays[f"x_{suffix}"], arrays.get(f"lengths_{suffix}"), f"{file}: x_{suffix}")
        y = arrays[f"y_{suffix}"]
        if y.shape[:1] != (len(x),):
            raise InputError(
                f"{file}: x_{suffix} and y_{suffix} must have one entry for each sample. Received shapes "
                f"{arrays[f'x_{suffix}'].shape} and {y.shape}."
            )
        goals = label_names(y, f"{file}: y_{suffix}") if goal == "class" else as_numbers(y, f"{file}: y_{suffix}")
        own = "train" if len(splits) == 1 else split
        samples += [Series(f"{split}/{i}", own, goals[i], values) for i, values in enumerate(x)]
    left_out = [LeftOut(name, f"not one of {', '.join(keys)}") for name in others]
    return assemble_series(
        str(file),
        samples,
        goal=goal,
        in_order=sort_labels,
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        left_out=left_out,
        common=common,
    )
