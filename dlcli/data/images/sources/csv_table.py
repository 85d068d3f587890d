"""Images listed in a CSV file: a row for each with its path, its class and, where wanted, its split and group."""

from collections.abc import Mapping
from pathlib import Path
from typing import Unpack

from dlcli.data.files import Progress
from dlcli.data.images.dataset import CommonKeys, OnBadImage, assemble_files
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import NO_ALIASES, Listing, index_labels
from dlcli.data.splits import SPLITS, LeftOut
from dlcli.data.table import Row, check_groups, read_rows
from dlcli.errors import InputError


def read_csv(
    *,
    path: str | Path,
    image: str,
    label: str,
    split: str | None,
    group: str | None,
    on_bad_image: OnBadImage,
    classes: tuple[str, ...] | None = None,
    aliases: Mapping[str, str] = NO_ALIASES,
    progress: Progress | None = None,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images that a CSV file lists; paths are relative to its folder.

    UTF-8, with a header; the delimiter is the one of comma, semicolon and tab that the header has most of. Spaces
    around a value do not count. ``image``, ``label``, ``split`` and ``group`` name columns. ``classes`` are those of a
    trained model, where its labels are to be used; by default they are the labels, sorted as strings.

    Raises:
        InputError: the table is not as described, rows contradict each other, or images cannot be read.
    """
    table = Path(path)
    rows = read_rows(table, image=image, label=label, split=split, group=group)
    rows, left_out = _drop_repeated(table, rows)
    if split is not None and group is not None:
        check_groups(table, rows)
    by_split = {name: [row for row in rows if row.split == name] for name in SPLITS}
    by_split = {name: part for name, part in by_split.items() if part}
    if "train" not in by_split:
        raise InputError(f"{table}: column '{split}' must say train for some rows. Received none.")
    known, labels = index_labels(
        {name: [row.label for row in part] for name, part in by_split.items()},
        tuple(sorted({row.label for row in by_split["train"]})),
        source=str(table),
        trained=classes,
        aliases=aliases,
    )
    listings = {
        name: Listing(
            names=tuple(row.name for row in part),
            labels=labels[name],
            groups=None if group is None else tuple(row.group for row in part),
            files=tuple(row.file for row in part),
        )
        for name, part in by_split.items()
    }
    line_of = {row.name: row.line for row in rows}
    return assemble_files(
        listings,
        known,
        source=str(table),
        place=lambda name: f"{table}:{line_of[name]}: {name}",
        on_bad_image=on_bad_image,
        left_out=left_out,
        warnings=(),
        by_suffix=False,
        needs_all=classes is None,
        progress=progress,
        common=common,
    )


def _drop_repeated(table: Path, rows: list[Row]) -> tuple[list[Row], list[LeftOut]]:
    """Each image once.

    Raises:
        InputError: rows say different things about one image.
    """
    first: dict[str, Row] = {}
    left_out = []
    for row in rows:
        earlier = first.setdefault(row.name, row)
        if earlier is row:
            continue
        if (earlier.label, earlier.split, earlier.group) != (row.label, row.split, row.group):
            raise InputError(
                f"{table}:{row.line}: an image must have one label, split and group. Line {earlier.line} says "
                f"otherwise about '{row.name}'."
            )
        left_out.append(LeftOut(row.name, f"listed again on line {row.line}"))
    return list(first.values()), left_out
