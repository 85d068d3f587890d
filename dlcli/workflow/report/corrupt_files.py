"""Files of a run that are missing or corrupt: a report names them, because it leaves out what they would show."""

import itertools
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile, open_file, read_file
from dlcli.recipe.load import load
from dlcli.report.page.figures import check_png
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import file_digest, read_json
from dlcli.rundir.tables import MAX_CSV_BYTES, read_csv

MOST_NAMED = 10
RESTORE = "Restore it from a copy."


def corrupt_files(run: RunDir, info: Mapping[str, Any], split: str) -> list[str]:
    """A sentence for each file that is not as the run wrote it; of many the first ten, and the number of the others.

    Args:
        info: the content of run.json, with the current status.
        split: whose evaluation is shown.
    """
    found = list(itertools.chain(_of_run(run, info), _of_results(run, split)))
    others = len(found) - MOST_NAMED
    return found[:MOST_NAMED] + ([f"{others:,} more files are missing or corrupt."] if others > 0 else [])


def changed_model(run: RunDir, info: Mapping[str, Any]) -> str | None:
    """What is wrong with a model.keras that is not the one that the run saved; None if there is none, or it is."""
    expected = info.get("model")
    if not isinstance(expected, str) or info["status"] != "completed" or not run.model.exists():
        return None
    try:
        is_same = file_digest(run.model) == expected
    except InputError as error:
        return str(error)
    rule = "is not the model that this run saved: its SHA-256 differs from the one in run.json."
    return None if is_same else f"{run.model}: {rule} {RESTORE}"


def _of_run(run: RunDir, info: Mapping[str, Any]) -> Iterator[str]:
    changed = changed_model(run, info)
    if changed is not None:
        yield changed
    elif info.get("model") and not run.model.exists():
        yield "model.keras is missing."
    try:
        load(run.config)
    except InputError as error:
        yield f"{str(error).splitlines()[0]} The run cannot be explained or trained again without it."
    checks: list[Callable[[], Any]] = []
    if info["data"].get("classes"):
        checks.append(run.read_classes)
    if info["status"] == "completed":
        checks.append(lambda: _check_table(run.metrics))
    for check in checks:
        try:
            check()
        except InputError as error:
            yield str(error)


def _of_results(run: RunDir, split: str) -> Iterator[str]:
    """What is wrong with the results that verbs have written, which are left out where they cannot be read."""
    checks: tuple[tuple[Callable[[Path], Any], Path, str], ...] = (
        (read_json, run.explanations, "*/explanation.json"),
        (read_json, run.explanations, "*/check.json"),
        (_check_table, run.explanations, "*/explanations.csv"),
        (_check_table, run.explanations, "*/tokens.csv"),
        (_check_arrays, run.explanations, "*/*.npz"),
        (_check_plot, run.explanations, "*/*.png"),
        (read_json, run.attacks, "*/attack.json"),
        (_check_table, run.attacks, "*/robustness.csv"),
        (_check_plot, run.attacks, "*/*.png"),
        (_check_table, run.evaluation(split), "per_*.csv"),
        (_check_plot, run.evaluation(split), "*.png"),
        (_check_plot, run.plots, "*.png"),
    )
    for check, folder, pattern in checks:
        for path in sorted(folder.glob(pattern)):
            try:
                check(path)
            except InputError as error:
                yield str(error)


def _check_table(path: Path) -> None:
    read_csv(path)
    if not read_file(path, MAX_CSV_BYTES).endswith(b"\n"):
        raise InputError(f"{path}: is truncated: its last line is incomplete. {RESTORE}")


def _check_plot(path: Path) -> None:
    try:
        with open_file(path) as file:
            check_png(file)
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. {RESTORE}") from None
    except OSError:
        raise InputError(f"{path}: is corrupt: it is not a complete PNG image. {RESTORE}") from None


def _check_arrays(path: Path) -> None:
    try:
        with open_file(path) as file:
            is_archive = zipfile.is_zipfile(file)
    except (BadFile, OSError) as reason:
        raise InputError(f"{path}: {reason}. {RESTORE}") from None
    if not is_archive:
        raise InputError(f"{path}: is corrupt: it is not a complete NumPy archive. {RESTORE}")
