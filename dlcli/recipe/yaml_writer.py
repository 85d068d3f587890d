"""Writes recipes with every default filled in, so that any YAML reader reads the same values."""

import re
from typing import Any

import yaml
from pydantic import ValidationError

from dlcli.printing import escaped, unicode_escaped
from dlcli.recipe.language.fields import Section
from dlcli.recipe.language.yaml_reader import BOOLEAN, FLOAT, INTEGER, NULL, SPECIAL_FLOAT
from dlcli.recipe.load import TASKS, Recipe, respelled

WIDTH = 2**31  # lines are never folded: a key, its value and a comment stay on one line
MAX_FLOW_ITEMS = 16  # a longer list has an item on each line


def resolved(recipe: Recipe) -> dict[str, Any]:
    """The recipe with every default filled in, in the order of the schema, ``kind`` first; loading it gives an equal
    one."""
    values: dict[str, Any] = _plain(recipe)
    if recipe.train.stages:
        del values["train"]["epochs"]  # the stages have their own epochs, and both together are refused
    sweep = values.pop("sweep")
    if sweep is not None:  # last, because it is about recipes, not about this one
        values["sweep"] = {**sweep, "space": {key: _without_null(axis) for key, axis in sweep["space"].items()}}
    return values


def _without_null(axis: Any) -> Any:
    """The values of a key of ``sweep.space``; a range without the keys that it does not have."""
    return {key: value for key, value in axis.items() if value is not None} if isinstance(axis, dict) else axis


def completed(config: dict[str, Any]) -> dict[str, Any]:
    """The configuration that run.json holds as this version would write it: spelling, defaults and keys that are new.

    One that is no valid recipe, because the file was changed by hand, is returned as it is.
    """
    values = respelled(with_tuples(config))
    task = values.get("task")
    if not isinstance(task, str) or task not in TASKS:
        return config
    try:
        return resolved(TASKS[task].model_validate(values))
    except ValidationError:
        return config


def with_tuples(value: Any) -> Any:
    """Values read from JSON with tuples for lists, as the schema has them."""
    if isinstance(value, dict):
        return {key: with_tuples(item) for key, item in value.items()}
    return tuple(with_tuples(item) for item in value) if isinstance(value, list) else value


def to_yaml(values: dict[str, Any], *, on_one_line: bool = False) -> str:
    """YAML that dlcli and every reader of YAML 1.1 or 1.2 read alike: ``0.001`` and ``1.0e-05``, not ``1e-05``.

    Args:
        on_one_line: write ``{key: value, key: value}``.
    """
    options: dict[str, Any] = {
        "sort_keys": False,
        "allow_unicode": True,
        "width": WIDTH,
        "default_flow_style": on_one_line,
    }
    return unicode_escaped(yaml.dump(values, Dumper=_Dumper, **options))


def _plain(value: Any) -> Any:
    if isinstance(value, Section):
        keys = sorted(type(value).model_fields, key=lambda key: key != "kind")
        return {key: _plain(getattr(value, key)) for key in keys}
    if isinstance(value, dict):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return tuple(_plain(item) for item in value)
    return value


class _Dumper(yaml.SafeDumper):
    """Writes short lists on one line, no aliases, and quotes around text that looks like a number to some reader."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _represent_tuple(dumper: yaml.SafeDumper, items: tuple[Any, ...]) -> yaml.Node:
    short = len(items) <= MAX_FLOW_ITEMS and not any(isinstance(item, (dict, tuple)) for item in items)
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    has_escapes = escaped(text) != text  # which only double quotes can hold
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"' if has_escapes else None)


_Dumper.add_representer(tuple, _represent_tuple)
_Dumper.add_representer(str, _represent_text)
# PyYAML quotes what YAML 1.1 does not read as text; this is for the scalars of YAML 1.2, such as 1e-3.
for _scalar in (NULL, BOOLEAN, INTEGER, FLOAT, SPECIAL_FLOAT):
    _Dumper.add_implicit_resolver("tag:dlcli,2026:scalar", re.compile(rf"(?:{_scalar.pattern})\Z"), None)
