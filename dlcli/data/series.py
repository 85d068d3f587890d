"""Sequences of numbers, each with a class or a number to predict: from arrays, tables, and the UCR and UEA archives."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import NDArray

from dlcli.data.files import read_text
from dlcli.data.listing import NO_ALIASES, Listing, SplitKeys, index_labels, name_some
from dlcli.data.npz import SUFFIXES, half_of_memory, label_names, read_arrays, sort_labels
from dlcli.data.ragged import Ragged
from dlcli.data.samples import SPLITS, LeftOut
from dlcli.data.scan import printable
from dlcli.data.sequences import SequenceDataset, assemble_sequences
from dlcli.data.table import (
    LARGEST,
    MISSING,
    Cells,
    check_groups,
    column_names,
    is_usable,
    number_fault,
    parse_number,
    read_cells,
    refuse_faults,
)
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


# Arrays ---------------------------------------------------------------------------------------------------------------


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
        x = _steps(arrays[f"x_{suffix}"], arrays.get(f"lengths_{suffix}"), f"{file}: x_{suffix}")
        y = arrays[f"y_{suffix}"]
        if y.shape[:1] != (len(x),):
            raise InputError(
                f"{file}: x_{suffix} and y_{suffix} must have one entry for each sample. Received shapes "
                f"{arrays[f'x_{suffix}'].shape} and {y.shape}."
            )
        goals = label_names(y, f"{file}: y_{suffix}") if goal == "class" else _numbers(y, f"{file}: y_{suffix}")
        own = "train" if len(splits) == 1 else split
        samples += [Series(f"{split}/{i}", own, goals[i], values) for i, values in enumerate(x)]
    left_out = [LeftOut(name, f"not one of {', '.join(keys)}") for name in others]
    return _assemble(
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


def _steps(x: NDArray[Any], lengths: NDArray[Any] | None, source: str) -> list[NDArray[np.float32]]:
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


def _numbers(y: NDArray[Any], source: str) -> list[str]:
    if y.dtype.kind not in "iufb" or y.size != len(y) or not np.isfinite(y).all():
        raise InputError(f"{source} must be one finite number for each sample. Received {y.dtype} of shape {y.shape}.")
    if (np.abs(y) > LARGEST).any():
        raise InputError(f"{source} must hold numbers of at most {LARGEST:g} in size. Received {np.abs(y).max():g}.")
    return [repr(float(value)) for value in y.reshape(-1)]


# Tables ---------------------------------------------------------------------------------------------------------------


def read_sequence_csv(
    *,
    path: str | Path,
    sequence: str,
    goal_column: str,
    time: str | None,
    features: tuple[str, ...] | None,
    split: str | None,
    group: str | None,
    goal: Goal,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """A table in long form: a row for each step, with the sequence that it belongs to and that one's class or number.

    Args:
        sequence, goal_column, time, split, group: names of columns; steps are in the order of the rows, along which
            ``time`` must rise within a sequence.
        features: names of the columns of numbers. Default: all other columns.

    Raises:
        InputError: the table is not as described; faults of rows are reported together.
    """
    table = Path(path)
    remedy = "Give a CSV file with a row for each step."
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy=remedy)
    roles = {"sequence": sequence, "goal": goal_column, "time": time, "split": split, "group": group}
    columns = {role: name for role, name in roles.items() if name is not None}
    if features is None:
        features = tuple(name for name in column_names(table, text) if name not in columns.values())
        if not features:
            raise InputError(
                f"{table}:1: there must be columns of numbers besides {name_some(list(columns.values()))}."
            )

    told = [*([("goal", goal_column)] if goal == "value" else []), *([("time", time)] if time is not None else [])]

    def fault_of(cells: Cells) -> str | None:
        faults = (number_fault(name, cells[role]) for role, name in told if cells[role])
        return next((fault for fault in faults if fault is not None), None) or _feature_fault(features, cells)

    records, faults = read_cells(
        table,
        text,
        columns | {f"feature {name}": name for name in features},
        required=tuple(columns),
        fault_of=fault_of,
    )
    by_name: dict[str, list[tuple[int, str, Cells]]] = {}
    for line, own_split, cells in records:
        earlier = by_name.setdefault(cells["sequence"], [])
        if earlier:
            first_line, first_split, first = earlier[0]
            for role in ("goal", "group"):
                if role in cells and cells[role] != first[role]:
                    faults.append(
                        (line, f"a sequence must have one {columns[role]}. Line {first_line} says otherwise.")
                    )
            if own_split != first_split:
                faults.append((line, f"a sequence must be in one split. Line {first_line} says otherwise."))
            if time is not None and float(cells["time"]) <= float(earlier[-1][2]["time"]):
                faults.append(
                    (line, f"column '{time}' must rise within a sequence. Sort the rows of '{cells['sequence']}'.")
                )
        earlier.append((line, own_split, cells))
    refuse_faults(table, faults)
    samples: list[Series] = []
    for name, steps in by_name.items():
        values = np.array([_step(features, cells) for _, _, cells in steps], np.float32)
        line, own_split, cells = steps[0]
        samples.append(Series(printable(name), own_split, cells["goal"], values, cells.get("group", ""), line))
    if split is not None and group is not None:
        check_groups(table, samples)
    return _assemble(
        str(table),
        samples,
        goal=goal,
        in_order=lambda names: tuple(sorted(set(names))),
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        has_groups=group is not None,
        features=features,
        left_out=(),
        common=common,
    )


def _feature_fault(features: Sequence[str], cells: Cells) -> str | None:
    """What is wrong with a row's numbers."""
    faults = (number_fault(name, cell) for name in features if (cell := cells[f"feature {name}"]) not in MISSING)
    return next((fault for fault in faults if fault is not None), None)


def _step(features: Sequence[str], cells: Cells) -> list[float]:
    """A row's numbers, NaN where one is missing."""
    return [math.nan if (cell := cells[f"feature {name}"]) in MISSING else float(cell) for name in features]


# UCR and UEA ----------------------------------------------------------------------------------------------------------


def read_ts(
    *,
    path: str | Path,
    validation_path: str | Path | None,
    test_path: str | Path | None,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    num_features: int | None = None,
    **common: Unpack[SplitKeys],
) -> SequenceDataset:
    """The .ts files of the UCR and UEA archives (Bagnall et al. 2018): a line for each sample, with its class last.

    Features are separated by colons, steps by commas; ``?`` is a missing value.

    Args:
        path: of the training samples, or of all.
        validation_path, test_path: further files. Without them splits are drawn.

    Raises:
        InputError: a file is not as described; faults of lines are reported together.
    """
    samples: list[Series] = []
    for split, part in (("train", path), ("validation", validation_path), ("test", test_path)):
        if part is not None:
            samples += _read_ts_file(Path(part), split)
    return _assemble(
        str(path),
        samples,
        goal="class",
        in_order=lambda names: tuple(sorted(set(names))),
        classes=classes,
        aliases=aliases,
        num_features=num_features,
        left_out=(),
        common=common,
    )


def _read_ts_file(file: Path, split: str) -> list[Series]:
    remedy = "Give a .ts file of the UCR or UEA archive."
    lines = read_text(file, noun=".ts file", max_bytes=MAX_BYTES, remedy=remedy).split("\n")
    start = next((number for number, line in enumerate(lines) if line.strip().lower() == "@data"), None)
    if start is None:
        raise InputError(f"{file}: there must be a line @data, below which the samples stand. {remedy}")
    header = [line.strip().lower().split() for line in lines[:start] if line.strip().startswith("@")]
    told = {words[0]: words[1:] for words in header}
    if told.get("@timestamps") == ["true"]:
        raise InputError(f"{file}: steps with time stamps are not read. Resample the file to steps without.")
    if told.get("@classlabel", ["true"])[:1] != ["true"]:
        raise InputError(f"{file}: its samples have no class (@classLabel false).")
    if told.get("@targetlabel", ["false"])[:1] == ["true"]:
        raise InputError(f"{file}: its samples have numbers to predict (@targetLabel true); .ts files are for classes.")
    listed = [
        word for line in lines[:start] if line.strip().lower().startswith("@classlabel") for word in line.split()[2:]
    ]
    found: list[Series] = []
    faults: list[tuple[int, str]] = []
    for number, line in enumerate(lines[start + 1 :], start=start + 2):
        if not line.strip() or line.startswith("#"):
            continue
        *features, label = line.strip().split(":")
        fault = "a sample must be features and a class, separated by ':'." if not features or not label else None
        columns: list[list[float]] = []
        for position, feature in enumerate(features, start=1):
            numbers = [math.nan if cell.strip() == "?" else parse_number(cell.strip()) for cell in feature.split(",")]
            wrong = [i for i, value in enumerate(numbers) if not (is_usable(value) or value != value)]
            if wrong and fault is None:
                cell = printable(feature.split(",")[wrong[0]][:50])
                fault = f"feature {position}, step {wrong[0] + 1} must be a number or '?'. Received '{cell}'."
            columns.append([value for value in numbers if value is not None])
        if fault is None and listed and label.strip() not in listed:
            fault = f"the class must be one that @classLabel lists. Received '{printable(label.strip()[:50])}'."
        if fault is None and len({len(column) for column in columns}) > 1:
            fault = f"all features must have as many steps. Received {', '.join(str(len(c)) for c in columns)}."
        if fault is not None:
            faults.append((number, fault))
            continue
        values = np.array(columns, np.float32).T
        found.append(Series(f"{printable(file.name)}:{number}", split, printable(label.strip()), values))
    refuse_faults(file, faults)
    if not found:
        raise InputError(f"{file}: there must be samples below @data. Received none.")
    return found


# To predict -----------------------------------------------------------------------------------------------------------


def read_unlabelled_series(
    path: Path,
    *,
    sequence: str,
    time: str | None,
    features: Sequence[str] | None,
    others: Sequence[str],
    num_features: int,
) -> tuple[list[str], Ragged]:
    """Sequences to predict and what each is called: x or x_test of an .npz, a .csv in long form, or a .ts file.

    Args:
        sequence, time, features: columns of the .csv; time must rise within a sequence.
        others: columns of the training data that are no features, where they are there.
        num_features: of the trained model.

    Raises:
        InputError: the file cannot be read, or has other features.
    """
    if path.suffix == ".npz":
        arrays, _ = read_arrays(path, ["x", "x_test", "lengths", "lengths_test"])
        key = next((key for key in ("x", "x_test") if key in arrays), None)
        if key is None:
            raise InputError(f"{path}: there must be an array x or x_test. Received none.")
        found = _steps(arrays[key], arrays.get(key.replace("x", "lengths")), f"{path}: {key}")
        samples = [Series(f"{path}/{i}", "", "", values) for i, values in enumerate(found)]
    elif path.suffix == ".ts":
        samples = _read_ts_file(path, "")
    else:
        samples = _read_unlabelled_table(path, sequence, time, features, others)
    if not samples:
        raise InputError(f"{path}: there must be sequences. Received none.")
    for sample in samples:
        if sample.values.shape[1] != num_features:
            raise InputError(
                f"{path}: {sample.name}: every step must have {num_features} features, as in training. Received "
                f"{sample.values.shape[1]}."
            )
    return [sample.name for sample in samples], Ragged.join([sample.values for sample in samples])


def _read_unlabelled_table(
    table: Path, sequence: str, time: str | None, features: Sequence[str] | None, others: Sequence[str]
) -> list[Series]:
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a .csv, an .npz or a .ts file.")
    known = features or [name for name in column_names(table, text) if name not in (sequence, time, *others)]

    def fault_of(cells: Cells) -> str | None:
        wrong = None if time is None else number_fault(time, cells["time"])
        return wrong or _feature_fault(known, cells)

    columns = {"sequence": sequence} | ({} if time is None else {"time": time})
    of_features = {f"feature {name}": name for name in known}
    records, faults = read_cells(table, text, columns | of_features, required=list(columns), fault_of=fault_of)
    rows: dict[str, list[list[float]]] = {}
    latest: dict[str, float] = {}
    for line, _, cells in records:
        name = cells["sequence"]
        if time is not None:
            moment = float(cells["time"])
            if name in latest and moment <= latest[name]:
                faults.append((line, f"column '{time}' must rise within a sequence. Sort the rows of '{name}'."))
            latest[name] = moment
        rows.setdefault(name, []).append(_step(known, cells))
    refuse_faults(table, faults)
    return [Series(printable(name), "", "", np.array(steps, np.float32)) for name, steps in rows.items()]


# Made for the purpose -------------------------------------------------------------------------------------------------


def make_adding(*, length: int, num_samples: int, seed: int, **common: Unpack[SplitKeys]) -> SequenceDataset:
    """The adding problem (Hochreiter and Schmidhuber 1997, section 5.4, as Le et al. 2015, section 4.1, have it).

    A step has a number drawn evenly from [0, 1] and a mark, which is 1 at two steps, one in each half of the sequence,
    and 0 at the others; the answer is the sum of the two marked numbers. To answer always 1 is wrong by 1/6 on average
    (squared).

    Raises:
        InputError: so many numbers would not fit into the machine's memory.
    """
    if length * num_samples * BYTES_A_STEP > half_of_memory():
        raise InputError(
            f"adding: {num_samples:,} sequences of {length:,} steps would take more than half of this machine's "
            "memory. Lower data.num_samples or data.length."
        )
    generator = np.random.Generator(np.random.PCG64([seed, length]))
    values = generator.random((num_samples, length)).astype(np.float32)
    first = generator.integers(0, length // 2, num_samples)
    second = generator.integers(length // 2, length, num_samples)
    rows = np.arange(num_samples)
    marks = np.zeros_like(values)
    marks[rows, first] = marks[rows, second] = 1.0
    sums = values[rows, first].astype(np.float64) + values[rows, second]
    samples = [
        Series(f"adding/{i}", "train", repr(float(sums[i])), np.stack([values[i], marks[i]], axis=1))
        for i in range(num_samples)
    ]
    return _assemble(
        "adding",
        samples,
        goal="value",
        in_order=lambda names: (),
        classes=None,
        aliases=NO_ALIASES,
        num_features=None,
        left_out=(),
        common=common,
    )


# All of them ----------------------------------------------------------------------------------------------------------


def _assemble(
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
