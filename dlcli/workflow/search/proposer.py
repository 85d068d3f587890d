"""Connects a method of search with the runner of trials: choices become cells, records become scores."""

from dlcli.recipe.sections.search import COSTS, AgingEvolution, RandomMethod, ReinforceMethod, Search, Tournament
from dlcli.search.cells import cell_space, genotype
from dlcli.search.controller import Controller
from dlcli.search.evolution import Evolution
from dlcli.search.keys.samplers import same
from dlcli.search.method import Method, Space
from dlcli.search.random_search import RandomSearch
from dlcli.search.reinforce import Reinforce
from dlcli.training.direction import lower_is_better
from dlcli.workflow.trials.records import Record
from dlcli.workflow.trials.runner import Proposal


def make_method(search: Search, space: Space, seed: int) -> Method:
    """The method that a recipe asks for."""
    section = search.method
    match section:
        case AgingEvolution() | Tournament():
            return Evolution(
                space,
                population=section.population,
                sample=section.sample,
                aging=isinstance(section, AgingEvolution),
                seed=seed,
            )
        case ReinforceMethod(policy="lstm"):
            return Controller(
                space, units=section.units, learning_rate=section.learning_rate, decay=section.decay, seed=seed
            )
        case ReinforceMethod():
            return Reinforce(space, learning_rate=section.learning_rate, decay=section.decay, seed=seed)
        case RandomMethod():
            return RandomSearch(space, seed=seed)


class CellProposer:
    """Proposes cells. The choices of a record are ``encoded``, the index of the option at each position, and the
    ``genotype`` that this means.

    Args:
        search: the ``search`` section of the recipe.
        seed: of the method.
        is_baseline: propose at random, whatever the method of the recipe.
    """

    def __init__(self, search: Search, seed: int, *, is_baseline: bool = False) -> None:
        self._operations = search.space.operations
        self._metric = search.metric
        self._space = cell_space(self._operations, search.space.combinations)
        self._method = RandomSearch(self._space, seed=seed) if is_baseline else make_method(search, self._space, seed)

    def ask(self, trial: int) -> Proposal:
        """The cells to try as this trial."""
        proposal = self._method.ask(trial)
        cells = genotype(proposal.choices, self._operations)
        return Proposal({"encoded": list(proposal.choices), "genotype": cells}, proposal.parent)

    def tell(self, record: Record) -> None:
        """Report a trial to the method."""
        self._method.tell(record.trial, tuple(record.choices["encoded"]), score(record, self._metric))

    def mistake(self, record: Record) -> str | None:
        """What is wrong with a record that this search cannot have written; None if nothing is."""
        if (reason := lacks(record, self._metric)) is not None:
            return reason
        encoded = record.choices.get("encoded")
        if not isinstance(encoded, list) or len(encoded) != len(self._space):
            return "the choices are not in the space of this search"
        pairs = zip(encoded, self._space, strict=True)
        if not all(type(choice) is int and 0 <= choice < options for choice, options in pairs):
            return "the choices are not in the space of this search"
        if not same(record.choices.get("genotype"), genotype(tuple(encoded), self._operations)):
            return "the genotype is not that of the encoded choices"
        return None


def lacks(record: Record, metric: str) -> str | None:
    """What a record of a complete training lacks; None if nothing."""
    if record.status == "complete" and metric not in record.metrics:
        return f"the metrics of a complete trial must have {metric}"
    if record.status == "complete" and not set(COSTS) <= record.cost.keys():
        return f"the cost of a complete trial must have {' and '.join(COSTS)}"
    return None


def score(record: Record, metric: str) -> float | None:
    """The value of the metric, negative if lower is better; None for a trial that is not complete."""
    if record.status != "complete" or metric not in record.metrics:
        return None
    return -record.metrics[metric] if lower_is_better(metric) else record.metrics[metric]
