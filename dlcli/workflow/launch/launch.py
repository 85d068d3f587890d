"""``dlcli launch``: start several processes that train together, and start all again when one is lost."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dlcli.printing import escaped_line
from dlcli.rundir.directory import RunDir
from dlcli.temporary import private_folder
from dlcli.workflow.launch.supervision import Ended, Process, collecting_signals, supervise

RUN_FILE = "run"


class Started(Process, Protocol):
    """A process whose output may be kept."""

    def tail(self) -> list[str]:
        """The last lines of its output that were not shown."""

    def close(self) -> None:
        """End the process if it runs."""


Start = Callable[[Sequence[str], str, int], Sequence[Started]]
"""Starts the processes of a cluster, the chief first: arguments of dlcli, the file for the path of the run, and the
number of processes."""


@dataclass(frozen=True)
class Training:
    """What each process does.

    Attributes:
        arguments: of dlcli, such as ``("train", "recipe.yaml")``.
        to_resume: run -> the arguments with which it is resumed.
    """

    arguments: tuple[str, ...]
    to_resume: Callable[[str], tuple[str, ...]]


def launch(
    training: Training, start: Start, *, workers: int, least: int, restarts: int, say: Callable[[str], None]
) -> int:
    """Train with several processes until they have ended; the exit status of the chief.

    When a process was killed, has crashed or does not respond, all are started again, up to ``restarts`` times, and
    resume the run. An error that a process reports itself is not repeated, nor is a stop by a signal.

    Args:
        start: starts the processes.
        workers: the number of processes.
        least: the number down to which a restart has one fewer for each that was lost.
        say: prints a line for the user.
    """
    arguments = training.arguments
    with private_folder("dlcli-launch") as folder, collecting_signals() as received:
        run_file = folder / RUN_FILE
        for attempt in range(restarts + 1):
            ended = _train_once(arguments, start, workers, received, str(run_file), say)
            if ended.status == 0 or not ended.lost or received:
                return ended.status
            arguments = _again(training, run_file)
            for index, reason in ended.lost.items():
                say(f"launch: {_process(index)} {reason}")
            if attempt < restarts:
                before, workers = workers, max(least, workers - len(ended.lost))
                command = escaped_line(" ".join(("dlcli", *arguments)))
                which = "of all processes" if workers == before else f"with {workers} of {before} processes"
                say(f"launch: restart {attempt + 1} of {restarts} {which}: {command}")
    return ended.status


def _train_once(
    arguments: Sequence[str], start: Start, number: int, received: list[int], run_file: str, say: Callable[[str], None]
) -> Ended:
    processes = start(arguments, run_file, number)
    try:
        ended = supervise(processes, received)
        if ended.first and ended.status and not received:
            for line in processes[ended.first].tail():
                say(f"{_process(ended.first)}: {line}")
        return ended
    finally:
        for process in processes:
            process.close()


def _again(training: Training, run_file: Path) -> tuple[str, ...]:
    """The arguments of the next start: without a run, those of the first."""
    run = run_file.read_text() if run_file.exists() else ""
    return training.to_resume(run) if run and RunDir(Path(run)).info.exists() else training.arguments


def _process(index: int) -> str:
    return f"worker {index}"
