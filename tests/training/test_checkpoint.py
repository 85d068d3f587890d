"""Checkpoints: what they hold, corruption, frozen variables that are saved once, and errors in writing."""

import signal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from small_problem import LoopMaker, StopAt, assert_same, outcome  # type: ignore[import-not-found]

from dlcli.errors import InputError, Interrupted
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_json
from dlcli.training import checkpoint, loop

Saved = dict[str, list[Any]]


ONE, TWO, THREE, FOUR = "0001-00000010", "0002-00000020", "0003-00000030", "0004-00000040"  # as dlcli names checkpoints


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
    save(run, ONE, members, best=True)
    written = (run.checkpoints / "frozen-00" / "variables.npz").stat().st_mtime_ns
    members["model"][1].assign([4.0])
    save(run, TWO, members)
    assert names(run) == [ONE, TWO, "frozen-00"]
    assert (run.checkpoints / "frozen-00" / "variables.npz").stat().st_mtime_ns == written
    with np.load(run.checkpoints / TWO / "variables.npz") as arrays:
        assert arrays.files == ["model/0001"]
    for which, value in (("last", 4.0), ("best", 3.0)):
        again = variables()
        again["model"][0].assign([0.0, 0.0])
        checkpoint.restore(checkpoint.load(run, which), again)
        assert [v.numpy().tolist() for v in again["model"]] == [[1.0, 2.0], [value]]


def test_the_best_checkpoint_of_a_run_in_training_may_be_replaced_while_it_is_read(
    run: RunDir, monkeypatch: pytest.MonkeyPatch
) -> None:
    members = variables()
    replace_json(run.checkpoint_names, {})
    assert checkpoint.load_best_in_use(run) is None
    save(run, ONE, members, best=True)
    read, better = checkpoint._read_arrays, iter([TWO, THREE])

    def read_slowly(content: bytes) -> dict[str, np.ndarray]:
        if name := next(better, None):
            members["model"][1].assign([9.0])
            save(run, name, members, stage=int(name[3]), best=True)  # deletes what is being read
        return read(content)

    monkeypatch.setattr(checkpoint, "_read_arrays", read_slowly)
    saved = checkpoint.load_best_in_use(run)
    assert saved is not None
    assert saved.name == THREE
    assert [saved.arrays[f"model/000{i}"].tolist() for i in (0, 1)] == [[1.0, 2.0], [9.0]]
    _flip_byte(run.checkpoints / THREE / "variables.npz")
    with pytest.raises(checkpoint.Corrupt):
        checkpoint.load_best_in_use(run)


def test_they_go_with_the_last_checkpoint_that_needs_them(run: RunDir) -> None:
    members = variables()
    save(run, ONE, members, best=True)
    save(run, TWO, members, stage=1)
    assert names(run) == [ONE, TWO, "frozen-00", "frozen-01"]
    save(run, THREE, members, stage=1, best=True)
    assert names(run) == [THREE, "frozen-01"]
    checkpoint.save(run, FOUR, members, {}, best=True)
    assert names(run) == [FOUR]


@pytest.mark.parametrize("corruption", ["flip", "remove", "elsewhere"])
def test_corruption_of_them_is_found(run: RunDir, corruption: str) -> None:
    save(run, ONE, variables(), best=True)
    path = run.checkpoints / "frozen-00" / "variables.npz"
    if corruption == "flip":
        content = bytearray(path.read_bytes())
        content[-30] ^= 1
        path.write_bytes(bytes(content))
    elif corruption == "remove":
        path.unlink()
    else:
        manifest = run.checkpoints / ONE / "manifest.json"
        manifest.write_text(manifest.read_text().replace("frozen-00", "../../frozen-00"))
    with pytest.raises(InputError, match="No intact checkpoint is left"):
        checkpoint.load_last(run)


def test_one_group_can_be_read_by_itself(run: RunDir) -> None:
    save(run, ONE, variables(), best=True)
    saved = checkpoint.load(run, "last")
    again = variables()
    again["model"][1].assign([9.0])
    checkpoint.restore_group(saved, "model", again["model"])
    assert again["model"][1].numpy().tolist() == [3.0]
    with pytest.raises(InputError, match=r"model/0000 has shape \(2,\); the model needs \(3,\)"):
        checkpoint.restore_group(saved, "model", [tf.Variable([1.0, 2.0, 3.0]), tf.Variable([1.0])])
    with pytest.raises(InputError, match=r"holds 2 variables where the run's recipe has 1"):
        checkpoint.restore_group(saved, "model", [tf.Variable([1.0, 2.0])])


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    "file_name", ["variables.npz", "state.json", pytest.param("manifest.json", marks=pytest.mark.slow)]
)
def test_flipped_bytes_are_found_and_an_earlier_checkpoint_gives_the_same_result(
    make_loop: LoopMaker, tmp_path: Path, file_name: str
) -> None:
    settings = {"best_metric": "train_accuracy"}  # so that the best epoch need not be the last
    reference = make_loop("reference", **settings)
    reference.train()
    expected = outcome(reference, tmp_path / "reference")
    run = RunDir(tmp_path / "run")
    observer = StopAt(7, signal.SIGINT)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "CALL_SECONDS", 0.0)
        with pytest.raises(Interrupted):
            make_loop(observer=observer, **settings).train()
    names = checkpoint._names(run)
    assert names["last"] != names["best"]
    _flip_byte(run.checkpoints / names["last"] / file_name)
    with pytest.raises(checkpoint.Corrupt, match=names["last"]):
        checkpoint.load(run, "last")
    saved, corruption = checkpoint.load_last(run)
    assert corruption is not None
    assert names["last"] in corruption
    resumed = make_loop(**settings)
    resumed.resume(saved)
    resumed.train()
    assert_same(outcome(resumed, run.path), expected)


@pytest.mark.usefixtures("uncompiled")
def test_without_an_intact_checkpoint_there_is_a_clear_error(make_loop: LoopMaker, tmp_path: Path) -> None:
    make_loop(stages=(("train", 1, 1e-2),)).train()
    run = RunDir(tmp_path / "run")
    for folder in run.checkpoints.iterdir():
        _flip_byte(folder / "variables.npz")
    with pytest.raises(InputError, match=r"variables\.npz.*No intact checkpoint is left"):
        checkpoint.load_last(run)


def _flip_byte(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0x40
    path.write_bytes(bytes(content))
