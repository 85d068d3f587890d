"""Images listed in a CSV file: a row for each with its path, its class and, optionally, its split and group."""

from pathlib import Path
from typing import Unpack

from dlcli.data.images.dataset import CommonKeys, Reading, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.table import drop_repeated, read_image_rows


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

    UTF-8, with a header; the delimiter is the one of comma, semicolon, tab and | that is most frequent in the header.
    Spaces around a value are ignored.

    Args:
        image, label, split, group: names of columns.
        allow_outside: whether paths may leave the table's folder.

    Raises:
        InputError: the table is not as described, rows contradict each other, or images cannot be read.
    """
    table = Path(path)
    rows = read_image_rows(table, image=image, label=label, split=split, group=group, allow_outside=allow_outside)
    rows, left_out = drop_repeated(table, rows, must="one label, split and group")
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
