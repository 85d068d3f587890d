"""The ``sweep`` section: which keys of the recipe ``dlcli sweep`` varies, and how."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

from annotated_types import Ge, Le, MinLen
from pydantic import ConfigDict

from dlcli.recipe.language.fields import Count, Expected, Number, PositiveNumber, Section, Text

Whole = int  # because a key of Range has the name `int`
Points = Annotated[int, Ge(2), Le(1000)]
MIN_REDUCTION = 2


class Range(Section):
    """A range of numbers, of which trials take any. Give one of `log`, `uniform` and `int`."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    log: tuple[PositiveNumber, PositiveNumber] | None = None
    """Lowest and highest number; the logarithm is uniform, as for learning rates."""
    uniform: tuple[Number, Number] | None = None
    """Lowest and highest number."""
    points: Points | None = None
    """For `method: grid`: how many evenly spaced numbers of the range to try."""
    int: tuple[Whole, Whole] | None = None
    """Lowest and highest whole number."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest number."""
        return self.log or self.uniform or self.int or (0, 0)

    def rules(self) -> Iterator[tuple[str, str]]:
        given = [key for key in ("log", "uniform", "int") if getattr(self, key) is not None]
        if len(given) != 1:
            received = " and ".join(given) or "none"
            yield given[1] if given else "log", f"give one of log, uniform and int. Received {received}."
        elif self.bounds[0] >= self.bounds[1]:
            yield given[0], f"the first number must be lower than the second. Received {list(self.bounds)}."


class Budget(Section):
    """When the sweep ends: after a number of trials or of hours, whichever comes first. Only a grid needs neither."""

    trials: Count | None = None
    """Number of trials, besides the one with the recipe's own values. Default: for a grid all, else no limit."""
    hours: PositiveNumber | None = None
    """Hours after which no further trial starts. Default: no limit."""


class Asha(Section):
    """Successive halving: trials stop after few epochs, and the best of them continue (Li et al. 2018)."""

    min_epochs: Count = 1
    """Epochs after which trials are compared first."""
    reduction: Annotated[int, Ge(MIN_REDUCTION), Le(100)] = 3
    """One in this many trials continues, and trains this many times as long before the next comparison."""
    brackets: Annotated[int, Ge(1), Le(10)] = 1
    """With more than one, Hyperband (Li et al. 2017): trials go to the brackets in turn, and are compared with those of
    their bracket. The second one starts with the second comparison, the third with the third, and so on."""
    sampler: Literal["random", "tpe"] = "random"
    """How the values of new trials are chosen: at random, or by TPE, whose model knows how far each trial came."""


Values = Annotated[
    Range | Annotated[tuple[Any, ...], MinLen(1)],
    Expected("a list of values, or a range: {log: [1e-4, 0.1]}, {uniform: [0, 0.5]} or {int: [8, 64]}"),
]


class Sweep(Section):
    """Trials with different values of some keys, each a short training run, for `dlcli sweep`."""

    space: dict[str, Values]
    """The values to try, by dotted key as for `--set`, such as `train.optimizer.learning_rate: {log: [1e-4, 0.1]}` or
    `model.dropout: [0, 0.3, 0.5]`."""
    method: Literal["random", "grid", "tpe", "asha"] = "random"
    """How trials are chosen: at random; all combinations (grid); by a model of the best and the other trials so far
    (tpe, Bergstra et al. 2011; needs Optuna); or at random, with most trials stopped early (asha)."""
    asha: Asha | None = None
    """The comparisons of `method: asha`, which has the defaults if this is not given."""
    budget: Budget = Budget()
    """When the sweep ends."""
    workers: Annotated[int, Ge(1), Le(256)] = 1
    """Number of trials that train at the same time, each in a process with one thread."""
    seeds: Annotated[int, Ge(1), Le(100)] = 1
    """Number of seeds with which each trial is trained; their mean counts."""
    objective: Text | None = None
    """The column of metrics.csv that is optimized, such as val_accuracy; losses and errors are minimized. Default:
    `train.best_metric`."""
    baseline: bool = True
    """Whether the first trial has the recipe's own values."""

    @classmethod
    def dependent_defaults(cls, values: Mapping[str, Any]) -> Mapping[str, Any]:
        return {"asha": {}} if values.get("method") == "asha" else {}

    def rules(self) -> Iterator[tuple[str, str]]:
        if not self.space:
            yield "space", "needs a key to vary, such as train.optimizer.learning_rate: {log: [1e-4, 0.1]}"
        for key in self.space:
            if (inner := next((other for other in self.space if other.startswith(f"{key}.")), None)) is not None:
                yield f"space.{key}", f"contains {inner}, which is varied too; remove one of them"
        if self.method != "asha" and self.asha is not None:
            yield "asha", f"is for method: asha. Received method: {self.method}; remove it, with --set sweep.asha=null."
        if self.method == "asha" and self.seeds > 1:
            yield "seeds", f"must be 1 for method: asha, which compares trials while they train. Received {self.seeds}."
        if self.method == "grid":
            for key, values in self.space.items():
                if isinstance(values, Range) and values.points is None:
                    yield f"space.{key}", "a range in a grid needs points, such as {log: [1e-4, 0.1], points: 4}"
