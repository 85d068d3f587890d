"""Writes the page of all recipe keys from the schema: ``python docs/make_keys.py > docs/recipe-keys.md``."""

from collections.abc import Iterator, Sequence
from typing import Any, get_args, get_origin

from dlcli.recipe.language.diagnosis import field_type
from dlcli.recipe.language.fields import Section
from dlcli.recipe.language.wording import expected, is_section, kinds_of, listed, split_annotated, union_members
from dlcli.recipe.load import TASKS

HEAD = """\
<!-- Written by docs/make_keys.py from the schema; do not edit. -->

# Every key of a recipe

A section's table says what each key takes, what it is when you leave it out, and what it means. Where a key takes "a
number", a fraction such as `1/3` may stand; a whole number is written without a point. How a recipe is written:
[recipes](reference/recipes.md). The same as a JSON Schema: `dlcli recipe schema`.
"""


def page() -> str:
    """The whole page, for every task."""
    parts = [HEAD]
    for task, schema in TASKS.items():
        parts += [f"## task: {task}\n", *_section(schema, "", level=3)]
    return "\n".join(parts)


def _section(section: type[Section], path: str, *, level: int) -> Iterator[str]:
    """A section's table, then the sections in it with headings of the level."""
    yield _table(section, list(section.model_fields))
    yield from _sections_below(section, path, level=level)


def _sections_below(section: type[Section], path: str, *, level: int) -> Iterator[str]:
    for key, field in section.model_fields.items():
        below = f"{path}.{key}" if path else key
        sections, is_list = _sections_of(field_type(section, key))
        if not sections:
            continue
        yield f"{'#' * level} {below}{': each item' if is_list else ''}\n"
        if len(sections) == 1:
            yield f"{_summary(sections[0])}\n"
            yield from _section(sections[0], below, level=level)
        else:
            yield f"{_one_line(field.description)}\n"
            yield from _kinds(sections, below, level=level + 1)


def _kinds(sections: Sequence[type[Section]], path: str, *, level: int) -> Iterator[str]:
    """A section whose kind picks one of several schemas: the keys of all kinds, then those of each."""
    first, *others = sections
    common = [
        key
        for key in first.model_fields
        if key != "kind" and all(key in other.model_fields and _row(other, key) == _row(first, key) for other in others)
    ]
    if common:
        yield f"Whatever its `kind`:\n\n{_table(first, common)}"
    for section in sections:
        kinds = listed(f"`{kind}`" for kind in kinds_of(section))
        own = [key for key in section.model_fields if key not in ("kind", *common)]
        yield f"{'#' * level} {path}, kind {kinds}\n\n{_summary(section)}\n"
        yield _table(section, own) if own else "No keys of its own.\n"
        yield from _sections_below(section, path, level=level)


def _sections_of(annotation: Any) -> tuple[list[type[Section]], bool]:
    """The sections that a key takes, and whether it takes a list of them."""
    members = [split_annotated(member)[0] for member in union_members(annotation)]
    lists = [split_annotated(get_args(member)[0])[0] for member in members if get_origin(member) is tuple]
    in_lists = [item for item in lists if is_section(item)]
    return in_lists or [member for member in members if is_section(member)], bool(in_lists)


def _table(section: type[Section], keys: Sequence[str]) -> str:
    rows = ["| key | takes | default | meaning |", "|---|---|---|---|", *(_row(section, key) for key in keys)]
    return "\n".join(rows) + "\n"


def _row(section: type[Section], key: str) -> str:
    field = section.model_fields[key]
    default = "required" if field.is_required() else f"`{_default(field.default)}`"
    cells = (f"`{key}`", expected(field_type(section, key)), default, _one_line(field.description))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _default(value: Any) -> str:
    """A default as it would stand in a recipe; of a section its kind, or {} where all its own defaults hold."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return f"{value:g}"
    if isinstance(value, tuple):
        return f"[{', '.join(_default(item) for item in value)}]"
    if isinstance(value, Section):
        kind = value.model_dump().get("kind")
        return f"{{kind: {kind}}}" if kind else "{}"
    return str(value)


def _summary(section: type[Section]) -> str:
    return _one_line(section.__doc__).replace("``", "`")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


if __name__ == "__main__":
    print(page(), end="")
