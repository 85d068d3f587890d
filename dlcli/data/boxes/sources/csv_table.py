"""Images with boxes in a CSV file: a row for each object with its image's path, its class and its box."""

from pathlib import Path
from typing import Unpack

from dlcli.data.boxes.annotated import Annotated, known_size, whole
from dlcli.data.boxes.boxes import BOX_COLUMNS, Corners, Object
from dlcli.data.boxes.dataset import AnyReading, assemble_objects
from dlcli.data.boxes.object_dataset import ObjectReading
from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.samples import Dataset
from dlcli.data.listing import check_groups, name_error, name_some, refuse
from dlcli.data.splits import DataWarning
from dlcli.data.table import ImageRow, parse_number, read_image_rows


def read_box_csv(
    *,
    path: str | Path,
    image: str,
    label: str,
    split: str | None,
    group: str | None,
    box: tuple[str, str, str, str] = BOX_COLUMNS,
    size: tuple[str, str] | None = None,
    allow_outside: bool = False,
    reading: AnyReading,
    **common: Unpack[CommonKeys],
) -> Dataset:
    """The images of a table, with the class and the box of one object each, or with all objects.

    The format is that of `read_csv`; paths are relative to the table's folder. Rows with the same path are objects of
    one image. Where all objects are read, a row without class and box is an image without objects.

    Args:
        image, label, split, group: names of columns.
        box: names of the columns of xmin, ymin, xmax and ymax, in pixels. All four cells are empty for an image of
            which only the class is known.
        size: names of the columns of the image's width and height when the boxes were drawn.
        allow_outside: whether paths may leave the table's folder.

    Raises:
        InputError: the table is not as described, rows contradict each other, or boxes or images are bad.
    """
    table = Path(path)

    may_be_empty = isinstance(reading, ObjectReading)

    def error_of(cells: tuple[str, ...]) -> str | None:
        if not cells[0] and (any(cells[1:5]) or not may_be_empty):
            return f"column '{label}' must not be empty."
        if error := name_error(cells[0]):
            return f"column '{label}': {error}"
        return _error_of_box(box, cells[1:5]) or (None if size is None else _error_of_size(size, cells[5:]))

    rows = read_image_rows(
        table,
        image=image,
        label=None,
        split=split,
        group=group,
        more=(label, *box, *(size or ())),
        error_of=error_of,
        allow_outside=allow_outside,
    )
    if split is not None and group is not None:
        check_groups(table, rows)
    return assemble_objects(
        _join_rows(table, rows, has_group=group is not None),
        source=table,
        reading=reading,
        left_out=(),
        common=common,
        warnings=_warn_of_contradictions(table, rows),
    )


def _error_of_box(columns: tuple[str, ...], cells: tuple[str, ...]) -> str | None:
    if any(cells) and not all(cells):
        empty = columns[cells.index("")]
        return f"a row must have all four numbers of its box, or none. Column '{empty}' is empty."
    for column, cell in zip(columns, cells, strict=True):
        if cell and parse_number(cell) is None:
            return f"column '{column}' must be a number of pixels. Received '{cell[:50]}'."
    return None


def _error_of_size(columns: tuple[str, ...], cells: tuple[str, ...]) -> str | None:
    for column, cell in zip(columns, cells, strict=True):
        if any(cells) and whole(parse_number(cell)) is None:
            return f"column '{column}' must be a whole number of pixels. Received '{cell[:50]}'."
    return None


def _join_rows(table: Path, rows: list[ImageRow], *, has_group: bool) -> list[Annotated]:
    """The images, each with the objects of its rows.

    Raises:
        InputError: two rows of one image contradict each other.
    """
    first: dict[str, ImageRow] = {}
    objects: dict[str, list[Object]] = {}
    errors = []
    for row in rows:
        earlier = first.setdefault(row.name, row)
        if (earlier.split, earlier.group, _size(earlier)) != (row.split, row.group, _size(row)):
            errors.append(
                f"{table}:{row.line}: an image must have one split, group and size. Line {earlier.line} has "
                f"others for '{row.name}'."
            )
        own = objects.setdefault(row.name, [])
        if row.more[0]:
            own.append(Object(f"{table.name}:{row.line}", row.more[0], _corners(row)))
    refuse(errors, "Correct the rows.")
    return [
        Annotated(
            name=name,
            place=f"{table.name}:{row.line}",
            file=Path(row.file),
            split=row.split,
            objects=tuple(objects[name]),
            size=_size(row),
            group=row.group if has_group else None,
        )
        for name, row in first.items()
    ]


def _warn_of_contradictions(table: Path, rows: list[ImageRow]) -> list[DataWarning]:
    """A warning of rows without an object, whose images have objects in other rows."""
    with_objects = {row.name for row in rows if row.more[0]}
    found = [f"{table.name}:{row.line}" for row in rows if not row.more[0] and row.name in with_objects]
    if not found:
        return []
    subject = "1 row without an object is" if len(found) == 1 else f"{len(found):,} rows without an object are"
    text = f"{subject} ignored: other rows list objects of the same images: {name_some(found)}."
    return [DataWarning("boxes", text)]


def _corners(row: ImageRow) -> Corners | None:
    numbers = [number for cell in row.more[1:5] if (number := parse_number(cell)) is not None]
    return (numbers[0], numbers[1], numbers[2], numbers[3]) if numbers else None


def _size(row: ImageRow) -> tuple[int, int] | None:
    sides = [side for cell in row.more[5:] if (side := whole(parse_number(cell))) is not None]
    return known_size(sides[0], sides[1]) if sides else None
