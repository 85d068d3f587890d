"""Diagnoses a recipe that the schema refuses: every error, its place, and what to write instead.

Pydantic decides whether a recipe is valid. Its own errors name the members of unions and have no places, so this module
walks through the values and the schema side by side and validates one value at a time.
"""

import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError

from dlcli.recipe.language.errors import MAX_SHOWN, Diagnostic, KeyPath, Place, dotted
from dlcli.recipe.language.fields import BROKEN_RULES, NotInRules, Section
from dlcli.recipe.language.suggestions import did_you_mean, nearest
from dlcli.recipe.language.wording import (
    expected,
    is_section,
    kinds_of,
    listed,
    received,
    split_annotated,
    union_members,
)
from dlcli.recipe.language.yaml_reader import UNREADABLE, Tree, plain_scalar

NO_SPACE = "a ':' needs a space after it"
STRICT = ConfigDict(strict=True, allow_inf_nan=False)  # as `Section` has it


def explain(schemas: Mapping[str, type[Section]], tree: Tree) -> list[Diagnostic]:
    """The errors of a recipe against the schema of its ``task``.

    Args:
        schemas: the schema of each task.
        tree: a recipe that was read to its end.

    Returns:
        An empty list for a valid recipe. Values that are invalid YAML are skipped: `tree.diagnostics` has their errors.
    """
    if tree.values is UNREADABLE:
        return []
    root = tree.marks[()].value
    if not isinstance(tree.values, dict):
        got = received(tree.values)
        return [
            Diagnostic(root, "", f"a recipe must have keys and values, such as 'task: classification'. Received {got}.")
        ]
    if "task" not in tree.values:
        for key in tree.values:
            if nearest(key, ["task"]):
                return [Diagnostic(tree.marks[key,].key, dotted((key,)), "unknown key; did you mean 'task'?")]
        return [Diagnostic(root, "task", f"missing key; {choices('task', schemas)}")]
    task = tree.values["task"]
    if task is UNREADABLE:
        return []
    if not isinstance(task, str) or task not in schemas:
        return [Diagnostic(tree.marks["task",].value, "task", unknown_choice("task", task, schemas))]
    others = {name: schema for name, schema in schemas.items() if name != task}
    explainer = _Explainer(schemas[task], tree, others)
    explainer.check_section(schemas[task], tree.values, ())
    return explainer.diagnostics


def choices(noun: str, names: Sequence[object] | Mapping[str, Any]) -> str:
    return f"the {noun}s are {listed(names, 'and')}" if len(names) > 1 else f"the only {noun} is {listed(names)}"


def unknown_choice(noun: str, value: object, names: Sequence[object] | Mapping[str, Any]) -> str:
    """``unknown kind 'rsenet'; did you mean 'resnet'?``, or all names where none is similar."""
    if not isinstance(value, str):
        return f"{choices(noun, names)}. Received {received(value)}."
    hint = did_you_mean(value, [str(name) for name in names])
    return f"unknown {noun} {received(value)}{hint or f'; {choices(noun, names)}'}"


def chosen_by_another_key(value: object, by_kind: Mapping[str, type[Section]]) -> str | None:
    """``write 'kind: application, network: resnet50'``, where the value is a choice of a key of one of the kinds."""
    for kind, section in by_kind.items():
        for key, field in section.model_fields.items():
            if get_origin(field.annotation) is Literal and field.is_required() and value in get_args(field.annotation):
                return f"{received(value)} is not a kind; write 'kind: {kind}, {key}: {value}'"
    return None


def is_kind(key: str) -> str:
    return f"it is a kind; write 'kind: {key}', with its keys next to it"


class _Explainer:
    """Walks through the values and the schema together and collects the errors.

    The methods that check return whether the values are valid, so that rules between keys are only applied to valid
    keys.
    """

    def __init__(self, schema: type[Section], tree: Tree, others: Mapping[str, type[Section]]) -> None:
        self.schema = schema
        self.tree = tree
        self.others = others  # the schemas of other tasks, by the task
        self.diagnostics: list[Diagnostic] = []
        self.passed_over: set[KeyPath] = set()  # invalid values that no rule between keys needs
        self.listed: set[type[Section]] = set()  # sections whose keys an error has listed
        self.adapters: dict[int, TypeAdapter[Any]] = {}  # by the id of a type, which the schema keeps alive

    def error(self, place: Place, path: KeyPath, message: str) -> bool:
        self.diagnostics.append(Diagnostic(place, dotted(path), message))
        return False

    def check(self, annotation: Any, value: Any, path: KeyPath) -> bool:
        """Checks a value of any type against its type in the schema."""
        if value is UNREADABLE:
            return False
        members = [split_annotated(member)[0] for member in union_members(annotation)]
        if isinstance(value, dict):
            sections = [member for member in members if is_section(member)]
            mappings = [member for member in members if get_origin(member) is dict]
            if len(sections) > 1:
                return self.check_kind(sections, value, path)
            if sections:
                return self.check_section(sections[0], value, path)
            if mappings:
                item_type = get_args(mappings[0])[1]
                return self.check_items([(key, item_type, item) for key, item in value.items()], path)
        lists = [member for member in members if get_origin(member) is tuple]
        if isinstance(value, tuple) and lists:
            types_of_items = get_args(lists[0])
            if types_of_items[-1] is Ellipsis:
                types_of_items = types_of_items[:1] * len(value)
            # In a list of the wrong length, the items with a type are checked; then the list is refused as a whole.
            items = zip(range(len(value)), types_of_items, value, strict=False)
            if not self.check_items(items, path):
                return False
        return self.check_whole(annotation, value, path)

    def check_items(self, items: Iterable[tuple[str | int, Any, Any]], path: KeyPath) -> bool:
        """Checks the values of a list or a mapping, given as tuples of index or name, type and value."""
        sound = True
        for part, item_type, item in items:
            sound = self.check(item_type, item, (*path, part)) and sound
        return sound

    def check_kind(self, sections: Sequence[type[Section]], values: dict[str, Any], path: KeyPath) -> bool:
        """Checks a section whose ``kind`` selects one of several schemas."""
        by_kind = {kind: section for section in sections for kind in kinds_of(section)}
        kind = values.get("kind")
        if kind is UNREADABLE:
            return False
        if "kind" not in values:
            known = {key for section in sections for key in section.model_fields}
            for key in values:
                if key in known:  # such as polygons, which is a kind too
                    continue
                word, colon, _ = key.partition(":")
                if nearest(word, ["kind"]):
                    hint = NO_SPACE if colon else "did you mean 'kind'?"
                    return self.error(self.key_place(path, key), (*path, key), f"unknown key; {hint}")
                if key in by_kind:
                    return self.error(self.key_place(path, key), (*path, key), f"unknown key; {is_kind(key)}")
            place = self.tree.place((*path, "kind"))
            return self.error(place, (*path, "kind"), f"missing key; {choices('kind', by_kind)}")
        if not isinstance(kind, str) or kind not in by_kind:
            tasks = self.tasks_with(path, lambda section: kind in kinds_of(section))
            message = chosen_by_another_key(kind, by_kind) or (
                f"kind {received(kind)} is for task: {listed(tasks)}; here {choices('kind', by_kind)}"
                if tasks
                else unknown_choice("kind", kind, by_kind)
            )
            return self.error(self.tree.place((*path, "kind")), (*path, "kind"), message)
        owners: dict[str, list[str]] = {}
        for other, section in by_kind.items():
            for key in section.model_fields:
                owners.setdefault(key, []).append(other)
        return self.check_section(by_kind[kind], values, path, owners)

    def check_section(
        self,
        section: type[Section],
        values: dict[str, Any],
        path: KeyPath,
        owners: Mapping[str, Sequence[str]] = types.MappingProxyType({}),
    ) -> bool:
        """Checks the keys of a section, then its rules.

        Args:
            section: the schema.
            values: the values in the recipe.
            path: the path of the section.
            owners: the kinds of this section that have a key, by the key.
        """
        sound = True
        fields = section.model_fields
        unknown = [key for key in values if key not in fields]
        if misplaced := self.left_by_other_kind(unknown, owners, path):
            sound = self.error(
                self.tree.place((*path, "kind")),
                (*path, "kind"),
                f"the file's {listed(misplaced, 'and')} cannot be combined with kind {values['kind']!r}; replace the "
                f"whole section: --set '{dotted(path)}={{kind: {values['kind']}, …}}'",
            )
        meant: set[str] = set()
        for key in unknown:
            if key in misplaced:
                continue
            if "kind" in fields and key in kinds_of(section):
                message = f"unknown key; {is_kind(key)}"
                meant.add("kind")
            elif key in owners:
                message = f"unknown key for kind {values['kind']!r}; it belongs to {listed(owners[key], 'and')}"
            elif tasks := self.tasks_with(path, functools.partial(has_key, key=key)):
                message = f"this key is for task: {listed(tasks)}; remove it"
            else:
                message = "unknown key"
                if len(self.diagnostics) < MAX_SHOWN:  # suggestions take time, and later errors are not shown
                    near = nearest(key, fields)
                    meant.update(near)
                    message += self.hint(key, near, section, path)
            sound = self.error(self.key_place(path, key), (*path, key), message)
        for key, field in fields.items():
            if key in values:
                is_sound = self.check(field_type(section, key), values[key], (*path, key))
                if not is_sound and any(isinstance(item, NotInRules) for item in field.metadata):
                    self.passed_over.add((*path, key))
                    is_sound = True
                sound = is_sound and sound
            elif field.is_required() and key not in meant:
                sound = self.error(
                    self.tree.place((*path, key)),
                    (*path, key),
                    f"missing key; expected {expected(field_type(section, key))}",
                )
        return sound and self.check_rules(section, values, path)

    def check_rules(self, section: type[Section], values: dict[str, Any], path: KeyPath) -> bool:
        """Applies the rules of a section whose keys are all valid by themselves."""
        try:
            section.model_validate(self.without_passed_over(values, path))
        except ValidationError as error:
            broken = [item["ctx"]["broken"] for item in error.errors() if item["type"] == BROKEN_RULES]
            for key, message in (rule for rules in broken for rule in rules):
                full_path = self.tree.path(dotted((*path, key)))
                self.error(self.tree.place(full_path), full_path, message)
            return False
        return True

    def without_passed_over(self, value: Any, path: KeyPath) -> Any:
        """A value without the invalid keys below it that no rule needs."""
        if isinstance(value, dict):
            items = [(key, item, (*path, key)) for key, item in value.items()]
            return {key: self.without_passed_over(item, at) for key, item, at in items if at not in self.passed_over}
        if isinstance(value, tuple):
            return tuple(self.without_passed_over(item, (*path, i)) for i, item in enumerate(value))
        return value

    def check_whole(self, annotation: Any, value: Any, path: KeyPath) -> bool:
        """Checks a value that has no parts, or whose parts are valid."""
        if id(annotation) not in self.adapters:
            self.adapters[id(annotation)] = TypeAdapter(annotation, config=None if is_section(annotation) else STRICT)
        adapter = self.adapters[id(annotation)]
        try:
            adapter.validate_python(value)
        except ValidationError as error:
            choices_here = words_of(annotation)
            if choices_here and isinstance(value, str) and (tasks := self.tasks_with_value(path, value)):
                noun = "kind" if path[-1] == "kind" else "value"
                message = f"{noun} {received(value)} is for task: {listed(tasks)}; here {choices(noun, choices_here)}"
            else:
                message = refusal(annotation, value, path, error) + remedy(adapter, value)
            return self.error(self.tree.place(path), path, message)
        return True

    def left_by_other_kind(
        self, unknown: Sequence[str], owners: Mapping[str, Sequence[str]], path: KeyPath
    ) -> list[str]:
        """The keys of the file that have no meaning for the kind that an option has set."""
        if not owners or self.tree.place((*path, "kind")).order == 0:
            return []
        return [key for key in unknown if key in owners and self.key_place(path, key).order == 0]

    def hint(self, key: str, near: Sequence[str], section: type[Section], path: KeyPath) -> str:
        """Keys that an unknown key may stand for, in this section or in another one, the closest in the recipe."""
        if ":" in key:
            return f"; {NO_SPACE}"
        known = [known for known in known_keys(self.schema, self.tree.values, ()) if known[:-1] != path]
        there = [known_path for known_path in known if known_path[-1] == key]
        if not near and not there:
            names = nearest(key, [str(known_path[-1]) for known_path in known])
            there = [known_path for known_path in known if known_path[-1] in names]
        near_most = max((_num_shared(path, known_path) for known_path in there), default=0)
        there = [known_path for known_path in there if _num_shared(path, known_path) == near_most]
        meant = [*(repr(name) for name in near), *dict.fromkeys(map(dotted, there))][:2]
        if meant:
            return f"; did you mean {listed(meant)}?"
        if section in self.listed:
            return ""
        self.listed.add(section)
        return f"; {choices('key', section.model_fields)}"

    def tasks_with(self, path: KeyPath, fits: Callable[[type[Section]], bool]) -> list[str]:
        """Other tasks that have a matching section at this path."""
        return [
            task
            for task, schema in self.others.items()
            if any(is_section(member) and fits(member) for member in types_at(schema, path))
        ]

    def tasks_with_value(self, path: KeyPath, value: object) -> list[str]:
        """Other tasks that have a value among the choices at this path."""
        return [
            task
            for task, schema in self.others.items()
            if any(get_origin(member) is Literal and value in get_args(member) for member in types_at(schema, path))
        ]

    def key_place(self, path: KeyPath, key: str) -> Place:
        return self.tree.marks[*path, key].key


def _num_shared(path: KeyPath, other: KeyPath) -> int:
    """The number of sections that contain both, from the top."""
    return next(
        (i for i, pair in enumerate(zip(path, other, strict=False)) if pair[0] != pair[1]), min(len(path), len(other))
    )


@functools.cache
def field_type(section: type[Section], key: str) -> Any:
    """The type of a key with its bounds, which pydantic stores separately; always the same object."""
    field = section.model_fields[key]
    return Annotated[field.annotation, *field.metadata] if field.metadata else field.annotation


def known_keys(section: type[Section], values: Any, path: KeyPath) -> Iterator[KeyPath]:
    """Every key that the schema has below a section, for the kinds that the recipe selects, else for all kinds.

    A key of the sections in a list has the index 0.
    """
    for key, field in section.model_fields.items():
        yield (*path, key)
        value = values.get(key) if isinstance(values, dict) else None
        for member in union_members(field.annotation):
            base, _ = split_annotated(member)
            if is_section(base):
                kind = value.get("kind") if isinstance(value, dict) else None
                if kind is None or "kind" not in base.model_fields or kind in kinds_of(base):
                    yield from known_keys(base, value, (*path, key))
            elif get_origin(base) is tuple and is_section(get_args(base)[0]):
                yield from known_keys(get_args(base)[0], None, (*path, key, 0))


def has_key(section: type[Section], key: str) -> bool:
    return key in section.model_fields


def types_at(annotation: Any, path: KeyPath) -> list[Any]:
    """The types, members of a union each by itself, that a schema may have at the end of a path, of any kind."""
    members = [split_annotated(member)[0] for member in union_members(annotation)]
    if not path:
        return members
    first, *rest = path
    if isinstance(first, int):
        items = [get_args(member)[0] for member in members if get_origin(member) is tuple]
    else:
        sections = [member for member in members if is_section(member)]
        items = [section.model_fields[first].annotation for section in sections if first in section.model_fields]
    return [found for item in items for found in types_at(item, tuple(rest))]


def words_of(annotation: Any) -> list[str]:
    """The words among the choices of a type."""
    members = [split_annotated(member)[0] for member in union_members(annotation)]
    names = [name for member in members if get_origin(member) is Literal for name in get_args(member)]
    return [name for name in names if isinstance(name, str)]


def refusal(annotation: Any, value: Any, path: KeyPath, error: ValidationError) -> str:
    """Why a value is refused: what was expected, and what was received."""
    members = [split_annotated(member)[0] for member in union_members(annotation)]
    names = words_of(annotation)
    if isinstance(value, str) and names:
        noun = "kind" if path[-1] == "kind" else "value"
        if did_you_mean(value, names) or all(m is types.NoneType or get_origin(m) is Literal for m in members):
            return unknown_choice(noun, value, names)
    wanted = expected(annotation)
    for item in error.errors():
        if item["type"] == "value_error":  # from a validator of the schema, which has its own message
            wanted += f"; {item['ctx']['error']}"
    return f"expected {wanted}. Received {received(value)}."


def remedy(adapter: TypeAdapter[Any], value: Any) -> str:
    """What to write instead of a value whose meaning is clear; an empty string for others."""
    attempts: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        attempts.append((" Make it a list: '- ' before it, or [] around it.", (value,)))
    elif isinstance(value, str):
        attempts.append((f" Write {{kind: {value}}}.", {"kind": value}))
        digits = value.replace("_", "")
        try:
            attempts.append((" Remove the quotation marks.", plain_scalar(value)))
            attempts.append((f" Write {digits}.", plain_scalar(digits)))
        except ValueError:
            return ""  # a number beyond 64 bits
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        if isinstance(value, float) and value.is_integer():
            attempts.append((f" Write {int(value)}.", int(value)))
        attempts.append((f" Write [{received(value)}].", (value,)))
        attempts.append((" Put it in quotation marks.", str(value)))
    for words, attempt in attempts:
        try:
            adapter.validate_python(attempt)
        except ValidationError:
            continue
        return words
    return ""
