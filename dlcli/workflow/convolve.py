"""``dlcli convolve``: the convolution of a signal or an image with a kernel, without a network."""

import io
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from dlcli.convolution.arithmetic import (
    Border,
    Padding,
    convolve,
    max_pool,
    output_length,
    pad_widths,
    shape_text,
    shifted,
)
from dlcli.convolution.kernels import LARGEST, parse_numbers, read_kernel
from dlcli.data.images.decoding import BadImage, decode, read_file
from dlcli.data.table import number_error, read_records, refuse_errors
from dlcli.errors import InputError
from dlcli.files import read_text
from dlcli.report.plots.convolution import image_figure, signal_figure
from dlcli.rundir.tables import csv_text
from dlcli.rundir.writing import replace_file

Array = NDArray[np.float64]
LIST = re.compile(r"[-+0-9./e]*[0-9][-+0-9./e]*[,\s][-+0-9.,/e\s]*", re.IGNORECASE)
"""What can only be meant as numbers."""
TABLES = (".csv", ".tsv", ".txt")
MAX_TABLE_BYTES = 2**27
MAX_VALUES = 5 * 10**7  # of an input: 400 MB, for each step
MAX_PRODUCTS = 5e9  # a few tens of seconds


@dataclass(frozen=True)
class Setting:
    """What is computed of the input: the options of the command."""

    kernel: str
    stride: int
    padding: Padding
    border: Border
    flip: bool
    relu: bool
    pool: int | None
    pool_stride: int
    shift: int | None


@dataclass(frozen=True)
class Convolved:
    """Every step by its name, from ``input`` to the last one, and the same of the shifted input if there is one."""

    kernel: Array
    steps: dict[str, Array]
    of_shifted: dict[str, Array]
    setting: Setting

    @property
    def result(self) -> Array:
        """The last step."""
        return next(reversed(self.steps.values()))

    @property
    def is_signal(self) -> bool:
        return self.kernel.ndim == 1

    def as_dict(self) -> dict[str, Any]:
        """For JSON: shapes, the weights, and for a signal its values."""
        size, stride, padding = self.kernel.shape, self.setting.stride, self.setting.padding
        lengths = self.steps["input"].shape[: self.kernel.ndim]
        pads = [pad_widths(length, side, stride, padding) for length, side in zip(lengths, size, strict=True)]
        return {
            "kernel": self.kernel.tolist(),
            "flipped": self.setting.flip,
            "stride": stride,
            "padding": pads,
            "border": self.setting.border,
            "steps": [
                {
                    "name": name,
                    "shape": list(values.shape),
                    "minimum": float(values.min()),
                    "maximum": float(values.max()),
                    "mean": float(values.mean()),
                    **({"values": values.tolist()} if self.is_signal else {}),
                }
                for name, values in self.steps.items()
            ],
            "shift": self.changes(),
        }

    def changes(self) -> list[dict[str, Any]]:
        """For each step how much of it changes when the input is shifted: the share of its values that are not equal,
        and the norm of the difference, divided by the step's own norm."""
        rows = []
        for name, values in self.steps.items():
            if name in self.of_shifted:
                difference = self.of_shifted[name] - values
                norm = float(np.linalg.norm(values))
                rows.append(
                    {
                        "name": name,
                        "changed": float(np.mean(difference != 0)),
                        "relative_change": float(np.linalg.norm(difference)) / norm if norm else None,
                    }
                )
        return rows


def run_convolve(source: str, setting: Setting, *, column: str | None, gray: bool) -> Convolved:
    """Convolve a signal or an image.

    Args:
        source: numbers, the path of a table, or that of an image.
        column: of a table; None if it has one.
        gray: whether an image in color becomes gray.

    Raises:
        InputError: the source cannot be read, or the kernel does not fit it.
    """
    values = _read(source, column, gray)
    if values.size > MAX_VALUES:
        raise InputError(f"{_name(source)}: expected at most {MAX_VALUES:,} values. Received {values.size:,}.")
    kernel = read_kernel(setting.kernel, 1 if values.ndim == 1 else 2)
    _check_work(values, kernel, setting)
    try:
        steps = _steps(values, kernel, setting)
        of_shifted = {}
        if setting.shift is not None:
            moved = shifted(values, setting.shift, border=setting.border)
            of_shifted = _steps(moved, kernel, setting)
    except ValueError as error:
        remedy = (
            "Use a smaller --pool." if "pool" in str(error) else "Use --padding same, or a smaller --kernel or --pool."
        )
        raise InputError(f"{_name(source)}: {error}. {remedy}") from None
    return Convolved(kernel, steps, of_shifted, setting)


def _steps(values: Array, kernel: Array, setting: Setting) -> dict[str, Array]:
    rank = kernel.ndim
    steps = {"input": values}
    steps["convolution" if setting.flip else "cross-correlation"] = last = convolve(
        values, kernel, stride=setting.stride, padding=setting.padding, border=setting.border, flip=setting.flip
    )
    if setting.relu:
        steps["detector"] = last = np.maximum(last, 0)
    if setting.pool is not None:
        steps["pooling"] = max_pool(last, setting.pool, setting.pool_stride, rank=rank)
    return steps


def _check_work(values: Array, kernel: Array, setting: Setting) -> None:
    lengths = [
        output_length(length, size, setting.stride, pad_widths(length, size, setting.stride, setting.padding))
        for length, size in zip(values.shape, kernel.shape, strict=False)
    ]
    channels = 1 if kernel.ndim == 1 else values.shape[-1]
    if float(np.prod(lengths, dtype=float)) * channels * kernel.size > MAX_PRODUCTS:
        raise InputError(
            f"--kernel: {shape_text(kernel.shape)} weights at {shape_text(tuple(lengths))} positions are more than "
            f"{MAX_PRODUCTS:g} products. Use a smaller kernel, a larger --stride or a smaller image."
        )


def _read(source: str, column: str | None, gray: bool) -> Array:
    if not source.strip():
        raise InputError(
            "the input must not be empty. Give an image, a table of numbers, or numbers such as '0, 1, 2'."
        )
    numbers = parse_numbers(source)
    if numbers is None and LIST.fullmatch(source) and not Path(source).exists():
        rule = f"expected numbers of at most {LARGEST:g} in magnitude, separated by commas or spaces"
        raise InputError(f"{rule}. Received '{_name(source)}'.")
    is_table = numbers is None and Path(source).suffix.lower() in TABLES
    if column is not None and not is_table:
        raise InputError("--column: is for a table (.csv, .tsv, .txt). Remove the option.")
    if gray and (numbers is not None or is_table):
        raise InputError("--gray: is for an image. Remove the option.")
    if numbers is not None:
        return np.array(numbers)
    return _read_column(Path(source), column) if is_table else _read_image(Path(source), gray)


def _read_image(path: Path, gray: bool) -> Array:
    try:
        image = decode(read_file(path))
    except BadImage as reason:
        raise InputError(
            f"{path}: {reason}. Give an image, a table of numbers ({', '.join(TABLES)}), or numbers such as '0, 1, 2'."
        ) from None
    if gray:
        image = image.convert("L")
    pixels = np.asarray(image, dtype=np.float64)
    return pixels[..., None] if pixels.ndim == 2 else pixels


def _read_column(path: Path, column: str | None) -> Array:
    """A column of a table whose first row has the names of the columns if it is not numbers."""
    text = read_text(path, noun="table", max_bytes=MAX_TABLE_BYTES, remedy="Give a table of numbers.")
    records = list(read_records(path, text))
    if not records:
        raise InputError(f"{path}: there must be rows of numbers. Received an empty file.")
    first = [cell.strip() for cell in records[0][1]]
    has_header = any(number_error("", cell) is not None for cell in first)
    names = first if has_header else [str(number) for number in range(1, len(first) + 1)]
    rows = records[1:] if has_header else records
    if column is None and len(names) > 1:
        raise InputError(f"--column: name one of the columns of {path}. It has {', '.join(names[:10])}.")
    if column is not None and names.count(column) != 1:
        raise InputError(
            f"--column: expected one of the columns of {path}: {', '.join(names[:10])}. Received '{column}'."
        )
    index = 0 if column is None else names.index(column)
    errors, values = [], []
    for line, cells in rows:
        cell = cells[index].strip() if index < len(cells) else ""
        error = number_error(names[index], cell)
        if error is None:
            values.append(float(cell))
        else:
            errors.append((line, error))
    refuse_errors(path, errors)
    if not values:
        raise InputError(f"{path}: there must be rows of numbers below the header. Received none.")
    return np.array(values)


def _name(source: str) -> str:
    return source if len(source) <= 50 else f"{source[:49]}…"


def write_result(convolved: Convolved, path: Path) -> int:
    """Write the result as ``.csv``, ``.npz`` or, of an image, ``.png``.

    Returns:
        The number of values that a PNG cannot hold and that became 0 or 255.

    Raises:
        InputError: the format cannot hold such a result.
    """
    result = convolved.result
    if path.suffix.lower() == ".png":
        if convolved.is_signal:
            raise InputError(f"{path}: a signal is written as .csv or .npz; --plot draws it.")
        image = Image.fromarray(np.clip(np.rint(result), 0, 255).astype(np.uint8).squeeze())
        replace_file(path, _bytes(lambda file: image.save(file, "PNG")))
        return int(np.sum((result < -0.5) | (result > 255.5)))
    if path.suffix.lower() == ".npz":
        arrays: dict[str, Any] = {name.replace("-", "_"): values for name, values in convolved.steps.items()}
        replace_file(path, _bytes(lambda file: np.savez_compressed(file, kernel=convolved.kernel, **arrays)))
        return 0
    if convolved.is_signal:
        replace_file(path, csv_text(["step", "value"], enumerate(result.tolist())))
        return 0
    if result.shape[-1] > 1:
        raise InputError(f"{path}: a table cannot hold {result.shape[-1]} channels. Use --gray, or .npz.")
    header = [f"x{column}" for column in range(result.shape[1])]
    replace_file(path, csv_text(header, result[..., 0].tolist()))
    return 0


def write_figure(convolved: Convolved, path: Path) -> None:
    """Draw the input, the kernel and each step."""
    steps = dict(convolved.steps)
    if convolved.is_signal:
        signal = {"input": steps.pop("input"), "kernel": convolved.kernel}
        replace_file(path, signal_figure({**signal, **steps}))
    else:
        replace_file(path, image_figure(steps, convolved.kernel))


def _bytes(save: Callable[[Any], None]) -> bytes:
    buffer = io.BytesIO()
    save(buffer)
    return buffer.getvalue()
