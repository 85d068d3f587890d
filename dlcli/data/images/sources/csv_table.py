"""Images listed in a CSV file: a row for each with its path, its class and, optionally, its split and group."""

from pathlib import Path
from typing import Unpack

from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.splits import LeftOut
from dlcli.data.table import ImageRow, read_image_rows
from dlcli.errors import InputError


def read_csv(
    *,
    path: str | Path,
    image: str,
    label: str,
    split: str | None,
    group: str | None,
    allow_outside: bool = False,
    reading: Reading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images that a CSV file lists; paths are relative to its folder.

    UTF-8, with a header; the delimiter is the one of comma, semicolon and tab that is most frequent in the header.
    Spaces around a value are ignored.

    Args:
        image, label, split, group: names of columns.
        allow_outside: whether paths may leave the table's folder.

    Raises:
        InputError: the table is not as described, rows contradict each other, or images cannot be read.
    """
    table = Path(path)
    rows = read_image_rows(table, image=image, label=label, split=split, group=group, allow_outside=allow_outside)
    rows, left_out = _drop_repeated(table, rows)
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        rows,
        source=str(table),
        rule=f"column '{split}' must be train in some rows.",
        place=lambda name: f"{table}:{line_of[name]}: {name}",
        on_bad_image=reading.on_bad_image,
        trained=reading.classes,
        aliases=reading.aliases,
        progress=reading.progress,
        common=common,
        has_groups=group is not None,
        exclude=reading.exclude,
        left_out=left_out,
    )


def _drop_repeated(table: Path, rows: list[ImageRow]) -> tuple[list[ImageRow], list[LeftOut]]:
    """The first row of each image; further rows are left out.

    Raises:
        InputError: two rows of one image contradict each other.
    """
    first: dict[str, ImageRow] = {}
    left_out = []
    for row in rows:
        earlier = first.setdefault(row.name, row)
        if earlier is row:
            continue
        if (earlier.label, earlier.split, earlier.group) != (row.label, row.split, row.group):
            raise InputError(
                f"{table}:{row.line}: an image must have one label, split and group. Line {earlier.line} has "
                f"others for '{row.name}'."
            )
        left_out.append(LeftOut(row.name, f"listed again on line {row.line}"))
    return list(first.values()), left_out
