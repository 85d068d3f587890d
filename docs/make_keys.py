"""Writes the reference of all recipe keys from the schema: ``python docs/make_keys.py docs/reference/keys``.

A page covers one section of a recipe for some tasks. What is the same for all of them is written once; keys, kinds and
whole sections that only some of them have are marked with their tasks.
"""

import inspect
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_origin

from dlcli.recipe.language.diagnosis import field_type
from dlcli.recipe.language.fields import NullForDefault, Section
from dlcli.recipe.language.wording import expected, is_section, kinds_of, listed, split_annotated, union_members
from dlcli.recipe.load import TASKS

MARK = "<!-- Written by docs/make_keys.py from the schema; do not edit. -->\n"

INDEX = """\
# Recipe keys

Every key of a recipe: what it accepts, its default, and what it means. Wherever a number is accepted, it can be written
as a fraction such as `1/3`; a whole number must be written without a decimal point. `dlcli recipe show RECIPE` prints a
recipe with every default filled in, and `dlcli recipe schema` prints the same reference as a JSON Schema.
"""


@dataclass(frozen=True)
class Page:
    """A page on one section of a recipe.

    Attributes:
        name: of the file, without its suffix.
        title: the heading.
        key: the section.
        tasks: those whose section it describes.
    """

    name: str
    title: str
    key: str
    tasks: tuple[str, ...]


IMAGE_TASKS = ("classification", "localization", "image_regression", "multilabel")
OF_OBJECTS = ("detection", "instance_segmentation")
AUGMENTED = (*IMAGE_TASKS, "segmentation", *OF_OBJECTS)
PAGES = (
    Page("data-images", "Image data", "data", ("classification",)),
    Page("data-boxes", "Images with bounding boxes", "data", ("localization",)),
    Page("data-targets", "Images with numbers or labels", "data", ("image_regression", "multilabel")),
    Page("data-masks", "Images with masks", "data", ("segmentation",)),
    Page("data-objects", "Images with objects", "data", OF_OBJECTS),
    Page(
        "data-texts", "Text data", "data", ("text_classification", "tagging", "language_model", "sequence_to_sequence")
    ),
    Page("data-text-targets", "Texts with labels or a number", "data", ("text_multilabel", "text_regression")),
    Page("data-sequences", "Sequences of numbers", "data", ("sequence_classification", "sequence_regression")),
    Page("data-series", "Time series", "data", ("forecasting",)),
    Page("data-synthetic", "Synthetic step problems", "data", ("step_prediction",)),
    Page("augment", "Augmentation", "augment", AUGMENTED),
    Page("model-images", "Image models", "model", IMAGE_TASKS),
    Page("model-segmentation", "Segmentation models", "model", ("segmentation",)),
    Page("model-detection", "Detection models", "model", OF_OBJECTS),
    Page("search", "Architecture search", "search", AUGMENTED),
    Page("evaluate", "Detections", "evaluate", OF_OBJECTS),
    Page(
        "model-sequences", "Sequence models", "model", tuple(task for task in TASKS if task not in AUGMENTED)
    ),
    Page("box_head", "Box head", "box_head", ("localization",)),
    Page(
        "text", "Tokens and vocabulary", "text",
        ("text_classification", "text_multilabel", "text_regression", "tagging", "language_model",
         "sequence_to_sequence"),
    ),
    Page("window", "Forecast window", "window", ("forecasting",)),
    Page("train", "Training", "train", tuple(TASKS)),
    Page("sweep", "Sweeps", "sweep", tuple(TASKS)),
)  # fmt: skip
"""All pages. Every section of every task is on exactly one of them."""

Variants = Mapping[str, type[Section]]
"""The schema that a section has for each task."""


def pages() -> dict[str, str]:
    """The text of each page by the name of its file."""
    return {"README.md": _index(), **{f"{page.name}.md": _page(page) for page in PAGES}}


def _index() -> str:
    name = _table(("key", "accepts", "default", "meaning"), [_cells(next(iter(TASKS.values())), "name")])
    lines = [MARK, INDEX, f"## Keys of every recipe\n\nBesides `task`, which selects one of those below:\n\n{name}"]
    for task, schema in TASKS.items():
        rows = []
        for key, field in schema.model_fields.items():
            page = next((page for page in PAGES if page.key == key and task in page.tasks), None)
            if page is not None:
                required = "yes" if field.is_required() else "no"
                rows.append((f"[`{key}`]({page.name}.md)", required, _one_line(field.description)))
        lines += [f"## task: {task}\n", f"{_summary(schema)}\n", _table(("section", "required", "meaning"), rows)]
    return "\n".join(lines)


def _page(page: Page) -> str:
    tasks = listed((f"`{task}`" for task in page.tasks), "and")
    intro = f"The `{page.key}` section of recipes with task: {tasks}." if len(page.tasks) < len(TASKS) else ""
    intro = intro or f"The `{page.key}` section, for every task."
    lines = [MARK, f"# {page.title}\n", f"{intro} [All keys](README.md).\n"]
    types = {task: field_type(TASKS[task], page.key) for task in page.tasks}
    description = _one_line(TASKS[page.tasks[0]].model_fields[page.key].description)
    lines += _section_at(page.key, types, description, level=2)
    return "\n".join(lines)


def _section_at(path: str, types: Mapping[str, Any], description: str, *, level: int) -> Iterator[str]:
    """A section: its keys, those of each kind, and the sections in it.

    Args:
        path: its dotted key.
        types: the type of the key for each task.
        description: of the key.
        level: of the headings in it.
    """
    sections = {task: _sections_of(annotation)[0] for task, annotation in types.items()}
    if all(len(members) == 1 and not _has_kind(members[0]) for members in sections.values()):
        yield from _keys_of(
            path, {task: members[0] for task, members in sections.items()}, (), description, level=level
        )
        return
    kinds: dict[tuple[str, ...], dict[str, type[Section]]] = {}
    for task, members in sections.items():
        for member in members:
            kinds.setdefault(kinds_of(member) if _has_kind(member) else (), {})[task] = member
    common = _common_keys([section for variants in kinds.values() for section in variants.values()])
    if common and len(kinds) > 1:
        first = next(iter(next(iter(kinds.values())).values()))
        cells = [_cells(first, key) for key in common]
        yield f"Keys of every `kind`:\n\n{_table(('key', 'accepts', 'default', 'meaning'), cells)}"
        yield from _inner_sections(path, next(iter(kinds.values())), common, level=level)
    for names, variants in kinds.items():
        quoted = listed(f"`{kind}`" for kind in names)
        yield f"{'#' * level} {path}, kind {quoted}\n" if names else f"{'#' * level} {path}\n"
        if len(variants) < len(types):
            yield f"For {_tasks(variants)}.\n"
        skip = ("kind", *(common if len(kinds) > 1 else ()))
        yield from _keys_of(path, variants, skip, _summary(next(iter(variants.values()))), level=level + 1)


def _keys_of(path: str, variants: Variants, skip: Sequence[str], description: str, *, level: int) -> Iterator[str]:
    """A section, whose schema may differ between tasks: what it is, the tables of its keys, and the sections in it."""
    summaries = {_summary(section) for section in variants.values()}
    yield f"{summaries.pop() if len(summaries) == 1 else description}\n"
    rows: dict[str, dict[tuple[str, ...], list[str]]] = {}  # by key and cells, the tasks that have them
    for task, section in variants.items():
        for key in section.model_fields:
            if key not in skip:
                rows.setdefault(key, {}).setdefault(_cells(section, key), []).append(task)
    shared = [next(iter(cells)) for cells in rows.values() if list(cells.values()) == [list(variants)]]
    special = [
        (key, ", ".join(f"`{task}`" for task in tasks), *others)
        for cells in rows.values()
        for (key, *others), tasks in cells.items()
        if len(tasks) < len(variants)
    ]
    if not rows:
        yield "No other keys.\n"
    if shared:
        yield _table(("key", "accepts", "default", "meaning"), shared)
    if special:
        heading = "Keys that depend on the task:\n\n" if shared else ""
        yield heading + _table(("key", "task", "accepts", "default", "meaning"), special)
    yield from _inner_sections(path, variants, list(rows), level=level)


def _inner_sections(path: str, variants: Variants, keys: Sequence[str], *, level: int) -> Iterator[str]:
    """The sections in a section, at these of its keys."""
    for key in keys:
        types = {task: field_type(section, key) for task, section in variants.items() if key in section.model_fields}
        types = {task: annotation for task, annotation in types.items() if _sections_of(annotation)[0]}
        if types:
            is_list = any(_sections_of(annotation)[1] for annotation in types.values())
            yield f"{'#' * level} {path}.{key}{': each item' if is_list else ''}\n"
            if len(types) < len(variants):
                yield f"For {_tasks(types)}.\n"
            below = _one_line(variants[next(iter(types))].model_fields[key].description)
            yield from _section_at(f"{path}.{key}", types, below, level=level + 1)


def _has_kind(section: type[Section]) -> bool:
    """Whether its ``kind`` selects it among others, or names it where it is the only one so far."""
    return "kind" in section.model_fields and section.model_fields["kind"].is_required()


def _common_keys(sections: Sequence[type[Section]]) -> list[str]:
    """The keys that all of the sections have, with one meaning."""
    first, *others = sections
    return [
        key
        for key in first.model_fields
        if key != "kind"
        and all(key in other.model_fields and _cells(other, key) == _cells(first, key) for other in others)
    ]


def _sections_of(annotation: Any) -> tuple[list[type[Section]], bool]:
    """The sections that a key accepts, and whether it accepts a list of them."""
    members = [split_annotated(member)[0] for member in union_members(annotation)]
    lists = [split_annotated(get_args(member)[0])[0] for member in members if get_origin(member) is tuple]
    in_lists = [item for item in lists if is_section(item)]
    return in_lists or [member for member in members if is_section(member)], bool(in_lists)


def _tasks(tasks: Iterable[str]) -> str:
    return f"task: {listed((f'`{task}`' for task in tasks), 'and')}"


def _table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    escaped = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    lines = [" | ".join(row) for row in (header, *escaped)]
    return "\n".join([f"| {lines[0]} |", "|" + "---|" * len(header), *(f"| {line} |" for line in lines[1:])]) + "\n"


def _cells(section: type[Section], key: str) -> tuple[str, ...]:
    """Key, what it accepts, its default and its meaning."""
    field = section.model_fields[key]
    words = next((item.words for item in field.metadata if isinstance(item, NullForDefault)), "")
    default = "required" if field.is_required() else words or f"`{_default(field.default)}`"
    return f"`{key}`", expected(field_type(section, key)), default, _one_line(field.description)


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
    return _one_line(inspect.getdoc(section)).replace("``", "`")


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())


def write(folder: Path) -> None:
    """Writes all pages into a folder, and removes those that are no longer made."""
    folder.mkdir(parents=True, exist_ok=True)
    texts = pages()
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    for file in folder.glob("*.md"):
        if file.name not in texts:
            file.unlink()


if __name__ == "__main__":
    write(Path(sys.argv[1]))
