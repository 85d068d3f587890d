"""What a sweep does, as its recipe says, and the errors and warnings that need no data."""

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import Diagnostic, KeyPath, RecipeError
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.sweep import Range, Sweep
from dlcli.recipe.yaml_writer import resolved, to_yaml
from dlcli.search.keys.asha import rung_epochs
from dlcli.search.keys.space import Options, Space, combinations
from dlcli.workflow.sweep.space import diagnose_space, objective_of, range_kind, space_of

MAX_GRID = 100_000  # combinations
BATCH_SIZE = "train.batch_size"


class Design:
    """What a sweep does, as its recipe says.

    Args:
        loaded: the recipe.

    Raises:
        InputError: it has no ``sweep`` section, or one that cannot be used; all errors at once.
    """

    def __init__(self, loaded: LoadedRecipe) -> None:
        self.loaded = loaded
        self.section = _section_of(loaded)
        self.written = _written(loaded)
        self.space: Space = space_of(self.section)
        train = loaded.recipe.train
        self.epochs = sum(stage.epochs for stage in train.stages) or train.epochs
        self.seed = train.seed
        diagnostics = [
            *(Diagnostic(loaded.tree.place(loaded.tree.path(key)), key, message) for key, message in self._rules()),
            *diagnose_space(loaded, self._load_with),
        ]
        if diagnostics:
            raise RecipeError(dict.fromkeys(diagnostics))
        self.named_objective = objective_of(loaded, self._load_with)

    def _load_with(self, overrides: Sequence[Override]) -> LoadedRecipe:
        return load_text(to_yaml(self.written).encode(), self.loaded.path, overrides)

    def _rules(self) -> Iterator[tuple[str, str]]:
        section, budget = self.section, self.section.budget
        if section.method != "grid" and budget.trials is None and budget.hours is None:
            yield "sweep.budget", f"{section.method} needs a limit; set budget.trials or budget.hours, or --trials N"
        if section.asha is not None and self.loaded.recipe.train.stages:
            yield "sweep.method", "asha needs train.epochs, and cannot be combined with train.stages"
        elif section.asha is not None and section.asha.min_epochs > self.epochs:
            received = section.asha.min_epochs
            yield "sweep.asha.min_epochs", f"must be at most train.epochs, {self.epochs}. Received {received}."
        elif section.asha is not None:
            rungs = rung_epochs(section.asha.min_epochs, self.epochs, section.asha.reduction)
            if section.asha.brackets > len(rungs):
                yield (
                    "sweep.asha.brackets",
                    f"must be at most the number of comparisons, {len(rungs)}: after {', '.join(map(str, rungs))} "
                    f"epochs. Received {section.asha.brackets}.",
                )
        needs = [("sweep.method", section.method), ("sweep.asha.sampler", section.asha and section.asha.sampler)]
        key = next((key for key, value in needs if value == "tpe"), None)
        if key is not None and importlib.util.find_spec("optuna") is None:
            yield key, "tpe needs Optuna; install it with: pip install 'dlcli[sweep]'"
        if section.method == "grid":
            yield from self._rules_of_grid()

    def _rules_of_grid(self) -> Iterator[tuple[str, str]]:
        budget = self.section.budget.trials
        size = combinations({key: axis for key, axis in self.space.items() if isinstance(axis, Options)})
        if size is not None and size > MAX_GRID:
            yield (
                "sweep.space",
                f"a grid may have at most {MAX_GRID:,} combinations. Received {size:,}; use method: random",
            )
        elif size is not None and budget is not None and budget < size:
            yield (
                "sweep.budget.trials",
                f"the grid has {size:,} combinations. Received {budget:,}; raise or remove it",
            )

    def warnings(self, objective: str, *, num_train: int) -> Iterator[str]:
        """What is allowed and seldom meant.

        Args:
            objective: of the sweep.
            num_train: number of training samples.
        """
        loaded, asha = self.loaded, self.section.asha
        if not objective.startswith("val_"):
            key = "train.best_metric" if self.section.objective is None else "sweep.objective"
            yield f"{loaded.locate(key)}: {key} is {objective}: the trial that fits the training data best wins"
        if asha is not None and asha.min_epochs == self.epochs:
            yield (
                f"{loaded.locate('sweep.asha.min_epochs')}: no trial stops early: sweep.asha.min_epochs is "
                f"train.epochs, {self.epochs}"
            )
        for value, path in self._batch_sizes():
            if isinstance(value, int) and value > num_train:
                yield (
                    f"{loaded.tree.place(path)}: {BATCH_SIZE}: batches of {value:,} hold all {num_train:,} training "
                    "samples, as all sizes from there on do"
                )

    def _batch_sizes(self) -> Iterator[tuple[Any, KeyPath]]:
        """The largest batch sizes that are tried, with their paths."""
        values = self.section.space.get(BATCH_SIZE, ())
        path: KeyPath = ("sweep", "space", BATCH_SIZE)
        if isinstance(values, Range):
            yield values.bounds[1], (*path, range_kind(values), 1)
        else:
            yield from ((value, (*path, number)) for number, value in enumerate(values))

    @property
    def own_values(self) -> dict[str, Any]:
        """The recipe's own value of each key that is varied; without those that the recipe does not have."""
        config = resolved(self.loaded.recipe)
        found = {key: _value_at(config, key.split(".")) for key in self.space}
        return {key: value for key, value in found.items() if value is not MISSING}

    @property
    def num_trials(self) -> int | None:
        """The number of trials that start, the baseline included; None if the space does not limit it."""
        is_tpe = self.section.method == "tpe" or (self.section.asha is not None and self.section.asha.sampler == "tpe")
        limits = [self.section.budget.trials, None if is_tpe else combinations(self.space)]
        known = [limit for limit in limits if limit is not None]
        return min(known) + self.section.baseline if known else None

    def recipe_of_trials(self, objective: str) -> dict[str, Any]:
        """The recipe without what a trial changes; its best epoch is that of the objective."""
        train = dict(self.written.get("train") or {})
        train.setdefault("best_metric", objective)
        return {**self.written, "train": train}


MISSING = object()


def _value_at(values: Any, keys: Sequence[str]) -> Any:
    """The value at a dotted key, whose parts are indices in lists; MISSING if there is none."""
    for key in keys:
        if isinstance(values, Mapping) and key in values:
            values = values[key]
        elif isinstance(values, (list, tuple)) and key.isdecimal() and int(key) < len(values):
            values = values[int(key)]
        else:
            return MISSING
    return values


def _section_of(loaded: LoadedRecipe) -> Sweep:
    if loaded.recipe.sweep is None:
        raise InputError(
            f"{loaded.path}: a sweep section is missing, such as sweep: {{space: {{train.optimizer.learning_rate: "
            "{log: [1e-4, 0.1]}}, budget: {trials: 20}}. See docs/guide/sweep.md."
        )
    return loaded.recipe.sweep


def _written(loaded: LoadedRecipe) -> dict[str, Any]:
    """The recipe as it was written, with the values of the command line, without ``name`` and ``sweep``.

    What is not written stays open: a default may depend on what a trial changes.
    """
    return {key: value for key, value in loaded.tree.values.items() if key not in ("name", "sweep")}
