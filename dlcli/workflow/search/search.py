"""``dlcli search``: a search of the cells of a network, beside random search, with finalists trained at full size.

The logs in the directory are the state: each phase continues from what its log holds, so that a search can be killed at
any moment and resumed. This process imports no TensorFlow; its workers do.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.search import Search
from dlcli.recipe.yaml_writer import to_yaml
from dlcli.workflow.search.candidates import Candidates, written_values
from dlcli.workflow.search.phases import Phases
from dlcli.workflow.search.proposer import CellProposer
from dlcli.workflow.trials.check import check_in_worker
from dlcli.workflow.trials.directory import BASELINE, FINALS, TRIALS, Kind, StudyDir
from dlcli.workflow.trials.records import TrialLog
from dlcli.workflow.trials.work import Setting


class SearchWork:
    """A search as its recipe says.

    Args:
        loaded: the recipe.

    Raises:
        InputError: it has no ``search`` section.
    """

    kind: Kind = "search"

    def __init__(self, loaded: LoadedRecipe) -> None:
        self.loaded = loaded
        self.section = section_of(loaded)
        self.num_workers = self.section.workers
        self.logs = (TRIALS, *([BASELINE] if self.section.baseline == "random" else []), FINALS)

    def check(self, setting: Setting) -> dict[str, Any]:
        """Have a worker read the data and build the recipe's own network at the size of a trial.

        Raises:
            InputError: the data, the recipe or its objective cannot be used.
        """
        return _check(self.loaded, self.section, setting)

    def check_logs(self, study: StudyDir, facts: Mapping[str, Any]) -> None:
        """Read the logs of candidates of a search of the same recipe.

        Raises:
            InputError: one of them is corrupt.
        """
        mistake = CellProposer(self.section, seed=0).mistake  # the same for each seed
        for name in (TRIALS, BASELINE):
            TrialLog(study.log_of_trials(name), mistake).read()

    def info(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """No result yet."""
        return {"result": None}

    def run(self, study: StudyDir, setting: Setting) -> dict[str, Any]:
        """Do what is left of the search.

        Raises:
            CheckFailed: no trial or no finalist can be trained.
        """
        return {"result": Phases(study, self.loaded, self.section, setting).run()}


def section_of(loaded: LoadedRecipe) -> Search:
    """The ``search`` section of a recipe.

    Raises:
        InputError: it has none.
    """
    section: Search | None = getattr(loaded.recipe, "search", None)
    if section is None:
        raise InputError(
            f"{loaded.path}: a search section is missing, such as search: {{space: {{kind: cells, operations: "
            "[identity, sep3, max3]}}. See docs/guide/search.md."
        )
    return section


def _check(loaded: LoadedRecipe, section: Search, setting: Setting) -> dict[str, Any]:
    candidates = Candidates(written_values(loaded), section, loaded.recipe.train.seed)
    cells = CellProposer(section, 0).ask(0).choices["genotype"]
    for key, values in (("trial", candidates.trial(cells, 0)), ("final", candidates.final(cells, 0))):
        try:
            load_text(to_yaml(values).encode(), loaded.path)
        except RecipeError as error:  # a size that no network can have
            rules = "; ".join(f"{diagnostic.key}: {diagnostic.message}" for diagnostic in error.diagnostics)
            raise loaded.error(f"search.{key}", f"gives a recipe that is not valid: {rules}") from None
    outcome = check_in_worker(setting, candidates.trial(None, 0), loaded)
    columns = [name for name in outcome["columns"] if name.startswith("val_")]
    if not columns:
        raise loaded.error("search", "needs a validation split; set data.validation above 0")
    if section.metric not in columns:
        raise loaded.error("search.objective.0", f"must be one of {', '.join(columns)}. Received {section.metric}.")
    for warning in _warnings(loaded, section):
        setting.console.warn(warning)
    return outcome


def _warnings(loaded: LoadedRecipe, section: Search) -> Iterator[str]:
    """What is allowed and seldom meant."""
    num_trials = section.budget.trials
    population = getattr(section.method, "population", 0)
    if population >= num_trials:
        key = "search.method.population"
        yield (
            f"{loaded.locate(key)}: {key}: a population of {population:,} is drawn at random before any candidate has "
            f"a parent, and search.budget.trials is {num_trials:,}; with {section.method.kind} make it smaller"
        )
    if section.final.top > num_trials:
        key = "search.final.top"
        yield f"{loaded.locate(key)}: {key}: there are at most {num_trials:,} candidates, by search.budget.trials"
