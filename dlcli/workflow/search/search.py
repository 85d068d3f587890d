"""``dlcli search``: a search of the cells of a network, beside random search, with finalists trained at full size.

The logs in the directory are the state: each phase continues from what its log holds, so that a search can be killed at
any moment and resumed. This process imports no TensorFlow; its workers do.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.recipe.language.errors import RecipeError
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.sections.search import Search
from dlcli.recipe.yaml_writer import to_yaml, with_tuples
from dlcli.runtime.console import Console
from dlcli.workflow.search.candidates import Candidates, written_values
from dlcli.workflow.search.phases import Phases
from dlcli.workflow.search.proposer import CellProposer
from dlcli.workflow.trials.check import check_in_worker
from dlcli.workflow.trials.directory import BASELINE, FINALS, TRIALS, StudyDir
from dlcli.workflow.trials.pool import Workers
from dlcli.workflow.trials.ray_pool import open_workers
from dlcli.workflow.trials.study import mark_resumed, new_study, resuming


def search(
    loaded: LoadedRecipe,
    *,
    name: str,
    runs: Path,
    device: str,
    ray: str | None,
    command: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Search, train the finalists, and compare them with those of random search.

    Args:
        name: of the directory.
        ray: the address of a Ray cluster that runs the trials; None for processes of this machine.
        command: the command line, for the record.

    Returns:
        The final content of search.json, and ``directory``.

    Raises:
        InputError: the recipe or its data cannot be used; nothing was created.
        CheckFailed: no trial can be trained.
        Interrupted: a signal was received; the search can be resumed.
    """
    section = section_of(loaded)
    with open_workers(section.workers, ray, device) as pool:
        facts = _check(loaded, section, pool, runs=runs, device=device, console=console)

        logs = [TRIALS, *([BASELINE] if section.baseline == "random" else []), FINALS]
        info = {"written": written_values(loaded), "result": None}
        study = new_study(runs, name, "search", loaded=loaded, facts=facts, command=command, logs=logs, info=info)
        return Phases(study, loaded, section, pool, runs, device, console).finish()


def resume(
    study: StudyDir, *, device: str, ray: str | None, command: Sequence[str], console: Console
) -> dict[str, Any]:
    """Resume a search that was interrupted, from its logs.

    Returns:
        As `search`.

    Raises:
        InputError: it is complete, in use or corrupt, or its data have changed.
    """
    with resuming(study) as info:
        loaded = load_text(to_yaml(with_tuples(info["written"])).encode(), study.recipe)
        section = section_of(loaded)
        runs = study.path.parent
        with open_workers(section.workers, ray, device) as pool:
            facts = _check(loaded, section, pool, runs=runs, device=device, console=console)
            mark_resumed(study, facts, command)
            return Phases(study, loaded, section, pool, runs, device, console).finish()


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


def _check(
    loaded: LoadedRecipe, section: Search, pool: Workers, *, runs: Path, device: str, console: Console
) -> dict[str, Any]:
    """Have a worker read the data and build the recipe's own network at the size of a trial.

    Raises:
        InputError: the data, the recipe or its objective cannot be used.
    """
    candidates = Candidates(written_values(loaded), section, loaded.recipe.train.seed)
    cells = CellProposer(section, 0).ask(0).choices["genotype"]
    for key, values in (("trial", candidates.trial(cells, 0)), ("final", candidates.final(cells, 0))):
        try:
            load_text(to_yaml(values).encode(), loaded.path)
        except RecipeError as error:  # a size that no network can have
            rules = "; ".join(f"{diagnostic.key}: {diagnostic.message}" for diagnostic in error.diagnostics)
            raise loaded.error(f"search.{key}", f"gives a recipe that is not valid: {rules}") from None
    console.say("checking the data and starting the workers")
    task = {"device": device, "recipe": candidates.trial(None, 0), "path": str(loaded.path), "runs": str(runs)}
    outcome = check_in_worker(pool, task, loaded, console)
    columns = [name for name in outcome["columns"] if name.startswith("val_")]
    if not columns:
        raise loaded.error("search", "needs a validation split; set data.validation above 0")
    if section.metric not in columns:
        raise loaded.error("search.objective.0", f"must be one of {', '.join(columns)}. Received {section.metric}.")
    for warning in _warnings(loaded, section):
        console.warn(warning)
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
