"""The loop: resume at every step to the bit, stages, stopping, plateau, averages, signals, NaN, errors in writing."""

import csv
import os
import signal
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf
from small_problem import (
    LoopMaker,
    Silence,
    StopAt,
    assert_same,
    loop_maker,
    make_dense_model,
    make_model,
    make_objective,
    outcome,
)  # type: ignore[import-not-found]

from dlcli.errors import CheckFailed, InputError, Interrupted
from dlcli.rundir.directory import RunDir
from dlcli.training import checkpoint, loop
from dlcli.training.objectives.objective import Objective

EVERYTHING: dict[str, Any] = {
    "ema": True,
    "plateau": loop.Plateau(metric="val_loss", patience=1, factor=0.5, min_delta=10.0, minimum=1e-3),
    "early_stopping": loop.EarlyStopping(metric="val_loss", patience=4, min_delta=0.0),
}
STAGES = (("head", 1, 1e-2), ("tune", 2, 3e-3))
NUM_STEPS = 9  # 3 epochs of 3 batches


@pytest.fixture
def one_step_a_call(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loop, "CALL_SECONDS", 0.0)


@pytest.mark.usefixtures("one_step_a_call")
@pytest.mark.parametrize(
    "stops",
    [
        [(3, signal.SIGINT), (5, signal.SIGTERM), (9, signal.SIGHUP)],
        pytest.param([(step, signal.SIGINT) for step in range(1, NUM_STEPS + 1)], marks=pytest.mark.slow),
    ],
    ids=["some", "all"],
)
def test_resume_at_every_step_is_exact(make_loop: LoopMaker, tmp_path: Path, stops: list[tuple[int, int]]) -> None:
    reference = make_loop("reference", stages=STAGES, **EVERYTHING)
    reference.train()
    expected = outcome(reference, tmp_path / "reference")
    assert len(expected["rows"]) == 3
    for step, number in stops:
        name = f"stopped-{step}"
        stopped = make_loop(name, stages=STAGES, observer=StopAt(step, number), **EVERYTHING)
        with pytest.raises(Interrupted) as interrupted:
            stopped.train()
        assert interrupted.value.signal_number == number
        resumed = make_loop(name, stages=STAGES, **EVERYTHING)
        saved, corruption = checkpoint.load_last(RunDir(tmp_path / name))
        assert corruption is None
        assert saved.state["step"] == step
        resumed.resume(saved)
        resumed.train()
        assert_same(outcome(resumed, tmp_path / name), expected)


def test_a_training_that_pauses_after_some_epochs_is_exact(make_loop: LoopMaker, tmp_path: Path) -> None:
    reference = make_loop("reference", stages=STAGES, **EVERYTHING)
    reference.train()
    for until in (1, 2, 3):
        paused = make_loop("paused", stages=STAGES, **EVERYTHING)
        if until > 1:
            paused.resume(checkpoint.load_last(RunDir(tmp_path / "paused"))[0])
        paused.train(until=until)
        assert paused.state.epoch == until
    assert_same(outcome(paused, tmp_path / "paused"), outcome(reference, tmp_path / "reference"))


def test_two_loops_with_one_seed_agree_and_epochs_differ(make_loop: LoopMaker, tmp_path: Path) -> None:
    results = []
    for name in ("one", "two"):
        trained = make_loop(name, **EVERYTHING)
        trained.train()
        results.append(outcome(trained, tmp_path / name))
    assert_same(*results)


@pytest.mark.usefixtures("uncompiled")
def test_stages_have_their_own_optimizer_and_best(make_loop: LoopMaker, tmp_path: Path) -> None:
    observer = Silence()
    trained = make_loop(stages=STAGES, observer=observer)
    trained.train()
    assert [row["stage"] for row in observer.rows] == ["head", "tune", "tune"]
    assert [row["epoch"] for row in observer.rows] == [1, 2, 3]
    assert int(trained._optimizer.iterations) == 6  # the second stage's own
    assert trained.state.best.epoch in (2, 3)


@pytest.mark.usefixtures("uncompiled")
def test_early_stopping_ends_the_stage_and_the_best_model_is_kept(make_loop: LoopMaker, tmp_path: Path) -> None:
    observer = Silence()
    stopping = loop.EarlyStopping(metric="val_loss", patience=2, min_delta=100.0)  # nothing improves by so much
    trained = make_loop(stages=(("train", 9, 1e-2),), observer=observer, early_stopping=stopping)
    trained.train()
    assert len(observer.rows) == 3
    best = min(observer.rows, key=lambda row: row["val_loss"])
    assert trained.state.best.epoch == best["epoch"]
    trained.load_best()
    trained._evaluation.reset()
    assert trained._validate()["loss"] == pytest.approx(best["val_loss"], rel=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_plateau_lowers_the_rate_down_to_its_minimum(make_loop: LoopMaker) -> None:
    plateau = loop.Plateau(metric="val_loss", patience=1, factor=0.1, min_delta=100.0, minimum=2e-4)
    trained = make_loop(stages=(("train", 5, 1e-2),), plateau=plateau)
    trained.train()
    assert trained._step.rate_factor == pytest.approx(2e-4 / 1e-2)


@pytest.mark.usefixtures("uncompiled")
def test_validation_and_best_use_the_moving_average(make_loop: LoopMaker) -> None:
    observer = Silence()
    trained = make_loop(observer=observer, ema=True)
    trained.train()
    own = [v.numpy() for v in trained._model.trainable_variables]
    with trained._averaged_weights():
        averaged = [v.numpy() for v in trained._model.trainable_variables]
    assert any(not np.array_equal(a, b) for a, b in zip(own, averaged, strict=True))
    for variable, value in zip(trained._model.trainable_variables, own, strict=True):
        np.testing.assert_array_equal(variable.numpy(), value)
    trained.load_best()
    trained._settings = loop.Settings(best_metric="val_loss")  # what load_best left is evaluated as it is
    best = observer.rows[trained.state.best.epoch - 1]
    trained._evaluation.reset()
    assert trained._validate()["loss"] == pytest.approx(best["val_loss"], rel=1e-6)


@pytest.mark.usefixtures("uncompiled")
def test_a_measure_of_the_validation_split_can_choose_the_best_epoch(make_loop: LoopMaker, tmp_path: Path) -> None:
    values = iter((0.25, 0.75, 0.5))
    observer, seen = Silence(), []
    model = make_dense_model()

    def measured() -> dict[str, float]:
        seen.append(model.trainable_variables[0].numpy())
        return {"ap": next(values)}

    measure = loop.Measure(("ap",), measured)
    trained = make_loop(observer=observer, model=model, measure=measure, best_metric="val_ap", ema=True)
    assert trained.columns[-2:] == ("val_accuracy", "val_ap")
    trained.train()
    assert [row["val_ap"] for row in observer.rows] == [0.25, 0.75, 0.5]
    assert (trained.state.best.epoch, trained.state.best.best) == (2, 0.75)
    trained.load_best()
    np.testing.assert_array_equal(model.trainable_variables[0].numpy(), seen[1])  # the average of epoch 2


@pytest.mark.usefixtures("uncompiled")
def test_a_signal_during_a_measure_stops_with_the_weights_that_are_trained(
    make_loop: LoopMaker, tmp_path: Path
) -> None:
    def measure(*, stops: bool) -> loop.Measure:
        def values() -> dict[str, float]:
            if stops:
                os.kill(os.getpid(), signal.SIGTERM)
            return {"ap": 0.5}

        return loop.Measure(("ap",), values)

    reference = make_loop("reference", measure=measure(stops=False), ema=True)
    reference.train()
    with pytest.raises(Interrupted):
        make_loop(measure=measure(stops=True), ema=True).train()
    resumed = make_loop(measure=measure(stops=False), ema=True)
    saved, _ = checkpoint.load_last(RunDir(tmp_path / "run"))
    assert saved.state["step"] == NUM_STEPS // 3
    resumed.resume(saved)
    resumed.train()
    assert_same(outcome(resumed, tmp_path / "run"), outcome(reference, tmp_path / "reference"))


def test_a_loss_that_is_not_finite_keeps_the_last_checkpoint(make_loop: LoopMaker, tmp_path: Path) -> None:
    trained = make_loop()
    whole = make_objective()

    def loss(logits: Any, batch: Any) -> Any:
        return whole.loss(logits, batch) + tf.where(trained._optimizer.iterations.value >= 4, np.nan, 0.0)

    trained._train_objective = Objective(loss=loss, metrics=whole.metrics)
    trained._begin_stage()
    with pytest.raises(CheckFailed, match=r"not finite in epoch 2.*last checkpoint, of epoch 1, is kept"):
        trained.train()
    saved, _ = checkpoint.load_last(RunDir(tmp_path / "run"))
    assert saved.state["epoch"] == 1
    assert all(np.isfinite(array).all() for array in saved.arrays.values())


@pytest.mark.usefixtures("uncompiled")
def test_checkpoints_come_by_steps_and_old_ones_go(
    make_loop: LoopMaker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: list[str] = []
    save = checkpoint.save

    def note(run: RunDir, name: str, *args: Any, **keys: Any) -> None:
        names.append(name)
        save(run, name, *args, **keys)

    monkeypatch.setattr(checkpoint, "save", note)
    make_loop(checkpoint_steps=2).train()
    assert names == [
        "0000-00000002",
        "0001-00000003",
        "0001-00000004",
        "0002-00000006",
        "0002-00000008",
        "0003-00000009",
    ]
    left = {path.name for path in (tmp_path / "run" / "checkpoints").iterdir()}
    assert names[-1] in left
    assert len(left) <= 2


@pytest.mark.usefixtures("uncompiled")
def test_a_finished_run_can_be_extended(make_loop: LoopMaker, tmp_path: Path) -> None:
    make_loop(stages=(("train", 2, 1e-2),)).train()
    longer = make_loop(stages=(("train", 4, 1e-2),))
    longer.resume(checkpoint.load_last(RunDir(tmp_path / "run"))[0])
    longer.extend()
    longer.train()
    with open(tmp_path / "run" / "metrics.csv") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["1", "2", "3", "4"]


@pytest.mark.usefixtures("uncompiled")
def test_a_checkpoint_of_another_network_is_refused(make_loop: LoopMaker, tmp_path: Path) -> None:
    make_loop(stages=(("train", 1, 1e-2),)).train()
    saved, _ = checkpoint.load_last(RunDir(tmp_path / "run"))
    with pytest.raises(InputError, match="variables"):
        make_loop(model=make_model()).resume(saved)
    inputs = keras.Input((5, 6, 1))
    x = keras.layers.BatchNormalization()(keras.layers.Flatten()(inputs))
    x = keras.layers.Dropout(0.1)(x)
    with pytest.raises(InputError, match="has shape"):
        make_loop(model=keras.Model(inputs, keras.layers.Dense(3)(x))).resume(saved)


@pytest.mark.usefixtures("uncompiled")
def test_a_run_with_the_old_spelling_of_a_metric_resumes_under_the_current_one(
    make_loop: LoopMaker, tmp_path: Path
) -> None:
    """Its metrics.csv is rewritten with the current names of columns when it is cut back to the checkpoint."""

    def renamed(made: loop.Loop) -> loop.Loop:
        whole = make_objective()
        objective = Objective(loss=whole.loss, metrics={"localization_accuracy": whole.metrics["accuracy"]})
        made._train_objective = made._validation_objective = objective
        return made

    renamed(make_loop(stages=(("train", 2, 1e-2),), best_metric="val_localization_accuracy")).train()
    run = RunDir(tmp_path / "run")
    current = run.metrics.read_text()
    old = current.replace("localization", "localisation")
    assert old.splitlines()[0].endswith("train_localisation_accuracy,val_loss,val_localisation_accuracy")
    run.metrics.write_text(old + old.splitlines()[-1] + "\n")  # and a row that the checkpoint does not have
    resumed = renamed(make_loop(stages=(("train", 3, 1e-2),), best_metric="val_localization_accuracy"))
    resumed.resume(checkpoint.load_last(run)[0])
    assert run.metrics.read_text() == current
    resumed.extend()
    resumed.train()
    assert len(run.metrics.read_text().splitlines()) == 4


# Errors in writing ----------------------------------------------------------------------------------------------------


TWO_EPOCHS = (("train", 2, 1e-2),)


@pytest.fixture(scope="module")
def after_two_epochs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What an uncompiled run without errors leaves."""
    folder: Path = tmp_path_factory.mktemp("reference")
    tf.config.run_functions_eagerly(True)
    reference = loop_maker(folder)("run", stages=TWO_EPOCHS)
    reference.train()
    tf.config.run_functions_eagerly(False)
    return dict(outcome(reference, folder / "run"))


@pytest.mark.usefixtures("uncompiled")
@pytest.mark.parametrize(
    "operation",
    [pytest.param("fsync", marks=pytest.mark.slow), "replace", pytest.param("rename", marks=pytest.mark.slow), "write"],
)
@pytest.mark.parametrize(
    "calls_that_fail",
    [(1, 4, 9), pytest.param((2, 3, 5, 6, 7, 8, 10, 11, 13, 18, 100), marks=pytest.mark.slow)],
    ids=["some", "more"],
)
def test_the_kth_failing_write_loses_nothing(
    make_loop: LoopMaker,
    after_two_epochs: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    operation: str,
    calls_that_fail: tuple[int, ...],
) -> None:
    """Whatever write fails, the run resumes from a complete checkpoint to the result of a run without errors."""
    failures = 0
    for k in calls_that_fail:
        name = f"{operation}-{k}"
        failing = make_loop(name, stages=TWO_EPOCHS)
        with monkeypatch.context() as patch:
            calls = _fail_at(patch, operation, k)
            try:
                failing.train()
                assert calls[0] < k
                break  # the run has fewer such calls
            except OSError:
                failures += 1
        run = RunDir(tmp_path / name)
        run.remove_leftovers()
        resumed = make_loop(name, stages=TWO_EPOCHS)
        if (run.path / "checkpoints.json").exists():
            saved, corruption = checkpoint.load_last(run)
            assert corruption is None
            resumed.resume(saved)
        elif run.metrics.exists():
            run.metrics.unlink()
        resumed.train()
        assert_same(outcome(resumed, run.path), after_two_epochs)
    assert failures > 0


def _fail_at(patch: pytest.MonkeyPatch, operation: str, k: int) -> list[int]:
    calls = [0]

    def counting(real: Any) -> Any:
        def fail_or_do(*args: Any, **keys: Any) -> Any:
            calls[0] += 1
            if calls[0] == k:
                raise OSError(28, "No space left on device")
            return real(*args, **keys)

        return fail_or_do

    if operation == "write":
        from dlcli.rundir import writing

        patch.setattr(writing, "write_file", counting(writing.write_file))
    else:
        patch.setattr(os, operation, counting(getattr(os, operation)))
    return calls
