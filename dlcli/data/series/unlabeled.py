"""Series without ground truth, for prediction."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dlcli.data.decimals import Mark, cell_error, number_in
from dlcli.data.files import printable
from dlcli.data.npz_archive import read_arrays
from dlcli.data.sequences.ragged import Ragged
from dlcli.data.series.long_table import feature_error, step_of_row
from dlcli.data.series.sequence import MAX_BYTES, Series, as_steps
from dlcli.data.series.ts_archive import read_ts_file
from dlcli.data.table import Cells, column_names, read_cells, refuse_errors, role_columns
from dlcli.errors import InputError
from dlcli.files import read_text


def read_unlabeled_series(
    path: Path,
    *,
    sequence: str,
    time: str | None,
    features: Sequence[str] | None,
    others: Sequence[str],
    num_features: int,
    columns: Sequence[str] | None = None,
    decimal: Mark | None = None,
) -> tuple[list[str], Ragged]:
    """The names and steps of sequences to predict: x or x_test of an .npz, a .csv in long format, or a .ts file.

    Args:
        sequence, time, features: columns of the .csv; time must increase within a sequence.
        others: columns of the training data that are not features; they may be absent.
        num_features: of the trained model.
        columns: the names of all columns of tables without a header.
        decimal: the decimal mark of numbers in tables; None for a point, without groups of digits.

    Raises:
        InputError: the file cannot be read, or has other features.
    """
    if path.suffix.lower() == ".npz":
        arrays, _ = read_arrays(path, ["x", "x_test", "lengths", "lengths_test"])
        key = next((key for key in ("x", "x_test") if key in arrays), None)
        if key is None:
            raise InputError(f"{path}: there must be an array x or x_test. Received none.")
        lengths_key = "lengths" + key.removeprefix("x")
        found = as_steps(
            arrays[key], arrays.get(lengths_key), f"{path}: {key}", lengths_source=f"{path}: {lengths_key}"
        )
        samples = [Series(f"{path}/{i}", "", "", values) for i, values in enumerate(found)]
    elif path.suffix.lower() == ".ts":
        samples, _ = read_ts_file(path, "", goal=None)
    else:
        samples = _read_unlabeled_table(path, sequence, time, features, others, columns, decimal)
    if not samples:
        raise InputError(f"{path}: there must be sequences. Received none.")
    for sample in samples:
        if sample.values.shape[1] != num_features:
            raise InputError(
                f"{path}: {sample.name}: every step must have {num_features} features, as in training. Received "
                f"{sample.values.shape[1]}."
            )
    return [sample.name for sample in samples], Ragged.join([sample.values for sample in samples])


def _read_unlabeled_table(
    table: Path,
    sequence: str,
    time: str | None,
    features: Sequence[str] | None,
    others: Sequence[str],
    names: Sequence[str] | None,
    decimal: Mark | None,
) -> list[Series]:
    text = read_text(table, noun="table", max_bytes=MAX_BYTES, remedy="Give a .csv, an .npz or a .ts file.")
    known = features or [name for name in column_names(table, text, names) if name not in (sequence, time, *others)]

    def error_of(cells: Cells) -> str | None:
        error = None if time is None else cell_error(time, cells["time"], decimal)
        return error or feature_error(known, cells, decimal)

    columns = role_columns(sequence=sequence, time=time)
    of_features = {f"feature {name}": name for name in known}
    records, errors = read_cells(
        table, text, columns | of_features, required=list(columns), error_of=error_of, names=names
    )
    rows: dict[str, list[list[float]]] = {}
    latest: dict[str, float] = {}
    for line, _, cells in records:
        name = cells["sequence"]
        if time is not None:
            moment = number_in(cells["time"], decimal)
            if name in latest and moment <= latest[name]:
                errors.append((line, f"column '{time}' must increase within a sequence. Sort the rows of '{name}'."))
            latest[name] = moment
        rows.setdefault(name, []).append(step_of_row(known, cells, decimal))
    refuse_errors(table, errors)
    return [Series(printable(name), "", "", np.array(steps, np.float32)) for name, steps in rows.items()]
