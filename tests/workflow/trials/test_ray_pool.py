"""Tasks on a Ray cluster of this machine: outcomes, lost tasks, deadlines, and addresses that are none."""

import importlib.util
import json
import os
import signal
import time
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from dlcli.cli import cli
from dlcli.errors import InputError
from dlcli.workflow.trials import ray_pool
from dlcli.workflow.trials.pool import Lost
from dlcli.workflow.trials.ray_pool import RayPool, share_of_gpu

RECIPE = """\
task: classification
data: {kind: digits, limit: 60}
model: {kind: mlp, units: [8]}
train: {epochs: 2, batch_size: 20}
sweep:
  space: {train.optimizer.learning_rate: [0.001, 0.03]}
  budget: {trials: 2}
  workers: 2
"""
needs_ray = pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed")


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        ("nonsense", "expected HOST:PORT, ray://HOST:PORT, auto or local."),
        ("host:x", "expected HOST:PORT, ray://HOST:PORT, auto or local."),
        ("127.0.0.1:1", "cannot connect (Connection refused). Start a cluster with: ray start --head"),
        ("ray://127.0.0.1:1", "cannot connect (Connection refused). Start a cluster with: ray start --head"),
    ],
)
def test_an_address_without_a_cluster_is_refused(address: str, reason: str) -> None:
    with pytest.raises(InputError) as refused:
        RayPool(1, address, "auto")
    assert str(refused.value) == f"--ray {address}: {reason}"


def test_ray_gives_out_the_gpus() -> None:
    with pytest.raises(InputError, match=r"--device gpu:1: Ray decides which GPU a trial uses\. Use --device gpu, cpu"):
        RayPool(1, "local", "gpu:1")
    assert [share_of_gpu(num_gpus, 3) for num_gpus in (0, 1, 2, 3, 8)] == [0, 1 / 3, 1 / 2, 1, 1]


@needs_ray
@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_a_sweep_on_ray_is_that_of_processes_and_lost_tasks_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("recipe.yaml").write_text(RECIPE)
    found = []
    for name, options in (("here", ()), ("cluster", ("--ray", "local"))):
        done = CliRunner().invoke(cli, ["sweep", "recipe.yaml", "--json", "--name", name, *options])
        assert done.exit_code == 0, done.exception
        found.append(json.loads(done.stdout))
    assert found[0]["best"] == found[1]["best"]
    assert found[0]["trials"] == found[1]["trials"] == 3

    def fake(task: dict[str, Any]) -> dict[str, Any]:
        match task["do"]:
            case "crash":
                os._exit(3)
            case "hang":
                time.sleep(1000)
        return {"status": "complete", "value": task["value"], "threads": os.environ["OMP_NUM_THREADS"]}

    monkeypatch.setattr(ray_pool, "do_task", fake)
    handler = signal.getsignal(signal.SIGTERM)
    with RayPool(2, "local", "auto") as pool:
        assert signal.getsignal(signal.SIGTERM) is handler
        pool.submit("good", {"do": "train", "value": 7})
        assert pool.wait() == ("good", {"status": "complete", "value": 7, "threads": "1"})
        pool.submit("late", {"do": "hang"}, seconds=1)
        assert pool.is_free
        pool.submit("bad", {"do": "crash"})
        assert not pool.is_free
        outcomes = dict(pool.wait() for _ in range(2))
        assert all(isinstance(outcome, Lost) for outcome in outcomes.values())
        assert outcomes["late"].reason == "took longer than the limit on its time, and was stopped"
        assert outcomes["bad"].reason.startswith("the Ray task was lost: ")
        assert pool.num_running == 0
