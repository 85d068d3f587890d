"""Sequences of numbers, each with a class or a number to predict: from arrays, tables, and the UCR and UEA archives."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.listing import Listing, SplitKeys, index_labels
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import SPLITS, LeftOut
from dlcli.data.table import LARGEST
from dlcli.errors import InputError

MAX_BYTES = 2**30  # of a file of sequences
BYTES_A_STEP = 64  # that making the adding problem takes
Goal = Literal["class", "value"]  # what is to be predicted


@dataclass(frozen=True)
class Series:
    """A sequence as a source has it: ``values`` are its steps ``[length, features]``, NaN where one is missing."""

    name: str
    split: str
    goal: str
    values: NDArray[np.float32]
    group: str = ""
    line: int = 1


def as_steps(x: NDArray[Any], lengths: NDArray[Any] | None, source: str) -> list[NDArray[np.float32]]:
    if x.dtype.kind not in "iufb" or x.ndim not in (2, 3):
        raise InputError(
            f"{source} must be numbers [n, steps] or [n, steps, features]. Received {x.dtype} of shape {x.shape}."
        )
    if 0 in x.shape:
        raise InputError(f"{source} must hold at least one sample of one step. Received shape {x.shape}.")
    if (np.abs(x) > LARGEST).any():
        raise InputError(
            f"{source} must hold numbers of at most {LARGEST:g} in size, or NaN where one is missing. "
            f"Received {x[np.abs(x) > LARGEST][0]:g}."
        )
    values = x.astype(np.float32).reshape(len(x), x.shape[1], -1)
    where = source.replace(": x_", ": lengths_") if lengths is not None else source
    if lengths is None:
        is_there = np.asarray(~np.isnan(values).all(axis=2))
        lengths = np.where(is_there.any(axis=1), x.shape[1] - is_there[:, ::-1].argmax(axis=1), 0)
    if lengths.shape != (len(x),) or lengths.dtype.kind not in "iu":
        raise InputError(f"{where} must be whole numbers [n]. Received {lengths.dtype} of shape {lengths.shape}.")
    wrong = np.flatnonzero((lengths < 1) | (lengths > x.shape[1]))
    if len(wrong):
        raise InputError(
            f"{where}: a sequence must have 1 to {x.shape[1]} steps. Received "
            f"{lengths[wrong[0]]} for sample {wrong[0]}."
        )
    return [values[i, : int(length)] for i, length in enumerate(lengths)]


def as_numbers(y: NDArray[Any], source: str) -> list[str]:
    if y.dtype.kind not in "iufb" or y.size != len(y) or not np.isfinite(y).all():
        raise InputError(f"{source} must be one finite number for each sample. Received {y.dtype} of shape {y.shape}.")
    if (np.abs(y) > LARGEST).any():
        raise InputError(f"{source} must hold numbers of at most {LARGEST:g} in size. Received {np.abs(y).max():g}.")
    return [repr(float(value)) for value in y.reshape(-1)]


# All of them ----------------------------------------------------------------------------------------------------------


def assemble_series(
    source: str,
    samples: Sequence[Series],
    *,
    goal: Goal,
    in_order: Callable[[list[str]], tuple[str, ...]],
    classes: tuple[str, ...] | None,
    aliases: Mapping[str, str],
    num_features: int | None,
    left_out: Sequence[LeftOut],
    common: SplitKeys,
    has_groups: bool = False,
    features: tuple[str, ...] = (),
) -> SequenceDataset:
    by_split = {split: [sample for sample in samples if sample.split == split] for split in SPLITS}
    by_split = {split: part for split, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{source}: there must be sequences to train on. Received none.")
    wanted = by_split["train"][0].values.shape[1] if num_features is None else num_features
    for sample in samples:
        if sample.values.shape[1] != wanted:
            raise InputError(
                f"{source}: {sample.name}: every step must have {wanted} features. Received {sample.values.shape[1]}."
            )
    if goal == "class":
        goals = {split: [sample.goal for sample in part] for split, part in by_split.items()}
        own = in_order(goals["train"])
        known, labels = index_labels(goals, own, source=source, trained=classes, aliases=aliases)
    else:
        known, labels = ("",), {split: np.zeros(len(part), np.int32) for split, part in by_split.items()}
    listings = {
        split: Listing(
            names=tuple(sample.name for sample in part),
            labels=labels[split],
            groups=tuple(sample.group for sample in part) if has_groups else None,
            values=Ragged.join([sample.values for sample in part]),
            targets=np.array([float(sample.goal) for sample in part], np.float32) if goal == "value" else None,
        )
        for split, part in by_split.items()
    }
    return assemble_sequences(
        listings, known, source=source, left_out=left_out, warnings=(), common=common, features=features
    )
