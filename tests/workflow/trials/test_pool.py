"""Workers do one task after another, and survive what a task may do to them."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from dlcli.workflow.trials.pool import Lost, Pool

COMMAND = (sys.executable, str(Path(__file__).with_name("fake_worker.py")))


def task(value: float = 0.5, *, do: str = "train", **more: Any) -> dict[str, Any]:
    return {"do": do, "value": value, **more}


def test_tasks_run_at_the_same_time_and_workers_are_used_again() -> None:
    with Pool(2, command=COMMAND) as pool:
        processes, numbers = [], []
        for first in (0, 2):
            pool.submit(first, task(first))
            assert pool.is_free
            pool.submit(first + 1, task(first + 1, prints=True))
            assert not pool.is_free
            outcomes = dict(pool.wait() for _ in range(2))
            assert set(outcomes) == {first, first + 1}
            for key, outcome in outcomes.items():
                assert isinstance(outcome, dict)
                assert outcome["metrics"]["val_accuracy"] == key
                processes.append(outcome["metrics"]["process"])
                numbers.append((outcome["metrics"]["process"], outcome["metrics"]["worker"]))
        assert len(set(processes)) == 2
        assert len(set(numbers)) == 2  # a process keeps its number
        assert {number for _, number in numbers} == {0, 1}
    for process in set(processes):
        assert not Path(f"/proc/{process}").exists()


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc")
def test_a_worker_that_has_become_large_is_replaced() -> None:
    assert len(set(processes_of(Pool(1, command=COMMAND, max_resident=2**40), 2))) == 1
    assert len(set(processes_of(Pool(1, command=COMMAND, max_resident=2**20), 2))) == 2


def test_a_worker_is_replaced_after_some_tasks() -> None:
    processes = processes_of(Pool(1, command=COMMAND, tasks_per_worker=2), 4)
    assert processes[0] == processes[1] != processes[2] == processes[3]


def processes_of(workers: Pool, num_tasks: int) -> list[int]:
    """The process that does each of several tasks."""
    with workers as pool:
        processes = []
        for number in range(num_tasks):
            pool.submit(number, task())
            _, outcome = pool.wait()
            assert isinstance(outcome, dict)
            processes.append(outcome["metrics"]["process"])
    return processes


def test_a_worker_that_crashes_ends_or_hangs_is_lost_alone() -> None:
    with Pool(1, command=COMMAND) as pool:
        reasons = []
        for do in ("crash", "exit", "hang"):
            pool.submit(do, task(do=do), seconds=0.2 if do == "hang" else None)
            key, outcome = pool.wait()
            assert key == do
            assert isinstance(outcome, Lost)
            reasons.append(outcome.reason)
        assert reasons == [
            "the worker process crashed (SIGABRT): what it wrote last",
            "the worker process ended with status 3",
            "took longer than the limit on its time, and was stopped",
        ]
        pool.submit("next", task(0.25))
        _, outcome = pool.wait()
        assert isinstance(outcome, dict)
        assert outcome["metrics"]["val_accuracy"] == 0.25
        assert outcome["metrics"]["worker"] == 0  # that of the one it replaces


def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    program = f"""
        from dlcli.workflow.trials.pool import Pool
        pool = Pool(1, command={COMMAND!r})
        pool.submit(0, {task(do="train")!r})
        print(pool.wait()[1]["metrics"]["process"], flush=True)
        pool.submit(1, {task(do="hang")!r})
        pool.wait()
    """
    parent = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    worker = int(parent.stdout.readline())
    os.kill(worker, signal.SIGTERM)  # as Ctrl-C in a terminal would: a worker leaves that to its parent
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 60
    while _is_alive(worker) and time.monotonic() < end:
        time.sleep(0.01)
    assert not _is_alive(worker)


def _is_alive(process: int) -> bool:
    status = Path(f"/proc/{process}/stat")
    return status.exists() and status.read_text().rpartition(")")[2].split()[0] != "Z"
