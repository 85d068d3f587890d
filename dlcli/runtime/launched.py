"""What ``dlcli launch`` and the processes that it starts know of each other."""

import contextlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import dlcli

RUN_FILE = "DLCLI_RUN_FILE"
"""The variable with the path of a file to which the chief writes the path of its run directory."""

THREADS = ("TF_NUM_INTRAOP_THREADS", "TF_NUM_INTEROP_THREADS", "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")
"""The variables with the numbers of threads of a process that computes."""


def dlcli_command(arguments: Sequence[str]) -> list[str]:
    """The command that starts this very dlcli, and not a file of that name in the current folder."""
    return [sys.executable, "-P", "-m", "dlcli", *arguments]


def child_environment() -> dict[str, str]:
    """The environment of a process that imports the dlcli of this one."""
    paths = [str(Path(dlcli.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


def note_run(run: Path) -> None:
    """Note for the launcher, if any, which run is trained, as it may have to be resumed by its path."""
    file = os.environ.get(RUN_FILE)
    if file:
        with contextlib.suppress(OSError):  # without it, the launcher starts over
            Path(file).write_text(str(run))
