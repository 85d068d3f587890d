"""A search or sweep from its start to its end: what both do in the same way."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from dlcli.errors import InputError
from dlcli.recipe.language.overrides import Override
from dlcli.recipe.load import LoadedRecipe, load_text
from dlcli.recipe.yaml_writer import to_yaml, with_tuples
from dlcli.rundir.runs import NAME
from dlcli.runtime.console import Console
from dlcli.workflow.trials.directory import Kind, StudyDir, study_at
from dlcli.workflow.trials.pool import Workers
from dlcli.workflow.trials.ray_pool import open_workers
from dlcli.workflow.trials.records import TrialLog
from dlcli.workflow.trials.replay import Replay
from dlcli.workflow.trials.runner import Proposer
from dlcli.workflow.trials.study import complete, mark_resumed, new_study, resuming


@dataclass(frozen=True)
class Setting:
    """Where trials are run.

    Attributes:
        pool: the workers.
        runs: the folder of the directory, in which ``run:NAME`` is looked up.
        device: of the workers.
        console: where progress is printed.
        replays: the search or sweep whose trials are trained again; None for a method that chooses.
    """

    pool: Workers
    runs: Path
    device: str
    console: Console
    replays: StudyDir | None = None

    def proposer(self, proposer: Proposer, log: TrialLog) -> Proposer:
        """What proposes the trials of a log: a method, or the same log of the search or sweep that is trained again.

        Args:
            proposer: that of the method.
            log: of the search or sweep that is run.

        Raises:
            InputError: the log that is trained again is corrupt.
        """
        if self.replays is None:
            return proposer
        return Replay(proposer, log.at(self.replays.log_of_trials(log.path.name)).read())


class Work(Protocol):
    """What a search or sweep does, as its recipe says."""

    @property
    def kind(self) -> Kind:
        """Search or sweep."""

    @property
    def loaded(self) -> LoadedRecipe:
        """The recipe."""

    @property
    def num_workers(self) -> int:
        """Trials at the same time."""

    @property
    def logs(self) -> Sequence[str]:
        """The names of its logs."""

    def check(self, setting: Setting) -> dict[str, Any]:
        """Have a worker read the data and build the recipe's own network; returns what it found.

        Raises:
            InputError: the data, the recipe or its objective cannot be used.
        """

    def check_logs(self, study: StudyDir, facts: Mapping[str, Any]) -> None:
        """Read the logs of trials of a search or sweep of the same recipe.

        Args:
            facts: what `check` found.

        Raises:
            InputError: one of them is corrupt.
        """

    def info(self, facts: Mapping[str, Any]) -> dict[str, Any]:
        """What search.json or sweep.json has from the start, besides what both have, by what `check` found."""

    def run(self, study: StudyDir, setting: Setting) -> dict[str, Any]:
        """Do what is left, and return what search.json or sweep.json gets.

        Raises:
            CheckFailed: nothing can be trained.
        """


def start(
    work: Work,
    *,
    name: str,
    runs: Path,
    device: str,
    ray: str | None,
    command: Sequence[str],
    console: Console,
    replays: StudyDir | None = None,
    check_facts: Callable[[dict[str, Any]], None] = lambda facts: None,
) -> dict[str, Any]:
    """Run a new search or sweep to its end.

    Args:
        name: of its directory.
        ray: the address of a Ray cluster that runs the trials; None for processes of this machine.
        command: the command line, for the record.
        replays: a search or sweep in the same folder whose trials are trained again; None for a method that chooses.
        check_facts: may refuse what a worker has found, before the directory is created.

    Returns:
        The final content of search.json or sweep.json, and its ``directory``.

    Raises:
        InputError: the recipe or its data cannot be used; nothing was created.
        CheckFailed: nothing can be trained.
        Interrupted: a signal was received; it can be resumed.
    """
    with open_workers(work.num_workers, ray, device) as pool:
        setting = Setting(pool, runs, device, console, replays)
        facts = work.check(setting)
        check_facts(facts)
        if replays is not None:
            work.check_logs(replays, facts)
        info = {"path": str(work.loaded.path.absolute()), "written": work.loaded.tree.values, **work.info(facts)}
        if replays is not None:
            info["reproduces"] = {"run": replays.name}
        study = new_study(
            runs, name, work.kind, loaded=work.loaded, facts=facts, command=command, logs=work.logs, info=info
        )
        return _finish(work, study, setting)


def resume(
    study: StudyDir,
    make: Callable[[LoadedRecipe], Work],
    *,
    device: str,
    ray: str | None,
    command: Sequence[str],
    console: Console,
) -> dict[str, Any]:
    """Resume a search or sweep that was interrupted, from its logs.

    Args:
        make: makes its work from the recipe.

    Returns:
        As :func:`start`.

    Raises:
        InputError: it is complete, in use or corrupt, or its data have changed.
    """
    with resuming(study) as info:
        work = make(recipe_of(study, info))
        with open_workers(work.num_workers, ray, device) as pool:
            setting = Setting(pool, study.path.parent, device, console, _replayed_by(study, info))
            mark_resumed(study, work.check(setting), command)
            return _finish(work, study, setting)


def recipe_of(study: StudyDir, info: Mapping[str, Any], overrides: Sequence[Override] = ()) -> LoadedRecipe:
    """The recipe of a search or sweep, as it was when it was started.

    Args:
        info: the content of its search.json or sweep.json.

    Raises:
        InputError: search.json or sweep.json is corrupt.
    """
    path = info.get("path", str(study.recipe))  # searches of earlier versions have paths from the root in `written`
    for key, is_valid in (("written", isinstance(info.get("written"), dict)), ("path", isinstance(path, str))):
        if not is_valid:
            raise InputError(f"{study.info}: is corrupt: '{key}' is missing. Restore it from a copy.")
    return load_text(to_yaml(with_tuples(info["written"])).encode(), Path(path), overrides)


def _finish(work: Work, study: StudyDir, setting: Setting) -> dict[str, Any]:
    return {
        "directory": str(study.path),
        **complete(study, setting.console, lambda: work.run(study, setting)),
    }


def _replayed_by(study: StudyDir, info: Mapping[str, Any]) -> StudyDir | None:
    """The search or sweep that one reproduces; None if none, or if it was removed."""
    reproduces = info.get("reproduces")
    name = reproduces.get("run") if isinstance(reproduces, dict) else None
    found = study_at(study.path.parent / name) if isinstance(name, str) and NAME.fullmatch(name) else None
    return found if found is not None and found.kind == study.kind else None
