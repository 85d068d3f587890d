"""The run directory: the names of its files, writing them so that nothing is lost, and reading them back.

Every file that is replaced is written under a temporary name, flushed to the disk and renamed, so that a kill, a crash
or a full disk leaves either the old file or the new one, whole. Files that grow are appended to in whole lines.
"""

import contextlib
import csv
import fcntl
import hashlib
import io
import itertools
import json
import os
import re
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import NoneType
from typing import Any

from dlcli.errors import InputError

MAX_NAME = 80  # characters
NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{MAX_NAME - 1}}}")
TEMPORARY = ".writing-"  # prefix of what a killed process may leave behind

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
    """Flushes a folder's entries to the disk, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_file(path: Path, content: bytes) -> None:
    """Writes a new file and flushes it to the disk; for files inside a folder that is itself renamed when complete."""
    try:
        with open(path, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
    except OSError as error:
        error.filename = error.filename or str(path)  # writing does not name it
        raise


def replace_file(path: Path, content: bytes | str) -> None:
    """Replaces ``path``, or creates it, in one step: a reader sees the old content or the new, never a part."""
    data = content.encode() if isinstance(content, str) else content
    replace_by(path, lambda temporary: write_file(temporary, data))


def replace_by(path: Path, write: Callable[[Path], None]) -> None:
    """As :func:`replace_file`, for a library that must be given a file name: ``write`` gets a temporary one.

    Raises:
        OSError: it could not be written; it names ``path``.
    """
    temporary = path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}")  # the suffix stays: Keras goes by it
    try:
        write(temporary)
        with open(temporary, "rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
        sync_folder(path.parent)
    except BaseException as error:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename == str(temporary):
            error.filename = str(path)
        raise


def replace_folder(path: Path, files: Mapping[str, bytes | str | Callable[[Path], None]]) -> None:
    """Makes a folder with just these files, whole or not at all, in place of one of the same name.

    Args:
        files: the content of each by its name, or what writes it.

    Raises:
        OSError: it could not be written; what was there still is.
    """
    new, old = (path.with_name(f"{TEMPORARY}{os.getpid()}-{path.name}{suffix}") for suffix in (".new", ".old"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        new.mkdir()
        for name, content in files.items():
            if callable(content):
                replace_by(new / name, content)
            else:
                replace_file(new / name, content)
        if path.exists():
            os.rename(path, old)  # no folder takes the place of one that holds files
        os.rename(new, path)
        sync_folder(path.parent)
    except OSError as error:
        if old.exists() and not path.exists():
            os.rename(old, path)
        if str(new) in str(error.filename):
            error.filename = str(error.filename).replace(str(new), str(path))
        raise
    finally:
        for leftover in (new, old):
            shutil.rmtree(leftover, ignore_errors=True)


def replace_json(path: Path, value: Any) -> None:
    """Replaces a JSON file; NaN and infinities are refused, for no other program could read them."""
    replace_file(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def append_line(path: Path, line: str) -> None:
    """Appends one line, flushed to the disk; what a killed process left of an unfinished line is cut off first."""
    with open(path, "ab+") as file:
        _cut_unfinished_line(file)
        file.write(line.encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())


def _cut_unfinished_line(file: Any) -> None:
    size = file.seek(0, os.SEEK_END)
    if size == 0:
        return
    file.seek(size - 1)
    if file.read(1) == b"\n":
        return
    file.seek(0)
    file.truncate(file.read().rfind(b"\n") + 1)


def csv_text(header: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Comma-separated text with a header line."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def rows_text(rows: Sequence[Mapping[str, Any]]) -> str:
    """The same for rows by column; there must be at least one, and all must have the columns of the first."""
    return csv_text(list(rows[0]), (list(row.values()) for row in rows))


def read_csv(path: Path) -> list[dict[str, str]]:
    """The rows of a CSV file that this program wrote, by the current names of its columns.

    An unfinished last line is left out.

    Raises:
        InputError: it is missing or corrupt.
    """
    try:
        text = path.read_bytes().decode()
        rows = list(csv.DictReader(io.StringIO(text[: text.rfind("\n") + 1])))
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. A run's folder must hold it: restore it from a copy.") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"{path}: is corrupt ({error}). Restore it from a copy.") from None
    for number, row in enumerate(rows, start=2):
        if None in row or None in row.values():
            raise InputError(f"{path}:{number}: is corrupt: has not one value for each column. Restore it from a copy.")
    return [{current_name(column): value for column, value in row.items()} for row in rows]


# The directory ------------------------------------------------------------------------------------------------------


class RunDir:
    """One run's folder. The properties are the fixed names that scripts rely on."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock: io.BufferedWriter | None = None

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def recipe(self) -> Path:
        return self.path / "recipe.yaml"

    @property
    def config(self) -> Path:
        return self.path / "config.yaml"

    @property
    def info(self) -> Path:
        return self.path / "run.json"

    @property
    def labels(self) -> Path:
        return self.path / "labels.json"

    @property
    def layers(self) -> Path:
        return self.path / "model.txt"

    @property
    def architecture(self) -> Path:
        """Of the saved network that a run began with."""
        return self.path / "architecture.json"

    @property
    def split(self) -> Path:
        return self.path / "split.csv"

    @property
    def metrics(self) -> Path:
        return self.path / "metrics.csv"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        return self.path / "model.keras"

    @property
    def plots(self) -> Path:
        return self.path / "plots"

    @property
    def tensorboard(self) -> Path:
        return self.path / "tensorboard"

    @property
    def log(self) -> Path:
        return self.path / "train.log"

    @property
    def vocabulary(self) -> Path:
        """The known tokens of a run of text, the most frequent first, one on a line, as JSON would write them."""
        return self.path / "vocabulary.txt"

    @property
    def target_vocabulary(self) -> Path:
        """The same of what is wanted, where a text is answered by a text."""
        return self.path / "target_vocabulary.txt"

    def evaluation(self, split: str) -> Path:
        """Folder of the evaluation of one split (or of other data under that name)."""
        return self.path / "evaluation" / split

    def free_evaluation(self, name: str, source: str) -> str:
        """The name of an evaluation's folder, with a number where one of other data has it already."""
        for candidate in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2))):
            path = self.evaluation(candidate) / "metrics.json"
            if not path.exists() or read_json(path).get("data") == source:
                return candidate
        raise AssertionError("the numbers do not end")

    def read_info(self) -> dict[str, Any]:
        """The content of run.json.

        Raises:
            InputError: it is missing or corrupt.
        """
        info = read_json(self.info)
        _check_keys(self.info, info, status=str, config=dict, data=dict, best=(dict, NoneType), final=(dict, NoneType))
        _check_keys(self.info, info["data"], fingerprint=str, samples=dict, images=(dict, NoneType))
        return info

    def read_data_info(self, *keys: str) -> dict[str, Any]:
        """What run.json says of the data, these keys among it.

        Raises:
            InputError: run.json is corrupt.
        """
        data: dict[str, Any] = self.read_info()["data"]
        missing = [key for key in keys if key not in data]
        if missing:
            raise InputError(f"{self.info}: does not say data.{missing[0]} of this run. Restore it from a copy.")
        return data

    def read_image_policy(self) -> dict[str, Any] | None:
        """How the run's images are brought to one form; None where its samples are not images."""
        data: dict[str, Any] = self.read_info()["data"]
        found: dict[str, Any] | None = data.get("images", data.get("pictures"))  # the key of runs before 0.2
        return found

    def read_classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's outputs.

        Raises:
            InputError: labels.json is missing or corrupt.
        """
        labels = read_json(self.labels)
        _check_keys(self.labels, labels, classes=list)
        classes = tuple(str(name) for name in labels["classes"])
        if classes != tuple(self.read_info()["data"].get("classes", classes)):
            raise InputError(f"{self.labels}: is not what this run saved: run.json has other classes. Restore it.")
        return classes

    def read_aliases(self) -> dict[str, str]:
        """Other names of the classes, such as ImageNet's numbers."""
        aliases = read_json(self.labels).get("aliases", {})
        return {str(alias): str(name) for alias, name in aliases.items()} if isinstance(aliases, dict) else {}

    def update_info(self, **changes: Any) -> None:
        """Changes keys of run.json."""
        replace_json(self.info, {**read_json(self.info), **changes})

    def lock(self) -> None:
        """Claims the run for this process until it ends, however it ends.

        Raises:
            InputError: another process has it.
        """
        file = open(self.path / "run.lock", "ab")  # noqa: SIM115 - open for as long as the lock is held
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            file.close()
            raise InputError(f"{self.path}: another process is working on this run. Wait for it or stop it.") from None
        self._lock = file

    def unlock(self) -> None:
        """Gives the run back."""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def is_locked(self) -> bool:
        """Whether a process, this one included, is working on the run."""
        try:
            with open(self.path / "run.lock", "rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except FileNotFoundError:
            return False
        except OSError:
            return True
        return False

    def status(self) -> str:
        """The status in run.json, where "running" without a process at work means interrupted."""
        status = str(read_json(self.info).get("status", "failed"))
        return "interrupted" if status == "running" and not self.is_locked() else status

    def remove_leftovers(self) -> None:
        """Removes what a killed process left unfinished; the caller holds the lock."""
        for leftover in list(self.path.rglob(f"{TEMPORARY}*")):
            if leftover.is_dir():
                shutil.rmtree(leftover)
            else:
                leftover.unlink()


def file_digest(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file of a run, with the current names of metrics and tasks.

    Raises:
        InputError: it is missing, unreadable or holds no JSON object.
    """
    try:
        value = json.loads(path.read_bytes(), object_pairs_hook=_with_current_names)
    except FileNotFoundError:
        raise InputError(f"{path}: no such file. A run's folder must hold it.") from None
    except (OSError, ValueError, RecursionError) as error:
        raise InputError(f"{path}: cannot be read ({error}). The file is corrupt: restore it from a copy.") from None
    if not isinstance(value, dict):
        raise InputError(f"{path}: must hold a JSON object. The file is corrupt: restore it from a copy.")
    return value


def _check_keys(path: Path, value: dict[str, Any], **kinds: type | tuple[type, ...]) -> None:
    for key, kind in kinds.items():
        if not isinstance(value.get(key), kind):
            raise InputError(f"{path}: is corrupt: '{key}' is missing or not what it was. Restore it from a copy.")


def create_run(runs: Path, name: str) -> RunDir:
    """Makes the folder ``runs/name``, or ``name-2``, ``name-3`` … where that is taken, and locks it.

    Raises:
        InputError: ``name`` is no file name, or the folder cannot be made.
    """
    check_name(name)
    try:
        runs.mkdir(parents=True, exist_ok=True)
        for candidate in _numbered(name):
            try:
                (runs / candidate).mkdir()
            except FileExistsError:
                continue
            run = RunDir(runs / candidate)
            run.lock()
            return run
    except OSError as error:
        raise InputError(
            f"{runs}: cannot make a run's folder here ({error.strerror}). Choose another with --runs DIR."
        ) from None
    raise AssertionError("the numbers do not end")


def check_name(name: str) -> None:
    """Refuses what cannot name a run's folder.

    Raises:
        InputError: it is no plain file name, or too long.
    """
    if not NAME.fullmatch(name):
        raise InputError(
            f"a run's name must be at most {MAX_NAME} letters, digits, '.', '_' and '-', a letter or digit first. "
            f"Received '{name}'."
        )


def suffixed(name: str, suffix: str) -> str:
    """A run's name with something behind it, shortened where it would become too long."""
    return f"{name[: MAX_NAME - len(suffix)]}{suffix}"


def _numbered(name: str) -> Iterator[str]:
    yield name
    for number in itertools.count(2):
        yield suffixed(name, f"-{number}")


def find_run(runs: Path, reference: str | None) -> RunDir:
    """The run that the user means: a name under ``runs``, a path of a run's folder, or None for the newest run.

    Raises:
        InputError: there is none; near names are listed.
    """
    if reference is None:
        newest = list_runs(runs)
        if not newest:
            raise InputError(
                f"{runs}: no run here. Train one with: dlcli train RECIPE, or name its folder's place with --runs DIR."
            )
        return newest[0]
    if not reference:
        raise InputError("which run? Give its name or its folder.")
    for path in (Path(reference), runs / reference) if NAME.fullmatch(reference) else (Path(reference),):
        if (path / "run.json").is_file():
            return RunDir(path if path.name not in ("", "..") else path.resolve())
    for path in (Path(reference), runs / reference) if reference not in ("", ".", "..") else ():
        if path.is_dir():
            raise InputError(f"{path}: this folder is no run: it holds no run.json.")
    known = ", ".join(run.name for run in list_runs(runs)[:5]) or "none"
    raise InputError(f"{reference}: no such run in {runs}. Newest runs: {known}.")


def list_runs(runs: Path) -> list[RunDir]:
    """The runs under a folder, newest first; folders without a run.json are passed over."""
    if not runs.is_dir():
        return []
    found = [RunDir(path) for path in runs.iterdir() if (path / "run.json").is_file()]
    return sorted(found, key=lambda run: (_started(run), run.name), reverse=True)


def _started(run: RunDir) -> str:
    try:
        return str(read_json(run.info).get("started", ""))
    except InputError:  # a corrupt run is still listed
        return ""


def now() -> str:
    """The time in UTC, to the microsecond so that runs sort by it, as ISO 8601."""
    seconds = time.time()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{int(seconds % 1 * 1e6):06d}Z"


def metrics_row(columns: Sequence[str], values: Mapping[str, Any]) -> str:
    """One line of metrics.csv; floats to nine significant digits, which is what a float32 holds."""
    return ",".join(format(values[c], ".9g") if isinstance(values[c], float) else str(values[c]) for c in columns)
