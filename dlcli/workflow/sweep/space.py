"""The space of a sweep, checked: each key and value as ``--set`` would, with the place of the value in the file."""

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlcli.recipe.language.errors import Diagnostic, KeyPath, RecipeError
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.sections.sweep import Range, Sweep
from dlcli.search.keys.samplers import same
from dlcli.search.keys.space import Interval, Options, Scale, Space
from dlcli.workflow.trials.tasks import setting

LoadWith = Callable[[Sequence[Override]], LoadedRecipe]

NOT_SWEPT = re.compile(r"(task|name|train\.seed|train\.best_metric|(sweep|search)\b.*)")
DECIDES_SPLITS = re.compile(r"data\.(.*_)?(path|kind|validation|test|split|split_seed|limit|num_samples|exclude|seed)")
CHANGES_LOSS = re.compile(r"train\.(loss|label_smoothing)\b.*")


def space_of(section: Sweep) -> Space:
    """The space of a ``sweep`` section."""
    return {key: _axis(values, is_grid=section.method == "grid") for key, values in section.space.items()}


def diagnose_space(loaded: LoadedRecipe, load_with: LoadWith) -> list[Diagnostic]:
    """The keys and values of the recipe's ``sweep.space`` that cannot be used, each at its place.

    Args:
        load_with: loads the recipe with further overrides.
    """
    section = loaded.recipe.sweep
    assert section is not None
    return [diagnostic for key in section.space for diagnostic in _diagnose(loaded, section, key, load_with)]


def objective_of(loaded: LoadedRecipe, load_with: LoadWith) -> str | None:
    """The objective that the recipe names: of the ``sweep`` section, else ``train.best_metric``.

    Raises:
        RecipeError: the task has no such metric.
    """
    assert loaded.recipe.sweep is not None
    name = loaded.recipe.sweep.objective
    if name is None:
        return loaded.recipe.train.best_metric
    path: KeyPath = ("sweep", "objective")
    try:
        load_with([Override.of_value("train.best_metric", name, str(loaded.tree.place(path)))])
    except RecipeError as error:
        found = [Diagnostic(each.place, "sweep.objective", each.message) for each in error.diagnostics]
        raise RecipeError(found) from None
    return name


def _diagnose(loaded: LoadedRecipe, section: Sweep, key: str, load_with: LoadWith) -> Iterator[Diagnostic]:
    path: KeyPath = ("sweep", "space", key)
    mark = loaded.tree.marks.get(path)
    place = mark.key if mark is not None else loaded.tree.place(path)
    if (reason := _refusal(section, loaded, key)) is not None:
        yield Diagnostic(place, f"sweep.space.{key}", reason)
        return
    values = list(_values(section.space[key], path))
    found = [_messages(key, value, str(loaded.tree.place(at)), load_with) for value, at in values]
    if len(found) > 1 and found[0] and all(messages == found[0] for messages in found):  # whatever the value is
        yield from (Diagnostic(place, each, message) for each, message in found[0])
        return
    for (_, at), messages in zip(values, found, strict=True):
        yield from (Diagnostic(loaded.tree.place(at), each, message) for each, message in messages)
    if not isinstance(section.space[key], Range):
        for number, (value, at) in enumerate(values):
            if any(same(value, other) for other, _ in values[:number]):
                yield Diagnostic(loaded.tree.place(at), key, f"the value {value} occurs twice")


def _messages(key: str, value: Any, origin: str, load_with: LoadWith) -> list[tuple[str, str]]:
    """What is wrong with a value of a key: a key and a message each."""
    try:
        load_with([setting(key, value, origin)])
    except RecipeError as error:
        return [
            (found.key, found.message)
            if found.place.order
            else (key, f"with {key}: {value}: {found.key}: {found.message}")
            for found in error.diagnostics
        ]
    return []


def _refusal(section: Sweep, loaded: LoadedRecipe, key: str) -> str | None:
    """Why a key cannot be varied, if so."""
    if NOT_SWEPT.fullmatch(key):
        remedy = "; sweep.seeds trains each trial with several seeds" if key == "train.seed" else ""
        return f"cannot be varied{remedy}. Remove it."
    if DECIDES_SPLITS.fullmatch(key):
        return "cannot be varied: trials must be compared on the same validation data. Remove it."
    if section.method == "asha" and (key == "train.epochs" or key.startswith("train.stages")):
        return "cannot be varied by method: asha, which decides after how many epochs a trial stops. Remove it."
    objective = section.objective or loaded.recipe.train.best_metric or "val_loss"
    if CHANGES_LOSS.fullmatch(key) and objective.endswith("loss"):
        return (
            f"changes the loss, so that {objective} cannot compare trials. Set sweep.objective to another metric, such "
            "as val_accuracy."
        )
    return None


def _values(values: Range | tuple[Any, ...], path: KeyPath) -> Iterator[tuple[Any, KeyPath]]:
    """The values to check, with their paths: all of a list, the bounds of a range."""
    if isinstance(values, Range):
        kind = range_kind(values)
        yield from ((value, (*path, kind, number)) for number, value in enumerate(getattr(values, kind)))
    else:
        yield from ((value, (*path, number)) for number, value in enumerate(values))


def range_kind(values: Range) -> str:
    """Which of its keys a range has."""
    return next(kind for kind in ("log", "uniform", "int") if getattr(values, kind) is not None)


def _axis(values: Range | tuple[Any, ...], *, is_grid: bool) -> Interval | Options:
    if not isinstance(values, Range):
        return Options(values)
    scale: Scale = "log" if values.log is not None else "whole" if values.int is not None else "linear"
    interval = Interval(*values.bounds, scale)
    return Options(interval.points(values.points)) if is_grid and values.points is not None else interval
