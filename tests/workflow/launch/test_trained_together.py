"""``dlcli launch`` with the real dlcli: a killed worker, and what the processes leave."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import leftovers, rows  # type: ignore[import-not-found]

COMMAND = ("train", "everything.yaml", "--device", "cpu", "-s", "train.stages=[{name: all, epochs: 5}]", "--quiet")


def children(parent: int) -> list[int]:
    """The processes that a process has started, the first one first."""
    return [int(text) for text in Path(f"/proc/{parent}/task/{parent}/children").read_text().split()]


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the workers are found in /proc")
def test_a_run_that_loses_a_worker_is_resumed_to_the_end(folder: Path) -> None:
    command = [processes.DLCLI, "launch", "--workers", "2", "--", *COMMAND]
    environment = {**os.environ, **processes.WITHOUT_GPU, "MPLBACKEND": "agg"}
    launcher = subprocess.Popen(command, cwd=folder, env=environment, stderr=subprocess.PIPE, text=True)
    checkpoint = folder / "runs" / "everything" / "checkpoints.json"
    end = time.monotonic() + processes.WAIT_SECONDS
    while not checkpoint.exists() and time.monotonic() < end and launcher.poll() is None:
        time.sleep(0.01)
    os.kill(children(launcher.pid)[1], signal.SIGKILL)
    _, errors = launcher.communicate()
    assert launcher.returncode == 0, errors
    run = folder / "runs" / "everything"
    assert "launch: restart 1 of 3 of all processes: dlcli train --resume runs/everything" in errors
    assert "launch: worker 1 was killed by SIGKILL" in errors
    assert [row["epoch"] for row in rows(run)] == ["1", "2", "3", "4", "5"]
    assert not leftovers(run)
