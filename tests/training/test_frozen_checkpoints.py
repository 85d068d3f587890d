"""Variables that a stage does not change are saved once, and read back with every checkpoint that needs them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.errors import InputError
from dlcli.rundir import RunDir
from dlcli.training import checkpoint

Saved = dict[str, list[Any]]


@pytest.fixture
def run(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path)


def variables() -> Saved:
    return {"model": [tf.Variable([1.0, 2.0], name="still"), tf.Variable([3.0], name="moving")], "optimizer": []}


def save(run: RunDir, name: str, members: Saved, *, stage: int = 0, best: bool = False) -> None:
    frozen = members["model"][:1]
    checkpoint.save(run, name, members, {"n": 1}, best=best, frozen=frozen, frozen_name=f"frozen-{stage:02d}")


def names(run: RunDir) -> list[str]:
    return sorted(path.name for path in run.checkpoints.iterdir())


def test_they_are_written_once_and_read_with_each(run: RunDir, monkeypatch: pytest.MonkeyPatch) -> None:
    members = variables()
    save(run, "one", members, best=True)
    written = (run.checkpoints / "frozen-00" / "variables.npz").stat().st_mtime_ns
    members["model"][1].assign([4.0])
    save(run, "two", members)
    assert names(run) == ["frozen-00", "one", "two"]
    assert (run.checkpoints / "frozen-00" / "variables.npz").stat().st_mtime_ns == written
    with np.load(run.checkpoints / "two" / "variables.npz") as arrays:
        assert arrays.files == ["model/0001"]
    for which, value in (("last", 4.0), ("best", 3.0)):
        again = variables()
        again["model"][0].assign([0.0, 0.0])
        checkpoint.restore(checkpoint.load(run, which), again)
        assert [v.numpy().tolist() for v in again["model"]] == [[1.0, 2.0], [value]]


def test_they_go_with_the_last_checkpoint_that_needs_them(run: RunDir) -> None:
    members = variables()
    save(run, "one", members, best=True)
    save(run, "two", members, stage=1)
    assert names(run) == ["frozen-00", "frozen-01", "one", "two"]
    save(run, "three", members, stage=1, best=True)
    assert names(run) == ["frozen-01", "three"]
    checkpoint.save(run, "four", members, {}, best=True)
    assert names(run) == ["four"]


@pytest.mark.parametrize("corruption", ["flip", "remove", "elsewhere"])
def test_damage_to_them_is_found(run: RunDir, corruption: str) -> None:
    save(run, "one", variables(), best=True)
    path = run.checkpoints / "frozen-00" / "variables.npz"
    if corruption == "flip":
        content = bytearray(path.read_bytes())
        content[-30] ^= 1
        path.write_bytes(bytes(content))
    elif corruption == "remove":
        path.unlink()
    else:
        manifest = run.checkpoints / "one" / "manifest.json"
        manifest.write_text(manifest.read_text().replace("frozen-00", "../../frozen-00"))
    with pytest.raises(InputError, match="No intact checkpoint is left"):
        checkpoint.load_last(run)


def test_one_group_can_be_read_by_itself(run: RunDir) -> None:
    save(run, "one", variables(), best=True)
    saved = checkpoint.load(run, "last")
    again = variables()
    again["model"][1].assign([9.0])
    checkpoint.restore_group(saved, "model", again["model"])
    assert again["model"][1].numpy().tolist() == [3.0]
    with pytest.raises(InputError, match=r"model/0000 has shape \(2,\); the model needs \(3,\)"):
        checkpoint.restore_group(saved, "model", [tf.Variable([1.0, 2.0, 3.0]), tf.Variable([1.0])])
    with pytest.raises(InputError, match=r"holds 2 variables where the run's recipe has 1"):
        checkpoint.restore_group(saved, "model", [tf.Variable([1.0, 2.0])])
