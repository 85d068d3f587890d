"""Series: sequences of numbers, each with a class or a number to predict, as every source lists them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dlcli.data.annotations import Annotation, Array
from dlcli.data.listing import NO_ALIASES, Listing, SplitKeys, list_rows, sort_names
from dlcli.data.sequences.dataset import SequenceDataset, assemble_sequences
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.splits import DataWarning, LeftOut
from dlcli.data.table import LARGEST
from dlcli.errors import InputError

MAX_BYTES = 2**30  # of a file of sequences
Goal = Literal["class", "value"]  # what is to be predicted


@dataclass(frozen=True)
class Series:
    """A series as its source lists it.

    Attributes:
        label: its class, or the number to predict.
        values: its steps ``[length, features]``, NaN for a missing value.
    """

    name: str
    split: str
    label: str
    values: NDArray[np.float32]
    group: str = ""
    line: int = 1


def as_steps(
    x: NDArray[Any], lengths: NDArray[Any] | None, source: str, *, lengths_source: str
) -> list[NDArray[np.float32]]:
    """The steps of each sample, float32 ``[length, features]``.

    Args:
        x: ``[n, steps]`` or ``[n, steps, features]``, NaN for a missing value.
        lengths: ``[n]``; by default a sequence ends before its trailing steps of NaN.
        source, lengths_source: where the arrays come from, for messages.

    Raises:
        InputError: the arrays are not as described, or a sequence has no step.
    """
    if x.dtype.kind not in "iufb" or x.ndim not in (2, 3):
        raise InputError(
            f"{source} must be numbers [n, steps] or [n, steps, features]. Received {x.dtype} of shape {x.shape}."
        )
    if 0 in x.shape:
        raise InputError(f"{source} must contain at least one sample of one step. Received shape {x.shape}.")
    if (np.abs(x) > LARGEST).any():
        raise InputError(
            f"{source} must contain numbers of at most {LARGEST:g} in magnitude, or NaN for a missing value. "
            f"Received {x[np.abs(x) > LARGEST][0]:g}."
        )
    values = x.astype(np.float32).reshape(len(x), x.shape[1], -1)
    where = source if lengths is None else lengths_source
    if lengths is None:
        is_step = np.asarray(~np.isnan(values).all(axis=2))
        lengths = np.where(is_step.any(axis=1), x.shape[1] - is_step[:, ::-1].argmax(axis=1), 0)
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
    """The numbers to predict, as the labels of series.

    Raises:
        InputError: they are not one finite number for each sample, at most LARGEST in magnitude.
    """
    if y.dtype.kind not in "iufb" or y.size != len(y) or not np.isfinite(y).all():
        raise InputError(f"{source} must be one finite number for each sample. Received {y.dtype} of shape {y.shape}.")
    if (np.abs(y) > LARGEST).any():
        raise InputError(
            f"{source} must contain numbers of at most {LARGEST:g} in magnitude. Received {np.abs(y).max():g}."
        )
    return [repr(float(value)) for value in y.reshape(-1)]


def assemble_series(
    source: str,
    samples: Sequence[Series],
    *,
    goal: Goal,
    common: SplitKeys,
    in_order: Callable[[Sequence[str]], tuple[str, ...]] = sort_names,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    exclude: Sequence[str] = (),
    left_out: Sequence[LeftOut] = (),
    warnings: Sequence[DataWarning] = (),
    has_groups: bool = False,
    features: tuple[str, ...] = (),
) -> SequenceDataset:
    """A data set of series.

    Args:
        in_order: the distinct classes of train in the order of the outputs.
        classes: those of a trained model, to use its labels.
        aliases: other names of these.
        num_features: of a trained model; by default that of the first training sample.
        features: names of a step's features.
        exclude: patterns of the names of samples to leave out.

    Raises:
        InputError: there are no training samples, samples differ in their features, or the classes or splits are not
            possible.
    """
    rule = "there must be sequences to train on."
    train = [sample for sample in samples if sample.split == "train"]
    if not train:
        raise InputError(f"{source}: {rule} Received none.")
    num_features = train[0].values.shape[1] if num_features is None else num_features
    for sample in samples:
        if sample.values.shape[1] != num_features:
            raise InputError(
                f"{source}: {sample.name}: every step must have {num_features} features. Received "
                f"{sample.values.shape[1]}."
            )

    def complete(listing: Listing, part: Sequence[Series]) -> Listing:
        annotations: dict[str, Annotation] = {"values": Ragged.join([sample.values for sample in part])}
        if goal == "value":
            annotations["targets"] = Array(np.array([float(sample.label) for sample in part], np.float32))
        return replace(listing, annotations=annotations)

    known, listings = list_rows(
        samples,
        source=source,
        rule=rule,
        has_groups=has_groups,
        complete=complete,
        has_classes=goal == "class",
        in_order=in_order,
        trained=classes,
        aliases=aliases,
    )
    return assemble_sequences(
        listings,
        known,
        source=source,
        left_out=left_out,
        warnings=warnings,
        common=common,
        features=features,
        exclude=exclude,
    )
