"""The ``kind`` of sections that only the command line has: that of the schema's default."""

from collections.abc import Iterable, Sequence
from typing import Any

from dlcli.recipe.language.fields import Section
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.language.wording import is_section, split_annotated, union_members


def with_default_kinds(values: Any, written: Any, overrides: Iterable[Override], schema: type[Section]) -> Any:
    """A recipe's values with the default's kind in each section that an override created without one.

    So ``--set train.optimizer.learning_rate=0.01`` changes the default optimizer of a recipe that names none.

    Args:
        values: with the overrides applied.
        written: as they were in the file.
        schema: that of the recipe's task.
    """
    for override in overrides:
        parts = override.key.split(".")
        for length in range(1, len(parts)):
            if _section_at(written, parts[:length]) is None:
                values = _with_kind(values, parts[:length], schema)
    return values


def _section_at(values: Any, path: Sequence[str]) -> dict[str, Any] | None:
    """The section at a path; None if there is none. Items of lists are not looked for: they have no defaults."""
    for part in path:
        values = values.get(part) if isinstance(values, dict) else None
    return values if isinstance(values, dict) else None


def _with_kind(values: Any, path: Sequence[str], schema: type[Section]) -> Any:
    section = _section_at(values, path)
    default = _default(path, schema)
    if section is None or "kind" in section or default is None or "kind" not in type(default).model_fields:
        return values
    return _replaced(values, path, {"kind": default.kind, **section})


def _default(path: Sequence[str], schema: type[Section]) -> Any:
    """The section that is the schema's default at a path; None if there is no such section or it has no default."""
    schemas, default = [schema], None
    for part in path:
        fields = [field for schema in schemas if (field := schema.model_fields.get(part)) is not None]
        if not fields:
            return None
        default = fields[0].default
        members = [split_annotated(member)[0] for field in fields for member in union_members(field.annotation)]
        schemas = [member for member in members if is_section(member)]
    return default if isinstance(default, Section) else None


def _replaced(values: dict[str, Any], path: Sequence[str], new: Any) -> dict[str, Any]:
    first, *rest = path
    return {**values, first: _replaced(values[first], rest, new) if rest else new}
