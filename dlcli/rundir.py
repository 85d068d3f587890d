"""The run directory: the names of its files, crash-safe writing, and reading.

A file is replaced by writing a temporary file, flushing it to disk and renaming it, so that a kill, a crash or a full
disk leaves either the complete old file or the complete new one. Files that grow are appended to in whole lines.
"""

import contextlib
import csv
import errno
import fcntl
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import stat
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType, SimpleNamespace
from typing import Any, TextIO

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, check_replaceable, open_file, read_file
from dlcli.printing import escaped_line, json_text
from dlcli.temporary import (
    NEW,
    OLD,
    PATTERN,
    RUN,
    TEMPORARY,
    remove_leftovers,
    temporary_file,
    temporary_folder,
)

MAX_NAME = 80  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")

MAX_JSON_BYTES = 2**28  # of run.json, which lists what was left out of the data, and the like
MAX_METRICS_BYTES = 2**31  # of metrics.json, which holds the confusion matrix
MAX_CSV_BYTES = 2**30
LINE_BLOCK = 2**16  # bytes read at a time to find the end of the last complete line

STATUSES = ("running", "completed", "interrupted", "failed")

OLD_METRIC = re.compile(r"((?:\w+_)?)localisation(_(?:accuracy|error|curve)(?:_\w+)?)")
"""Names of metrics in the files of runs made before 0.2, when the spelling was British."""


# Reading runs of earlier versions -----------------------------------------------------------------------------------


def current_name(metric: str) -> str:
    """The current name of a metric, such as a column of metrics.csv; a name that has not changed stays as it is."""
    match = OLD_METRIC.fullmatch(metric)
    return f"{match[1]}localization{match[2]}" if match else metric


def _with_current_names(pairs: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object with the current names of metrics, as keys and where a key names one, and of the task."""
    values = {current_name(key): value for key, value in pairs}
    for key in ("metric", "best_metric"):
        if isinstance(values.get(key), str):
            values[key] = current_name(values[key])
    if values.get("task") == "localisation":
        values["task"] = "localization"
    return values


# Writing ------------------------------------------------------------------------------------------------------------


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to disk, so that a rename in it survives a power failure."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Write a new file and flush it to disk; for files in a folder that is itself renamed when complete."""
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)  # errors while writing do not name the file
        raise


def replace_file(path: Path, content: bytes | str) -> None:
    """Create or replace a file atomically: a reader sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    replace_by(path, lambda temporary: write_file(temporary, data))


def replace_by(path: Path, write: Callable[[Path], None]) -> None:
    """Replace a file as :func:`replace_file` does, for libraries that need a file name: ``write`` gets a temporary one.

    Raises:
        InputError: ``path`` is a link, a pipe or a device.
        OSError: the file could not be written; its ``filename`` is ``path``.
    """
    check_replaceable(path)
    with temporary_file(path) as temporary:
        write(temporary)
        _sync_file(temporary)
        os.replace(temporary, path)
        sync_folder(path.parent)


def _sync_file(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def replace_folder(path: Path, files: Mapping[str, bytes | str | Callable[[Path], None]]) -> None:
    """Create or replace a folder atomically, so that it contains exactly these files.

    Args:
        files: the content of each file by its name, or a function that writes it.

    Raises:
        InputError: ``path`` is a link, a pipe or a device.
        OSError: the folder could not be written; the old one is unchanged.
    """
    check_replaceable(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with temporary_folder(path) as temporary:
        new = temporary / NEW
        new.mkdir()
        for name, content in files.items():
            if callable(content):
                content(new / name)
                _sync_file(new / name)
            else:
                write_file(new / name, content.encode() if isinstance(content, str) else content)
        sync_folder(new)
        if path.exists():  # a rename cannot replace a folder that is not empty
            (temporary / OLD).mkdir()
            os.rename(path, temporary / OLD / path.name)
        os.rename(new, path)
        sync_folder(path.parent)


def replace_json(path: Path, value: Any) -> None:
    """Replace a JSON file; NaN and infinities raise ValueError because other programs could not read them."""
    replace_file(path, json_text(value, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Append one line and flush it to disk, after removing an incomplete line that a killed process left."""
    with _open_own(path) as file:
        _remove_incomplete_line(file)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _remove_incomplete_line(file: Any) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    end = size
    while end > 0:
        start = max(0, end - LINE_BLOCK)
        file.seek(start)
        found = file.read(end - start).rfind(b"\n")
        if found >= 0:
            file.truncate(start + found + 1)
            return
        end = start
    file.truncate(0)


def _open_own(path: Path) -> io.BufferedRandom:
    """Opens a file of a run to append to it, or creates it; never what a link leads to, nor a pipe or device.

    Raises:
        InputError: it is one of these.
        OSError: it cannot be opened.
    """
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
    refusal = InputError(f"{path}: must be a file of the run. Received a link, pipe or device: remove it.")
    try:
        descriptor = os.open(path, flags, 0o666)
    except OSError as error:
        if error.errno == errno.ELOOP:  # a link
            raise refusal from None
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise refusal
    return os.fdopen(descriptor, "ab+")


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Format rows as CSV with a header line."""
    text = io.StringIO()
    _write_csv(text, header, rows)
    return text.getvalue()


def _write_csv(file: TextIO, header: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    # the writer quotes a carriage return in a cell only if its own lines end in one
    lines = SimpleNamespace(write=lambda line: file.write(line.removesuffix("\r\n") + "\n"))
    writer = csv.writer(lines, lineterminator="\r\n")
    writer.writerow(map(escaped_line, header))
    writer.writerows(rows)


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """Format rows given by column as CSV; there must be at least one, and all must have the columns of the first."""
    return csv_text(list(rows[0]), (list(row.values()) for row in rows))


FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")
"""What the text of a cell starts with that a spreadsheet would read as a formula."""
NUMBER = re.compile(r"[+-]?\d+(\.\d+)?(e[+-]?\d+)?")
"""Text that is a number, and so harmless."""


def write_csv(path: Path, header: Sequence[str], rows: Iterable[Sequence[Any]], *, safe: bool = False) -> None:
    """Write rows as CSV with a header line, one at a time.

    Args:
        safe: put an apostrophe before text that a spreadsheet would read as a formula; numbers stay as they are.
    """

    def written(row: Sequence[Any]) -> Sequence[Any]:
        return [_harmless(cell) for cell in row] if safe else row

    try:
        with open(path, "w", newline="", encoding="utf-8") as file:
            _write_csv(file, written(header), map(written, rows))
    except OSError as error:
        error.filename = error.filename or str(path)  # errors while writing do not name the file
        raise


def _harmless(cell: Any) -> Any:
    is_formula = isinstance(cell, str) and cell.startswith(FORMULA_STARTS) and not NUMBER.fullmatch(cell)
    return f"'{cell}" if is_formula else cell


def write_rows(path: Path, rows: Iterable[Mapping[str, Any]], *, safe: bool = False) -> None:
    """Write rows given by column as :func:`write_csv` does; at least one, all with the columns of the first."""
    remaining = iter(rows)
    first = next(remaining)
    values = (list(row.values()) for row in itertools.chain([first], remaining))
    write_csv(path, list(first), values, safe=safe)


def read_csv(path: Path) -> list[dict[str, str]]:
    """Read a CSV file that this program wrote, with the current names of its columns, without an incomplete last line.

    Raises:
        InputError: it is missing or corrupt.
    """
    try:
        text = read_file(path, MAX_CSV_BYTES).decode()
        rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    except NoFile:
        raise InputError(f"{path}: no such file. A run directory must contain it. Restore it from a copy.") from None
    except (BadFile, UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is corrupt ({error}). Restore it from a copy.") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(
                f"{path}:{number}: is corrupt: must have one value for each column. Restore it from a copy."
            )
    return [{current_name(column): value for column, value in row.items()} for row in rows]


# The directory ------------------------------------------------------------------------------------------------------


class RunDir:
    """A run directory. The properties are the fixed file names that scripts rely on.

    They are the one way into the directory: each use refuses a link at such a name, through which files elsewhere would
    be overwritten or deleted, and a pipe or device, which would block. The directory itself may be reached through a
    link.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: io.BufferedRandom | None = None

    def _entry(self, *names: str) -> Path:
        """The path of a file or folder in the run.

        Raises:
            InputError: it, or a folder above it in the run, is a link, a pipe or a device.
        """
        path = self.path
        for name in names:
            path = path / name
            mode = _mode(path)
            if stat.S_ISLNK(mode):
                raise InputError(
                    f"{path}: is a link. A run directory must not contain links, because dlcli would change what they "
                    "point to. Replace the link with the files themselves."
                )
            if mode and not stat.S_ISREG(mode) and not stat.S_ISDIR(mode):
                raise InputError(
                    f"{path}: is a pipe or device. A run directory must contain only files and folders. Remove it."
                )
        return path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def recipe(self) -> Path:
        return self._entry("recipe.yaml")

    @property
    def config(self) -> Path:
        return self._entry("config.yaml")

    @property
    def info(self) -> Path:
        return self._entry("run.json")

    @property
    def labels(self) -> Path:
        return self._entry("labels.json")

    @property
    def layers(self) -> Path:
        return self._entry("model.txt")

    @property
    def architecture(self) -> Path:
        """The configuration of the saved network that a run started from."""
        return self._entry("architecture.json")

    @property
    def split(self) -> Path:
        return self._entry("split.csv")

    @property
    def metrics(self) -> Path:
        return self._entry("metrics.csv")

    @property
    def checkpoints(self) -> Path:
        return self._entry("checkpoints")

    def checkpoint(self, name: str) -> Path:
        """The folder of a checkpoint, or of the variables that a stage freezes."""
        return self._entry("checkpoints", name)

    @property
    def checkpoint_names(self) -> Path:
        """Which checkpoints are the last and the best."""
        return self._entry("checkpoints.json")

    @property
    def model(self) -> Path:
        return self._entry("model.keras")

    @property
    def calibration(self) -> Path:
        """The temperature of the model's probabilities, if one was fitted."""
        return self._entry("calibration.json")

    @property
    def network(self) -> Path:
        """The configuration of the network that the run trains, by which a checkpoint can be used as a model."""
        return self._entry("network.json")

    @property
    def plots(self) -> Path:
        return self._entry("plots")

    @property
    def tensorboard(self) -> Path:
        return self._entry("tensorboard")

    @property
    def log(self) -> Path:
        return self._entry("train.log")

    @property
    def vocabulary(self) -> Path:
        """The vocabulary of a text run: one token per line as a JSON string, most frequent first."""
        return self._entry("vocabulary.txt")

    @property
    def target_vocabulary(self) -> Path:
        """The vocabulary of the target texts of a sequence-to-sequence run."""
        return self._entry("target_vocabulary.txt")

    @property
    def attacks(self) -> Path:
        return self._entry("attacks")

    @property
    def lock_file(self) -> Path:
        return self._entry("run.lock")

    def evaluation(self, split: str) -> Path:
        """The folder of the evaluation of a split, or of other data under that name."""
        return self._entry("evaluation", split)

    def free_evaluation(self, name: str, source: str) -> str:
        """The name of an evaluation folder, with a number if an evaluation of different data already has the name."""
        for candidate in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2))):
            path = self.evaluation(candidate) / "metrics.json"
            if not path.exists() or read_json(path, MAX_METRICS_BYTES).get("data") == source:
                return candidate
        raise AssertionError("unreachable")

    def read_info(self) -> dict[str, Any]:
        """Read run.json.

        Raises:
            InputError: it is missing or corrupt.
        """
        info = read_json(self.info)
        _check_keys(self.info, info, status=str, config=dict, data=dict, best=(dict, NoneType), final=(dict, NoneType))
        _check_keys(self.info, info["data"], fingerprint=str, samples=dict, images=(dict, NoneType))
        _check_keys(self.info, info["data"]["samples"], **dict.fromkeys(info["data"]["samples"], int))
        if info["best"] is not None:
            _check_keys(self.info, info["best"], epoch=int, metric=str, value=(int, float))
        return info

    def read_data_info(self, *keys: str) -> dict[str, Any]:
        """Read the ``data`` section of run.json, which must contain these keys.

        Raises:
            InputError: run.json is corrupt.
        """
        data: dict[str, Any] = self.read_info()["data"]
        missing = [key for key in keys if key not in data]
        if missing:
            raise InputError(f"{self.info}: is corrupt: data.{missing[0]} is missing. Restore it from a copy.")
        return data

    def read_image_policy(self) -> dict[str, Any] | None:
        """How the run's images are decoded and resized; None if its samples are not images."""
        data: dict[str, Any] = self.read_info()["data"]
        policy: dict[str, Any] | None = data.get("images", data.get("pictures"))  # the key of runs before 0.2
        return policy

    def read_baseline(self) -> dict[str, Any] | None:
        """What run.json records about the baselines of an image classifier; None if it records none.

        Raises:
            InputError: run.json is corrupt.
        """
        baseline: dict[str, Any] | None = self.read_info().get("baseline")
        if baseline is None:
            return None
        _check_keys(self.info, {"baseline": baseline}, baseline=dict)
        _check_keys(self.info, baseline, most_frequent=int, accuracy=dict)
        for accuracies in baseline["accuracy"].values():
            if not isinstance(accuracies, dict) or not all(isinstance(value, float) for value in accuracies.values()):
                raise InputError(f"{self.info}: is corrupt: 'accuracy' has the wrong type. Restore it from a copy.")
        return baseline

    def read_classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's outputs.

        Raises:
            InputError: labels.json is missing or corrupt.
        """
        labels = read_json(self.labels)
        _check_keys(self.labels, labels, classes=list)
        classes = tuple(str(name) for name in labels["classes"])
        if classes != tuple(self.read_info()["data"].get("classes", classes)):
            raise InputError(f"{self.labels}: was changed: run.json has other classes. Restore it from a copy.")
        return classes

    def read_aliases(self) -> dict[str, str]:
        """Read aliases of the classes, such as the WordNet ids of ImageNet, with the class names."""
        aliases = read_json(self.labels).get("aliases", {})
        return {str(alias): str(name) for alias, name in aliases.items()} if isinstance(aliases, dict) else {}

    def update_info(self, **changes: Any) -> None:
        """Change keys of run.json."""
        replace_json(self.info, {**read_json(self.info), **changes})

    def lock(self) -> None:
        """Lock the run for this process until the process ends, however it ends.

        Raises:
            InputError: another process has locked it, or the disk has no locks.
        """
        file = _open_own(self.lock_file)  # open for as long as the lock is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            file.close()
            if isinstance(error, BlockingIOError):
                problem = "another process is using this run. Wait for it to finish, or stop it."
            else:
                problem = f"cannot be locked ({error.strerror}). Use a disk with file locks (flock) for runs."
            raise InputError(f"{self.path}: {problem}") from None
        self._lock = file

    def unlock(self) -> None:
        """Release the lock."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_locked(self) -> bool:
        """Whether a process, including this one, has locked the run."""
        try:
            with open_file(self.lock_file) as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except NoFile:
            return False
        except BadFile as reason:
            raise InputError(f"{self.lock_file}: {reason}. Remove it.") from None
        except OSError:
            return True
        return False

    def status(self) -> str:
        """The status in run.json, where "running" without a process that has the lock means interrupted."""
        status = str(read_json(self.info).get("status", "failed"))
        return "interrupted" if status == "running" and not self.is_locked() else status

    def remove_leftovers(self) -> None:
        """Remove what killed processes left in the run or beside it, and restore a folder that one was replacing.

        If the run is locked, so are the leftovers of earlier versions of dlcli, which did not lock what they wrote.

        """
        if self._lock is not None:
            _remove_unlocked_leftovers(self.path)
        for folder in {self.path.parent, *(leftover.parent for leftover in self.path.rglob(PATTERN))}:
            remove_leftovers(folder)


def _remove_unlocked_leftovers(folder: Path) -> None:
    """Remove what killed processes of earlier versions left under names with a process id."""
    for leftover in list(folder.rglob(f"{TEMPORARY}*")):
        if leftover.match(PATTERN):
            continue
        replaced = re.fullmatch(rf"{re.escape(TEMPORARY)}\d+-(.+)\.old", leftover.name)
        if replaced and not os.path.lexists(leftover.with_name(replaced[1])):  # killed between two renames
            leftover.rename(leftover.with_name(replaced[1]))
        elif leftover.is_dir() and not leftover.is_symlink():
            shutil.rmtree(leftover)
        else:
            leftover.unlink()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal.

    Raises:
        InputError: it cannot be read.
    """
    try:
        with open_file(path) as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except BadFile as reason:
        raise InputError(f"{path}: {reason}. Restore it from a copy.") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}). Restore it from a copy.") from None


def read_json(path: Path, max_bytes: int = MAX_JSON_BYTES) -> dict[str, Any]:
    """Read a JSON file of a run, with the current names of metrics and tasks.

    Raises:
        InputError: it is missing, unreadable, larger than ``max_bytes`` or not a JSON object.
    """
    try:
        value = json.loads(read_file(path, max_bytes), object_pairs_hook=_with_current_names)
    except NoFile:
        raise InputError(f"{path}: no such file. A run directory must contain it. Restore it from a copy.") from None
    except (BadFile, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}). The file is corrupt: restore it from a copy.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: must contain a JSON object. The file is corrupt: restore it from a copy.")
    return value


def _mode(path: Path) -> int:
    """The kind and permissions of an entry, of a link itself; 0 if there is none."""
    try:
        return os.lstat(path).st_mode
    except (OSError, ValueError):
        return 0


def _check_keys(path: Path, value: dict[str, Any], /, **kinds: type | tuple[type, ...]) -> None:
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            raise InputError(f"{path}: is corrupt: '{key}' is missing or has the wrong type. Restore it from a copy.")


def create_run(runs: Path, name: str, write: Callable[[RunDir], None]) -> RunDir:
    """Create the run ``runs/name``, or ``name-2``, ``name-3`` … if the name is taken, and lock it.

    Args:
        write: writes the first files of the run, run.json among them. It gets a folder elsewhere, with the final name,
            which is renamed when it is complete: a kill leaves a leftover, which the next command removes, never a part
            of a run. It is called again if another process takes the name meanwhile.

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
                run = RunDir(temporary / RUN / candidate)
                if _write_run(run, write, runs / candidate):
                    return run
    raise AssertionError("unreachable")


def _write_run(run: RunDir, write: Callable[[RunDir], None], path: Path) -> bool:
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


def check_name(name: str) -> None:
    """Reject an invalid run name.

    Raises:
        InputError: the name has other characters than a run name may have, or is too long.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"a run name must be at most {MAX_NAME} letters, digits, '.', '_' and '-', and start with a letter or "
            f"digit. Received '{name}'."
        )


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
        if _mode(path / "run.json"):  # of any kind: using it reports what is wrong
            return RunDir(path if path.name not in ("", "..") else path.resolve())
    for path in (Path(reference), runs / reference) if reference not in ("", ".", "..") else ():
        if path.is_dir():
            raise InputError(f"{path}: is not a run directory: it has no run.json.")
    known = ", ".join(run.name for run in list_runs(runs)[:5]) or "none"
    raise InputError(f"{reference}: no such run in {runs}. Newest runs: {known}.")


def list_runs(runs: Path) -> list[RunDir]:
    """List the runs in a folder, newest first, corrupt ones too; folders without a run.json are skipped."""
    if not runs.is_dir():
        return []
    found = [RunDir(path) for path in runs.iterdir() if _mode(path / "run.json")]
    return sorted(found, key=lambda run: (_started(run), run.name), reverse=True)


def _started(run: RunDir) -> str:
    try:
        return str(read_json(run.info).get("started", ""))
    except InputError:  # a corrupt run is still listed
        return ""


def now() -> str:
    """The current UTC time in ISO 8601, to the microsecond so that runs can be sorted by it."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"


def metrics_row(columns: Sequence[str], values: Mapping[str, Any]) -> str:
    """Format one line of metrics.csv; floats have nine significant digits, enough for an exact float32."""
    return ",".join(format(values[c], ".9g") if isinstance(values[c], float) else str(values[c]) for c in columns)
