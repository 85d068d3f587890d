"""Training on several devices, here virtual CPUs: the results of one device, exact resume, and refusals."""

from pathlib import Path

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from run_outcome import assert_same_but_name, rows  # type: ignore[import-not-found]

PARTS = ("-s", "train.gradient_accumulation=2", "-s", "train.stages=[{name: all, epochs: 3}]")


def train(folder: Path, name: str, device: str, *options: str) -> processes.Finished:
    command = ("train", "everything.yaml", "--name", name, "--device", device, *PARTS, *options)
    return processes.run(*command, folder=folder, prepare=processes.without_plots)


def assert_close(one: Path, other: Path) -> None:
    """The rows of both runs are equal up to rounding."""
    for row, other_row in zip(rows(one), rows(other), strict=True):
        for name, value in row.items():
            if name != "stage":
                np.testing.assert_allclose(float(other_row[name]), float(value), rtol=1e-4, atol=1e-5, err_msg=name)


@pytest.mark.slow  # tests/training/test_replicas.py compares the steps
def test_two_devices_give_the_results_of_one_and_resume_exactly(folder: Path) -> None:
    train(folder, "one", "cpu").expect(0)
    done = train(folder, "two", "cpu:x2").expect(0)
    assert "on 2 virtual CPUs" in done.stderr
    assert "devices: 2; a batch of 9 is computed in 2 parts of 4 or 5. The learning rate is the recipe's" in done.stderr
    runs = folder / "runs"
    assert_close(runs / "one", runs / "two")
    for name, device in (("killed", "cpu:x2"), ("moved", "cpu")):
        command = ("train", "everything.yaml", "--name", name, "--device", "cpu:x2", *PARTS)
        processes.run(*command, folder=folder, prepare=processes.KillAtCheckpoint(4))
        resumed = ("train", "--resume", name, "--device", device)
        processes.run(*resumed, folder=folder, prepare=processes.without_plots).expect(0)
    assert_same_but_name(runs / "two", runs / "killed")
    assert_close(runs / "two", runs / "moved")


def test_a_language_model_that_carries_its_states_needs_one_device(folder: Path) -> None:
    (folder / "text.txt").write_text("to be or not to be, that is the question. " * 40)
    (folder / "text.yaml").write_text(
        "task: language_model\ndata: {kind: text, path: text.txt}\n"
        "model: {kind: recurrent, units: 4, stateful: true}\ntrain: {epochs: 1, batch_size: 4}\n"
    )
    refused = processes.run("train", "text.yaml", "--device", "cpu:x2", folder=folder).expect(2)
    assert "text.yaml:3:" in refused.stderr
    assert "model.stateful: needs one device, because it carries the states of a whole batch" in refused.stderr
    assert not (folder / "runs").exists()
