"""The directory of a search or sweep: its files, and finding it to resume."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, get_args

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import check_keys, entry_mode, read_json
from dlcli.rundir.runs import NAME, create

LOGS = TRIALS, BASELINE, FINALS = "trials.jsonl", "baseline.jsonl", "finals.jsonl"
Kind = Literal["search", "sweep"]
KINDS: tuple[Kind, ...] = get_args(Kind)


class StudyDir(RunDir):
    """The directory of a search or sweep. What it says about itself is in search.json or sweep.json.

    It is not a run: no verb takes it for the newest run.
    """

    def __init__(self, path: Path, kind: Kind) -> None:
        super().__init__(path)
        self.kind: Kind = kind

    @property
    def info(self) -> Path:
        return self._entry(f"{self.kind}.json")

    @property
    def log(self) -> Path:
        return self._entry(f"{self.kind}.log")

    def log_of_trials(self, name: str) -> Path:
        """A log of trials, such as trials.jsonl."""
        return self._entry(name)

    @property
    def trials(self) -> Path:
        """The log of trials, which is the state."""
        return self.log_of_trials(TRIALS)

    @property
    def baseline(self) -> Path:
        """The log of the trials of random search."""
        return self.log_of_trials(BASELINE)

    @property
    def finals_log(self) -> Path:
        """The log of the trainings of finalists."""
        return self.log_of_trials(FINALS)

    @property
    def finals(self) -> Path:
        """The folder of the runs of finalists."""
        return self._entry("finals")

    @property
    def front(self) -> Path:
        """The table of trials that no other one is better than in all objectives."""
        return self._entry("front.csv")

    @property
    def best(self) -> Path:
        """The recipe of the best trial."""
        return self._entry("best.yaml")

    @property
    def table(self) -> Path:
        """The table of trials."""
        return self._entry("trials.csv")

    @property
    def paused(self) -> Path:
        """The folder with the checkpoints of trials that may continue."""
        return self._entry("paused")

    def plot(self, name: str) -> Path:
        """A file in the folder of plots."""
        return self._entry("plots", name)

    def read_info(self) -> dict[str, Any]:
        """Read search.json or sweep.json.

        Raises:
            InputError: it is missing or corrupt.
        """
        info = read_json(self.info)
        check_keys(self.info, info, status=str, config=dict)
        return info


def create_study(runs: Path, name: str, kind: Kind, write: Callable[[StudyDir], None]) -> StudyDir:
    """Create and lock the directory ``runs/name`` as :func:`dlcli.rundir.runs.create_run` does."""
    return create(runs, name, write, lambda path: StudyDir(path, kind))


def study_at(path: Path) -> StudyDir | None:
    """The search or sweep whose directory is at a path; None if it is none."""
    for kind in KINDS:
        if entry_mode(path / f"{kind}.json"):  # of any kind: using it reports what is wrong
            return StudyDir(path if path.name not in ("", "..") else path.resolve(), kind)
    return None


def find_any_study(runs: Path, reference: str) -> StudyDir | None:
    """A search or sweep by its name under ``runs`` or by the path of its directory; None if there is none."""
    paths = (Path(reference), runs / reference) if NAME.fullmatch(reference) else (Path(reference),)
    return next((found for path in paths if (found := study_at(path)) is not None), None)


def find_study(runs: Path, reference: str, kind: Kind) -> StudyDir:
    """Find a search, or a sweep, to resume it.

    Raises:
        InputError: there is none.
    """
    found = find_any_study(runs, reference)
    if found is None or found.kind != kind:
        known = ", ".join(sorted(study.name for study in list_studies(runs) if study.kind == kind)) or "none"
        raise InputError(f"{reference}: no {kind} of this name in {runs}. Available: {known}.")
    return found


def list_studies(runs: Path) -> list[StudyDir]:
    """The searches and sweeps in a folder of runs, by name, corrupt ones too."""
    paths = sorted(runs.iterdir()) if runs.is_dir() else []
    return [found for path in paths if (found := study_at(path)) is not None]
