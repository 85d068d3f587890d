"""The ``search`` section: a search of the cells of a network, by training many small ones."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, MinLen
from pydantic import Field, StringConstraints

from dlcli.recipe.language.fields import (
    Count,
    Expected,
    FractionsAllowed,
    NullForDefault,
    PositiveNumber,
    PositiveProportion,
    Section,
)
from dlcli.recipe.sections.genotype import Operation

COSTS = ("multiply_adds", "parameters")
RATES = {"logits": 0.2, "lstm": 0.02}
"""The default learning rate of each policy of REINFORCE."""


class CellSpace(Section):
    """Two cells, normal and reduction, whose states are each the sum of two operations on earlier states."""

    kind: Literal["cells"]
    """What is searched."""
    operations: Annotated[tuple[Operation, ...], MinLen(1)]
    """The operations that are tried."""
    combinations: Annotated[int, Ge(1), Le(20)] = 5
    """States that each cell adds to its two inputs."""

    def rules(self) -> Iterator[tuple[str, str]]:
        for i, operation in enumerate(self.operations):
            if operation in self.operations[:i]:
                yield f"operations.{i}", f"{operation} is in the list twice; remove it"


class Population(Section):
    """The keys of methods that keep a population."""

    population: Annotated[int, Ge(2)] = 32
    """Number of networks that are kept, from which parents are chosen."""
    sample: Count = 8
    """Number of networks that are drawn from the population, the best of which is the parent of the next one."""

    def rules(self) -> Iterator[tuple[str, str]]:
        if self.sample > self.population:
            yield "sample", f"must be at most population, {self.population}. Received {self.sample}."


class AgingEvolution(Population):
    """Evolution in which the oldest network of the population is removed (Real et al. 2019)."""

    kind: Literal["evolution"]
    """Method of the search."""


class Tournament(Population):
    """Evolution in which the worst network of the population is removed."""

    kind: Literal["tournament"]
    """Method of the search."""


class ReinforceMethod(Section):
    """Policy gradient with a moving baseline (Williams 1992; Zoph and Le 2017)."""

    kind: Literal["reinforce"]
    """Method of the search."""
    policy: Literal["logits", "lstm"] = "logits"
    """Independent probabilities for each choice (logits), or a recurrent controller in which each depends on those
    before it (lstm)."""
    learning_rate: Annotated[PositiveNumber, NullForDefault("0.2 with `policy: logits`, 0.02 with lstm")] = 0.2
    """Learning rate of the policy."""
    decay: PositiveProportion = 0.9
    """Momentum of the moving average of the objective, which is the baseline."""
    units: Annotated[int, Ge(1), Le(1000)] = 32
    """Units of the lstm."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        rate = RATES.get(str(values.get("policy")))
        return {} if rate is None else {"learning_rate": rate}


class RandomMethod(Section):
    """Every network is drawn at random."""

    kind: Literal["random"]
    """Method of the search."""


class Trial(Section):
    """What the training of a candidate changes in the recipe, and the longest it may take."""

    repeats: Count | None = None
    """`model.repeats` of candidates, or `model.backbone.repeats`. Default: the recipe's."""
    filters: Count | None = None
    """`model.filters` of candidates, or `model.backbone.filters`. Default: the recipe's."""
    epochs: Count | None = None
    """`train.epochs` of candidates. Default: the recipe's."""
    minutes: PositiveNumber = 60.0
    """Time after which the training of a candidate is stopped and recorded as failed."""


class SearchBudget(Section):
    """How long is searched; what is spent first ends the search."""

    trials: Count = 100
    """Number of candidates that are trained. Those that exceed a limit are not trained, and do not count."""
    hours: PositiveNumber | None = None
    """Time of the search, without its baseline and the finalists; null: no limit."""


class AtMost(Section):
    """An upper bound."""

    at_most: Annotated[float, Gt(0), FractionsAllowed()]
    """The largest value."""


class Limits(Section):
    """Limits on the cost of candidates at the size of a trial; those that exceed one are not trained."""

    multiply_adds: AtMost | None = None
    """Limit on the multiply-adds for one sample."""
    parameters: AtMost | None = None
    """Limit on the number of parameters."""


Objective = Annotated[
    str,
    StringConstraints(pattern=r"^(val_[a-z0-9_]{1,40}|multiply_adds|parameters)$"),
    Expected("a metric of the validation split such as val_accuracy, multiply_adds or parameters"),
]


class Final(Section):
    """The training of finalists: the best candidates of the search, and as many of its baseline."""

    top: Annotated[int, Ge(1), Le(100)] = 5
    """Number of finalists."""
    seeds: Annotated[int, Ge(1), Le(100)] = 3
    """Number of trainings of each finalist, with new seeds. Finalists are ranked by their mean."""
    repeats: Count | None = None
    """`model.repeats` of finalists, or `model.backbone.repeats`. Default: the recipe's."""
    filters: Count | None = None
    """`model.filters` of finalists, or `model.backbone.filters`. Default: the recipe's."""
    epochs: Count | None = None
    """`train.epochs` of finalists. Default: the recipe's."""


class Search(Section):
    """A search of the architecture: many candidates are trained for a short time, and the best ones at full size."""

    space: CellSpace
    """The candidates."""
    method: Annotated[AgingEvolution | Tournament | ReinforceMethod | RandomMethod, Field(discriminator="kind")] = (
        AgingEvolution(kind="evolution")
    )
    """How candidates are chosen."""
    trial: Trial = Trial()
    """The training of candidates."""
    budget: SearchBudget = SearchBudget()
    """How long is searched."""
    objective: Annotated[tuple[Objective | Limits, ...], MinLen(1)] = ("val_accuracy",)
    """What is optimized: first a metric of the validation split, by which candidates are compared; costs after it add
    dimensions to the Pareto front; limits such as {multiply_adds: {at_most: 50e6}}."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Number of trainings at the same time, each in a process with one thread. With more than one, the result depends
    on which ends first."""
    baseline: Annotated[Literal["random", "none"], NullForDefault("none with `method: random`, else random")] = "random"
    """What the search is compared with: random search with as many candidates, trained and chosen alike."""
    final: Final = Final()
    """The training of finalists."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        method = values.get("method")
        is_random = isinstance(method, dict) and method.get("kind") == "random"
        return {"baseline": "none"} if is_random else {}

    @property
    def metric(self) -> str:
        """The metric by which candidates are compared."""
        return str(self.objective[0])

    @property
    def costs(self) -> tuple[str, ...]:
        """The costs that are minimized besides, as dimensions of the Pareto front."""
        return tuple(item for item in self.objective[1:] if isinstance(item, str))

    @property
    def limits(self) -> dict[str, float]:
        """The largest value of each cost that is limited."""
        sections = [item for item in self.objective if isinstance(item, Limits)]
        bounds = [(name, getattr(section, name)) for section in sections for name in COSTS]
        return {name: bound.at_most for name, bound in bounds if bound is not None}

    def rules(self) -> Iterator[tuple[str, str]]:
        if isinstance(self.method, RandomMethod) and self.baseline == "random":
            yield "baseline", "must be none with method: random, which is the baseline itself"
        first, *others = self.objective
        if not isinstance(first, str) or first in COSTS:
            yield "objective.0", "must be a metric of the validation split, such as val_accuracy, and costs follow it"
        for i, item in enumerate(others, start=1):
            if isinstance(item, str) and item not in COSTS:
                yield f"objective.{i}", "one metric is optimized; after it there can be multiply_adds and parameters"
            elif isinstance(item, str) and item in self.objective[:i]:
                yield f"objective.{i}", f"{item} is in the list twice; remove it"


def rules_of_search(
    search: Search | None, network: Section | None, train: Section, *, key: str = "model"
) -> Iterator[tuple[str, str]]:
    """The rules between ``search`` and the sections whose keys it changes, for a task's recipe.

    Args:
        network: the section of the image network; None without one.
        key: of that section.
    """
    if search is None:
        return
    kind = getattr(network, "kind", None)
    if kind != "cells":
        received = "no backbone" if kind is None else kind
        yield "search", f"needs {key}.kind: cells, whose genotype it replaces. Received {received}."
    elif getattr(network, "weights", "none") != "none":
        yield "search", f"cannot be combined with {key}.weights, which fit one network only"
    if getattr(train, "stages", ()):
        yield "search", "cannot be combined with train.stages; use train.epochs"
