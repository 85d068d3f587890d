"""The run directory: the names of its files, its lock, and reading what it says about itself."""

import fcntl
import io
import itertools
import os
import re
import shutil
import stat
from pathlib import Path
from types import NoneType
from typing import Any

from dlcli.errors import InputError
from dlcli.files import BadFile, NoFile, open_file
from dlcli.rundir.reading import MAX_METRICS_BYTES, check_keys, entry_mode, read_json
from dlcli.rundir.writing import open_own, replace_json
from dlcli.temporary import PATTERN, TEMPORARY, remove_leftovers


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
            mode = entry_mode(path)
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
    def code(self) -> Path:
        """The copy of the user's own Python file that builds the network."""
        return self._entry("model_code.py")

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
    def thresholds(self) -> Path:
        """The probability from which on each label is predicted, for a run of several labels per image."""
        return self._entry("thresholds.json")

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
    def explanations(self) -> Path:
        return self._entry("explanations")

    @property
    def exports(self) -> Path:
        return self._entry("exports")

    @property
    def report(self) -> Path:
        return self._entry("report.html")

    def report_beside(self, other: str) -> Path:
        """The report on this run and another one, by its name."""
        return self._entry(f"report-{other}.html")

    @property
    def card(self) -> Path:
        """The model card in Hugging Face's form."""
        return self._entry("README.md")

    @property
    def notes(self) -> Path:
        """Tags and a note that the user gave the run."""
        return self._entry("notes.json")

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
        check_keys(self.info, info, status=str, config=dict, data=dict, best=(dict, NoneType), final=(dict, NoneType))
        check_keys(self.info, info["data"], fingerprint=str, samples=dict, images=(dict, NoneType))
        check_keys(self.info, info["data"]["samples"], **dict.fromkeys(info["data"]["samples"], int))
        for key in ("best", "final"):  # a run that anyone may have written
            info.setdefault(key, None)
        if info["best"] is not None:
            check_keys(self.info, info["best"], epoch=int, metric=str, value=(int, float))
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
        """What run.json records about the baselines of a task on images, whose values the task checks; None if it
        records none.

        Raises:
            InputError: run.json is corrupt.
        """
        baseline: dict[str, Any] | None = self.read_info().get("baseline")
        if baseline is None:
            return None
        check_keys(self.info, {"baseline": baseline}, baseline=dict)
        return baseline

    def read_classes(self) -> tuple[str, ...]:
        """The names of the classes, in the order of the model's outputs.

        Raises:
            InputError: labels.json is missing or corrupt.
        """
        labels = read_json(self.labels)
        check_keys(self.labels, labels, classes=list)
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
        file = open_own(self.lock_file)  # open for as long as the lock is held
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
