"""Training by several processes: the results of several devices of one machine, and what happens when one is lost."""

import json
import os
import random
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from run_outcome import assert_same, assert_same_but_name, leftovers, outcome, rows  # type: ignore[import-not-found]

from dlcli.rundir.tables import read_csv

STAGES = ("-s", "train.stages=[{name: head, epochs: 1, trainable: head}, {name: all, epochs: 2}]")
COMMAND = ("train", "everything.yaml", "--device", "cpu", *STAGES)
NUM_EXCHANGES = 20  # at least, in a run of this command


@dataclass(frozen=True)
class Task:
    """Makes the process a task of a cluster on this machine, which draws no plots, sends itself a signal when it
    exchanges values with the others for the ``call``-th time, and waits up to ``longest_delay`` seconds before each."""

    addresses: tuple[str, ...]
    index: int
    call: int = 0
    number: int = signal.SIGKILL
    longest_delay: float = 0.0

    def __call__(self) -> None:
        from dlcli.runtime.members import Members

        processes.without_plots()
        task = {"type": "worker", "index": self.index}
        os.environ["TF_CONFIG"] = json.dumps({"cluster": {"worker": self.addresses}, "task": task})
        exchange, count = Members.exchange, 0
        generator = random.Random(self.index)

        def counted(members: Members, value: Any) -> list[Any]:
            nonlocal count
            count += 1
            time.sleep(generator.uniform(0.0, self.longest_delay))
            if count == self.call:
                os.kill(os.getpid(), self.number)
            return exchange(members, value)

        Members.exchange = counted  # type: ignore[method-assign]


def free_addresses(number: int) -> tuple[str, ...]:
    servers = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return tuple(f"127.0.0.1:{port}" for port in ports)


def run_all(folder: Path, *arguments: str, hurt: int = 0, call: int = 0, number: int = signal.SIGKILL) -> list[Any]:
    """Runs a command in two processes to their ends; one sends itself a signal. One that is stopped for good (SIGSTOP)
    is killed when the other has ended."""
    addresses = free_addresses(2)
    tasks = [Task(addresses, index, call if index == hurt else 0, number) for index in range(2)]
    started = [processes.start(*arguments, folder=folder, prepare=task) for task in tasks]
    if call and number == signal.SIGSTOP:
        ended = started[1 - hurt].finish()
        started[hurt].send(signal.SIGKILL)
        return [ended if index != hurt else started[hurt].finish() for index in range(2)]
    return [process.finish() for process in started]


def status(run: Path) -> tuple[str, str]:
    info = json.loads((run / "run.json").read_text())
    return info["status"], info.get("reason")


@pytest.fixture(scope="module")
def never_hurt(made: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes."""
    folder: Path = tmp_path_factory.mktemp("never_hurt")
    (folder / "everything.yaml").write_text((made / "everything.yaml").read_text())
    chief, worker = run_all(folder, *COMMAND)
    assert "on 2 processes of a cluster, each with CPU" in chief.expect(0).stderr
    assert worker.expect(0).stdout == ""
    assert worker.stderr.count("\n") == 1
    assert "worker 1 (127.0.0.1:" in worker.stderr
    assert not leftovers(folder / "runs" / "everything")
    return folder / "runs" / "everything"


def train_on(device: str, name: str, *options: str, folder: Path) -> Path:
    """A run of one process."""
    command = ("train", "everything.yaml", "--name", name, "--device", device, *options)
    processes.run(*command, folder=folder, prepare=processes.without_plots).expect(0)
    return folder / "runs" / name


def assert_close(one: Path, other: Path) -> None:
    """Asserts that two runs have the same metrics to rounding."""
    for row, expected in zip(rows(one), rows(other), strict=True):
        for name, value in row.items():
            if name != "stage":
                assert float(value) == pytest.approx(float(expected[name]), rel=1e-4, abs=1e-5), name


@pytest.mark.long
@pytest.mark.timeout(2100)
@pytest.mark.parametrize("number", [2, 3])
def test_processes_give_the_results_of_devices(folder: Path, number: int) -> None:
    """Bit for bit, but for the evaluation, whose batches are divided otherwise; and those of one device, whose batches
    have as many parts, to rounding."""
    addresses = free_addresses(number)
    tasks = [Task(addresses, index) for index in range(number)]
    options = ("-s", "train.stages=[{name: all, epochs: 3}]")
    command = (*COMMAND[:4], *options, "--name", "processes")
    for process in [processes.start(*command, folder=folder, prepare=task) for task in tasks]:
        process.finish().expect(0)
    run = folder / "runs" / "processes"
    found, devices = (outcome(path) for path in (run, train_on(f"cpu:x{number}", "devices", *options, folder=folder)))
    assert found["final"]["test_loss"] == pytest.approx(devices["final"]["test_loss"], rel=1e-6)
    evaluated = {key for key in found if key.startswith("evaluation/")} | {"config", "config.yaml", "final"}
    assert_same(*({key: of[key] for key in of.keys() - evaluated} for of in (found, devices)))
    accumulated = ("-s", f"train.gradient_accumulation={number}")
    assert_close(run, train_on("cpu", "one", *options, *accumulated, folder=folder))


@pytest.mark.slow
def test_outputs_of_a_frozen_base_are_those_of_devices_to_rounding(folder: Path, never_hurt: Path) -> None:
    """Processes and devices divide their batches otherwise, and a processor's last digits may depend on the batch."""
    assert_close(never_hurt, train_on("cpu:x2", "devices", *STAGES, folder=folder))


def check_hurt(folder: Path, never_hurt: Path, *, hurt: int, call: int, number: int, is_resumed: bool = True) -> None:
    """One of two processes is hurt; the other ends with one line that names it, and the run resumes exactly."""
    name = f"hurt-{hurt}-{call}-{number}"
    ends = run_all(folder, *COMMAND, "--name", name, hurt=hurt, call=call, number=number)
    run, other = folder / "runs" / name, ends[1 - hurt]
    if number in (signal.SIGKILL, signal.SIGSTOP):
        lines = [line for line in other.expect(1).stderr.split("\n") if f"worker {hurt} (" in line]
        reason = "its process has ended" if number == signal.SIGKILL else "has not responded for 30 seconds"
        assert lines[-1].split(": ", 1)[1].startswith(reason)
        assert ends[hurt].status == -signal.SIGKILL
    else:
        for end in ends:
            end.expect(143)
    if not run.exists():  # hurt before it was created
        return
    assert status(run)[0] == "interrupted" or hurt == 0
    if number == signal.SIGTERM:
        assert status(run)[1].startswith("stopped in epoch")
        assert (run / "checkpoints.json").exists()
    if not is_resumed:
        return
    chief, worker = run_all(folder, "train", "--resume", name, "--device", "cpu")
    assert "on 2 processes of a cluster, each with CPU" in chief.expect(0).stderr
    assert worker.expect(0).stdout == ""
    assert worker.stderr.count("\n") == 1
    assert_same_but_name(run, never_hurt)
    assert not leftovers(run)


@pytest.mark.slow
@pytest.mark.parametrize(("call", "number", "is_resumed"), [(11, signal.SIGKILL, True), (9, signal.SIGTERM, False)])
def test_a_process_is_lost_or_stopped(folder: Path, never_hurt: Path, call: int, number: int, is_resumed: bool) -> None:
    check_hurt(folder, never_hurt, hurt=1, call=call, number=number, is_resumed=is_resumed)


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, NUM_EXCHANGES + 1, 2))
@pytest.mark.parametrize("hurt", [0, 1])
def test_any_process_that_hangs_at_any_time_is_lost(folder: Path, never_hurt: Path, hurt: int, call: int) -> None:
    check_hurt(folder, never_hurt, hurt=hurt, call=call, number=signal.SIGSTOP)


@pytest.mark.long
@pytest.mark.timeout(2100)
def test_processes_with_random_delays_never_wait_for_good(folder: Path) -> None:
    stages = ("-s", "train.stages=[{name: all, epochs: 200}]", "-s", "train.early_stopping=null")
    addresses = free_addresses(2)
    tasks = [Task(addresses, index, longest_delay=0.02) for index in range(2)]
    started = [processes.start(*COMMAND[:4], *stages, folder=folder, prepare=task) for task in tasks]
    for process in started:
        process.finish(2000).expect(0)
    assert len(rows(folder / "runs" / "everything")) == 200


@pytest.mark.long
@pytest.mark.parametrize("call", range(1, NUM_EXCHANGES + 1, 2))
@pytest.mark.parametrize("hurt", [0, 1])
def test_any_process_is_killed_at_any_time(folder: Path, never_hurt: Path, hurt: int, call: int) -> None:
    check_hurt(folder, never_hurt, hurt=hurt, call=call, number=signal.SIGKILL)


@pytest.mark.long
@pytest.mark.parametrize("call", range(4, NUM_EXCHANGES + 1, 2))  # before, nothing is trained yet
@pytest.mark.parametrize("hurt", [0, 1])
def test_any_process_is_stopped_at_any_time(folder: Path, never_hurt: Path, hurt: int, call: int) -> None:
    check_hurt(folder, never_hurt, hurt=hurt, call=call, number=signal.SIGTERM)


@pytest.mark.long
def test_a_run_of_two_processes_resumes_with_one(folder: Path, never_hurt: Path) -> None:
    """To rounding: a batch stays in two parts."""
    run_all(folder, *COMMAND, "--name", "fewer", hurt=1, call=11)
    resumed = ("train", "--resume", "fewer", "--device", "cpu")
    processes.run(*resumed, folder=folder, prepare=processes.without_plots).expect(0)
    assert_close(folder / "runs" / "fewer", never_hurt)


@dataclass(frozen=True)
class ScansNothing(Task):
    """A worker whose process ends if it reads image files to find out what they are."""

    def __call__(self) -> None:
        super().__call__()
        from dlcli.data.images import discovery

        if self.index > 0:
            discovery._check_images = lambda *_, **__: os._exit(9)  # type: ignore[assignment]


@pytest.mark.slow
def test_the_chief_alone_scans_the_images(tmp_path: Path) -> None:
    """The run is that of one process on two devices, whose data are the same."""
    for i in range(24):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(i).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / "photos" / "ab"[i % 2] / f"{i}.png")
    recipe = "task: classification\ndata: {kind: folder, path: photos}\nmodel: {kind: mlp}\n"
    (tmp_path / "r.yaml").write_text(recipe + "train: {epochs: 2, batch_size: 8}\n")
    addresses = free_addresses(2)
    command = ("train", "r.yaml", "--device", "cpu")
    started = [processes.start(*command, folder=tmp_path, prepare=ScansNothing(addresses, i)) for i in range(2)]
    for process in started:
        process.finish().expect(0)
    processes.run("data", "split", "r.yaml", "-o", "split.csv", folder=tmp_path).expect(0)
    digests = [
        {row["digest"] for row in read_csv(path)} for path in (tmp_path / "split.csv", tmp_path / "runs/r/split.csv")
    ]
    assert digests[0] == digests[1]


def test_a_broken_cluster_leaves_nothing(folder: Path) -> None:
    refused = processes.start(*COMMAND, folder=folder, prepare=Task(("a:1", "b"), 0)).finish().expect(2)
    assert refused.stderr.startswith("TF_CONFIG: cluster.worker.1: expected HOST:PORT")
    assert not (folder / "runs").exists()
