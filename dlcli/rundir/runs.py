"""The folder of runs: creating a run under a free name, finding and listing runs."""

import contextlib
import errno
import itertools
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from dlcli.errors import InputError
from dlcli.printing import escaped_line
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import entry_mode, read_json
from dlcli.rundir.writing import sync_folder
from dlcli.temporary import RUN, remove_leftovers, temporary_folder

MAX_NAME = 80  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")
AnyRun = TypeVar("AnyRun", bound=RunDir)
STATUSES = ("running", "completed", "interrupted", "failed")


def create_run(runs: Path, name: str, write: Callable[[RunDir], None]) -> RunDir:
    """Create and lock a run, as :func:`create` does."""
    return create(runs, name, write, RunDir)


def create(runs: Path, name: str, write: Callable[[AnyRun], None], kind: Callable[[Path], AnyRun]) -> AnyRun:
    """Create the run ``runs/name``, or ``name-2``, ``name-3`` … if the name is taken, and lock it.

    Args:
        write: writes the first files of the run, run.json among them. It gets a folder elsewhere, with the final name,
            which is renamed when it is complete: a kill leaves a leftover, which the next command removes, never a part
            of a run. It is called again if another process takes the name meanwhile.
        kind: makes the object for a directory: ``RunDir``, or that of a search.

    Raises:
        InputError: ``name`` is not a valid run name, or the folder cannot be created.
    """
    check_name(name)
    with contextlib.ExitStack() as stack:
        try:
            runs.mkdir(parents=True, exist_ok=True)
            remove_leftovers(runs)
            temporary = stack.enter_context(temporary_folder(runs / name))
        except OSError as error:
            raise InputError(
                f"{runs}: cannot create a run directory here ({error.strerror}). Choose another folder with --runs DIR."
            ) from None
        for candidate in _numbered(name):
            if not os.path.lexists(runs / candidate):
                run = kind(temporary / RUN / candidate)
                if _write_run(run, write, runs / candidate):
                    return run
    raise AssertionError("unreachable")


def _write_run(run: AnyRun, write: Callable[[AnyRun], None], path: Path) -> bool:
    """Write and lock a run and rename it to its path; False if another process took the path meanwhile."""
    run.path.mkdir(parents=True)
    run.lock()
    try:
        write(run)
        sync_folder(run.path)
        try:
            os.rename(run.path, path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
            run.unlock()
            return False
        run.path = path
        sync_folder(path.parent)
    except BaseException:
        run.unlock()
        raise
    return True


def check_name(name: str, *, of: str = "run") -> None:
    """Reject an invalid name of a run, or of a folder in one.

    Args:
        of: what the name is of, for the message.

    Raises:
        InputError: the name has other characters than a name may have, or is too long.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"a {of} name must be at most {MAX_NAME} letters, digits, '.', '_' and '-', and start with a letter or "
            f"digit. Received '{escaped_line(name[: MAX_NAME + 1])}'."
        )


def run_name(recipe: Path) -> str:
    """The name of a run: the recipe's file name without its suffix, with invalid characters replaced."""
    stem = "".join(c if c.isascii() and (c.isalnum() or c in "._-") else "_" for c in recipe.stem)
    return suffixed(stem.lstrip("._-") or "run", "")


def suffixed(name: str, suffix: str) -> str:
    """A run name with a suffix, shortened if it would become too long."""
    return f"{name[: MAX_NAME - len(suffix)]}{suffix}"


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield suffixed(name, f"-{number}")


def find_run(runs: Path, reference: str | None) -> RunDir:
    """Find a run by its name under ``runs``, by the path of its directory, or, for None, the newest run.

    Raises:
        InputError: there is no such run; the newest runs are listed.
    """
    if reference is None:
        newest = list_runs(runs)
        if not newest:
            raise InputError(
                f"{runs}: no runs found. Train one with: dlcli train RECIPE, or choose another folder with --runs DIR."
            )
        return newest[0]
    if not reference:
        raise InputError("the name of a run must not be empty. Give the name or the directory of a run.")
    for path in (Path(reference), runs / reference) if NAME.fullmatch(reference) else (Path(reference),):
        if entry_mode(path / "run.json"):  # of any kind: using it reports what is wrong
            return RunDir(path if path.name not in ("", "..") else path.resolve())
    for path in (Path(reference), runs / reference) if reference not in ("", ".", "..") else ():
        if (
            kind := next((kind for kind in ("search", "sweep") if entry_mode(path / f"{kind}.json")), None)
        ) is not None:
            raise InputError(f"{path}: is a {kind}, not a run. See its result with: dlcli report {path}")
        if path.is_dir():
            raise InputError(f"{path}: is not a run directory: it has no run.json.")
    known = ", ".join(run.name for run in list_runs(runs)[:5]) or "none"
    raise InputError(f"{reference}: no such run in {runs}. Newest runs: {known}.")


def list_runs(runs: Path) -> list[RunDir]:
    """List the runs in a folder, newest first, corrupt ones too; folders without a run.json are skipped."""
    if not runs.is_dir():
        return []
    found = [RunDir(path) for path in runs.iterdir() if entry_mode(path / "run.json")]
    return sorted(found, key=lambda run: (_started(run), run.name), reverse=True)


def describe_others(runs: Path) -> list[str]:
    """A line for each entry of a folder of runs that may be meant as a run and cannot be listed as one."""
    if not runs.is_dir():
        return []
    lines = []
    for path in sorted(runs.iterdir()):
        try:
            has_info = (path / "run.json").is_symlink() or (path / "run.json").exists()
            names = set(os.listdir(path)) if path.is_dir() else set()
        except OSError as error:
            lines.append(f"{path}: cannot be read ({error.strerror}). Fix its permissions.")
            continue
        if path.is_symlink() and not path.exists():
            lines.append(f"{path}: is a link to {os.readlink(path)}, which does not exist. Remove the link.")
        elif not has_info and not path.name.startswith(".") and names & {"config.yaml", "checkpoints"}:
            lines.append(f"{path}: has files of a run but no run.json. Restore it from a copy, or remove the folder.")
    return lines


def _started(run: RunDir) -> str:
    try:
        return str(read_json(run.info).get("started", ""))
    except InputError:  # a corrupt run is still listed
        return ""


def now() -> str:
    """The current UTC time in ISO 8601, to the microsecond so that runs can be sorted by it."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"
