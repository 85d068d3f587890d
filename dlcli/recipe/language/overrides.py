"""Values from the command line, which replace those of the recipe's file before it is checked."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

from dlcli.errors import InputError
from dlcli.recipe.language.errors import Diagnostic, KeyPath, Place, dotted, shortened
from dlcli.recipe.language.wording import received
from dlcli.recipe.language.yaml_reader import CONTROL, UNREADABLE, Mark, Tree, read_yaml

COMMENT = re.compile(r"\s#")  # in YAML the rest of a line; an option has nothing to comment
OPENING = "[{\"'"  # that open a list, a section or quoted text, in which # has its meaning as in a file


@dataclass(frozen=True)
class Override:
    """One value for one key."""

    key: str
    """Dotted key, with an index for items of lists: ``model.blocks.0.filters``."""
    value_text: str
    """The value, in YAML."""
    origin: str
    """The option as the user wrote it, for messages: ``--set train.epochs=5``, ``--epochs``."""
    is_yaml: bool = True
    """Whether the value is parsed as YAML; otherwise it is plain text."""

    @classmethod
    def of_value(cls, key: str, value: str, origin: str) -> Self:
        """An override whose value is plain text, such as a path or a name, whatever it looks like."""
        return cls(key, value, origin, is_yaml=False)


def parse_setting(setting: str) -> Override:
    """The override of ``--set KEY=VALUE``.

    Raises:
        InputError: there is no ``=``, or no key before it.
    """
    key, equals, value_text = setting.partition("=")
    origin = f"--set {shortened(setting)}"
    if not equals or not all(part.strip() for part in key.split(".")):
        raise InputError(f"{origin}: expected KEY=VALUE, such as train.epochs=5")
    return Override(key.strip(), value_text, origin)


def apply_overrides(tree: Tree, overrides: Sequence[Override]) -> None:
    """Puts the values into the tree, one after another; missing sections are created.

    Errors in the values, and keys that do not exist, are added to the diagnostics of the tree.
    """
    for order, override in enumerate(overrides, start=1):
        place = Place(order, 1, 1, override.origin)
        given = _read_value(override, order, place)
        for diagnostic in given.diagnostics:
            key = f"{override.key}.{diagnostic.key}" if diagnostic.key else override.key
            tree.diagnostics.append(Diagnostic(place, key, diagnostic.message))
        try:
            path = _key_path(tree.values, override.key)
        except ValueError as error:
            tree.diagnostics.append(Diagnostic(place, override.key, str(error)))
            continue
        tree.values = _replaced(tree.values, path, given.values)
        _replace_marks(tree.marks, path, given.marks, place)


def _read_value(override: Override, order: int, place: Place) -> Tree:
    mark = Mark(place, place)
    if not override.is_yaml:
        text = Tree(override.value_text, {(): mark}, complete=True)
        if match := CONTROL.search(override.value_text):
            code = f"U+{ord(match[0]):04X}"
            text.values = UNREADABLE
            text.diagnostics.append(
                Diagnostic(place, "", f"text must not contain control characters. Received {code}.")
            )
        return text
    if not override.value_text.strip():
        return Tree(None, {(): mark}, complete=True)
    plain = override.value_text.strip()
    if COMMENT.search(plain) and plain[0] not in OPENING and not CONTROL.search(plain):
        return Tree(plain, {(): mark}, complete=True)
    given = read_yaml(override.value_text, override.origin, order)
    if not given.complete:
        given.values = UNREADABLE
        given.marks = {(): mark}
    return given


def _key_path(values: Any, key: str) -> KeyPath:
    """The dotted key as a path, whose parts are indices where the values have lists.

    Raises:
        ValueError: the key leads through a value that has no parts, or to an item that does not exist.
    """
    path: KeyPath = ()
    for part in key.split("."):
        if isinstance(values, tuple):
            if not part.isdecimal() or len(part) > 9 or int(part) >= len(values):
                items = f"has the items 0 to {len(values) - 1}" if values else "has no items"
                raise ValueError(f"{dotted(path) or 'the recipe'} is a list and {items}. Received '{shortened(part)}'.")
            path = (*path, int(part))
            values = values[int(part)]
        elif isinstance(values, dict) or values is None or values is UNREADABLE:
            path = (*path, part)
            values = values.get(part) if isinstance(values, dict) else None
        else:
            raise ValueError(f"{dotted(path) or 'the recipe'} is {received(values)}, not a section, and has no keys")
    return path


def _replaced(values: Any, path: KeyPath, new: Any) -> Any:
    """A copy of the values with a new one at the path."""
    if not path:
        return new
    part, rest = path[0], path[1:]
    if isinstance(values, tuple) and isinstance(part, int):
        return (*values[:part], _replaced(values[part], rest, new), *values[part + 1 :])
    section = dict(values) if isinstance(values, dict) else {}
    section[str(part)] = _replaced(section.get(str(part)), rest, new)
    return section


def _replace_marks(marks: dict[KeyPath, Mark], path: KeyPath, new: dict[KeyPath, Mark], place: Place) -> None:
    """Adds the marks of a new value; sections that were created for it get the place of the option."""
    for old in [old for old in marks if old[: len(path)] == path]:
        del marks[old]
    for length in range(len(path)):
        marks.setdefault(path[:length], Mark(place, place))
    for below, mark in new.items():
        marks[path + below] = mark
