"""What searches and sweeps have in common: how one is created, resumed and completed in its directory."""

import contextlib
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import CheckFailed, InputError, Interrupted, Terminated
from dlcli.recipe.load import LoadedRecipe
from dlcli.recipe.yaml_writer import resolved
from dlcli.rundir.runs import now
from dlcli.rundir.writing import replace_file, replace_json
from dlcli.runtime.console import Console
from dlcli.workflow.trials.directory import LOGS, Kind, StudyDir, create_study
from dlcli.workflow.trials.records import TrialLog


def new_study(
    runs: Path,
    name: str,
    kind: Kind,
    *,
    loaded: LoadedRecipe,
    facts: Mapping[str, Any],
    command: Sequence[str],
    logs: Sequence[str],
    info: Mapping[str, Any],
) -> StudyDir:
    """Create and lock the directory of a search or sweep.

    Args:
        loaded: the recipe.
        facts: what :func:`dlcli.workflow.trials.check.check_in_worker` returned.
        command: the command line, for the record.
        logs: the names of the logs, which are created empty, so that one that was deleted is missed.
        info: what search.json or sweep.json has besides.
    """

    def write(study: StudyDir) -> None:
        replace_file(study.recipe, loaded.text)
        for log in logs:
            replace_file(study.log_of_trials(log), "")
        common = {
            "status": "running",
            "command": list(command),
            "started": now(),
            "task": loaded.recipe.task,
            "seed": loaded.recipe.train.seed,
            "fingerprint": facts["fingerprint"],
            "samples": facts["splits"],
            "config": resolved(loaded.recipe),
            "logs": list(logs),
            **facts["environment"],
        }
        replace_json(study.info, common | dict(info))

    return create_study(runs, name, kind, write)


@contextlib.contextmanager
def resuming(study: StudyDir) -> Iterator[dict[str, Any]]:
    """Lock a search or sweep that was interrupted; yields the content of its search.json or sweep.json.

    Raises:
        InputError: it is complete, in use or corrupt.
    """
    study.lock()
    try:
        info = study.read_info()
        if info["status"] == "completed":
            raise InputError(f"{study.path}: this {study.kind} is complete. Its best recipe is {study.best}.")
        check_logs(study, info)
        study.remove_leftovers()
        yield info
    finally:
        study.unlock()


def check_logs(study: StudyDir, info: Mapping[str, Any]) -> None:
    """Refuse a search or sweep of which a log was deleted.

    Args:
        info: the content of its search.json or sweep.json.
    """
    logs = info.get("logs")
    for path in [study.log_of_trials(name) for name in LOGS if isinstance(logs, list) and name in logs]:
        if not path.exists():
            raise InputError(
                f"{path}: is missing, with the trials that were recorded in it. Restore it from a copy, or start a new "
                f"{study.kind}."
            )


def mark_resumed(study: StudyDir, facts: Mapping[str, Any], command: Sequence[str]) -> None:
    """Record that a search or sweep is resumed.

    Args:
        facts: what :func:`dlcli.workflow.trials.check.check_in_worker` returned.

    Raises:
        InputError: the data are not those that it was started with.
    """
    info = study.read_info()
    if facts["fingerprint"] != info.get("fingerprint"):
        raise InputError(f"{study.path}: the data have changed since the {study.kind} was started. Restore them.")
    resumed = [*info.get("resumed", []), {"time": now(), "command": list(command)}]
    study.update_info(status="running", resumed=resumed)


def complete(study: StudyDir, console: Console, run: Callable[[], Mapping[str, Any]]) -> dict[str, Any]:
    """Do what is left of a search or sweep, and complete search.json or sweep.json.

    Args:
        run: does it, and returns what the file gets.

    Returns:
        The content of the file.

    Raises:
        CheckFailed: nothing can be trained.
        Interrupted: a signal was received; it can be resumed.
    """
    console.log = study.log
    try:
        result = run()
        study.update_info(status="completed", reason=None, finished=now(), **result)
        return study.read_info()
    except (KeyboardInterrupt, Terminated) as stop:
        number = stop.signal_number if isinstance(stop, Terminated) else signal.SIGINT
        study.update_info(status="interrupted")
        num_trials = sum(len(TrialLog(study.log_of_trials(name)).read()) for name in LOGS)
        text = f"stopped after {num_trials} trials. Resume with: dlcli {study.kind} --resume {study.path}"
        raise Interrupted(text, number, study.path) from None
    except CheckFailed as error:
        study.update_info(status="failed", reason=str(error))
        raise
    finally:
        console.close()
        study.unlock()
