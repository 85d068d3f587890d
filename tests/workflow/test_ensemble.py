"""The mean of several classifiers' probabilities, as one model and one run."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest

from dlcli.errors import InputError
from dlcli.runtime.model_files import load_keras_file
from dlcli.workflow.ensemble import average_probabilities

OLD = Path(__file__).parent / "old_runs"


def classifier(units: int, *, size: int = 4, classes: int = 3) -> keras.Model:
    inputs = keras.Input((size,), name="inputs")
    x = keras.layers.Dense(units, activation="relu", name="dense")(inputs)  # the same names in every member
    logits = keras.layers.Dense(classes, name="logits")(x)
    return keras.Model(inputs, keras.layers.Activation("softmax", name="probabilities")(logits), name="model")


def test_the_model_is_the_mean_and_loads_without_dlcli(tmp_path: Path) -> None:
    keras.utils.set_random_seed(0)
    models = [classifier(3), classifier(5)]
    x = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32) * 30  # some probabilities are 0
    expected = np.mean([model(x) for model in models], axis=0)
    average_probabilities(models, [Path("a"), Path("b")]).save(tmp_path / "model.keras")
    model = load_keras_file(tmp_path / "model.keras")
    np.testing.assert_allclose(model(x), expected, rtol=1e-5, atol=1e-7)
    logits = keras.Model(model.inputs[0], model.get_layer("logits").output)(x)
    np.testing.assert_allclose(keras.ops.softmax(logits), expected, rtol=1e-5, atol=1e-7)
    assert np.isfinite(logits).all()
    gradient_of = [weight.path for weight in model.trainable_weights]
    assert len(gradient_of) == 8


@pytest.mark.parametrize(
    ("other", "error"),
    [
        ({"size": 5}, "b: must have one input, like a: [4]. Received [5]."),
        ({"classes": 4}, "b: must have probabilities of each class as its output, like a: [3]. Received [4]."),
    ],
)
def test_other_inputs_or_outputs_are_refused(other: dict[str, int], error: str) -> None:
    with pytest.raises(InputError) as caught:
        average_probabilities([classifier(3), classifier(3, **other)], [Path("a"), Path("b")])
    assert str(caught.value) == error


@pytest.mark.parametrize(
    ("arguments", "changes", "error"),
    [
        (["one"], {}, "dlcli ensemble requires two or more runs. Received one."),
        (["one", "./runs/one"], {}, "is named twice"),
        (["one", "nix"], {}, "nix: no such run"),
        (["one", "two", "--name", "a/b"], {}, "a run name must be at most 80 letters"),
        (["one", "two"], {"status": "failed"}, "runs/two: is not complete"),
        (["one", "two"], {"task": "multilabel"}, "of one class for each sample: its task is multilabel. Leave it out."),
        (["one", "two"], {"task": "\x1b[31m"}, "runs/two: cannot be in an ensemble, which averages"),
    ],
)
def test_bad_members_get_one_line_and_nothing_is_written(
    tmp_path: Path, arguments: list[str], changes: dict[str, Any], error: str
) -> None:
    for name in ("one", "two"):
        shutil.copytree(OLD / "digits", tmp_path / "runs" / name)
    path = tmp_path / "runs" / "two" / "run.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))
    done = processes.run("ensemble", *arguments, folder=tmp_path).expect(2)
    assert error in done.stderr
    assert done.stderr.count("\n") == 1
    assert sorted(entry.name for entry in (tmp_path / "runs").iterdir()) == ["one", "two"]


RECIPE = """\
task: classification
data: {kind: npz, path: data.npz, validation: 0.2, test: 0.3}
model: {kind: mlp, units: [4]}
train: {epochs: 2, batch_size: 8}
"""


@pytest.mark.slow
def test_a_run_of_several_that_all_verbs_can_read(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 3
    np.savez(
        tmp_path / "data.npz",
        x_train=(random.integers(0, 80, (60, 4, 4, 1)) + 80 * labels[:, None, None, None]).astype(np.uint8),
        y_train=labels,
    )
    (tmp_path / "r.yaml").write_text(RECIPE)

    def dlcli(*arguments: str) -> Any:
        return processes.run(*arguments, folder=tmp_path, prepare=processes.without_plots)

    dlcli("train", "r.yaml", "--seeds", "2").expect(0)
    made = json.loads(dlcli("ensemble", "r-seed0", "r-seed1", "--json").expect(0).stdout)
    assert [member["name"] for member in made["members"]] == ["r-seed0", "r-seed1"]
    files = [tmp_path / "runs" / name / "model.keras" for name in ("r-seed0", "r-seed1", "r-seed0-ensemble")]
    x = random.integers(0, 256, (5, 4, 4, 1)).astype(np.float32)
    one, other, both = (load_keras_file(file).predict(x, verbose=0) for file in files)
    np.testing.assert_allclose(both, (one + other) / 2, rtol=1e-5)
    again = json.loads(dlcli("evaluate", "r-seed0-ensemble", "--json").expect(0).stdout)
    assert again["accuracy"] == made["final"]["test_accuracy"] == made["headline"][1]
    np.savez(tmp_path / "x.npz", x=x.astype(np.uint8))
    rows = json.loads(dlcli("predict", "r-seed0-ensemble", "x.npz", "--json").expect(0).stdout)["predictions"]
    assert len(rows) == 5
    dlcli("attack", "r-seed0-ensemble", "--fgsm", "--eps", "0.1", "--no-checks").expect(0)
    assert "member1" in dlcli("summary", "r-seed0-ensemble").expect(0).stdout
    refused = dlcli("train", "--resume", "r-seed0-ensemble").expect(2)
    assert "was created without training (dlcli ensemble)" in refused.stderr
    info = tmp_path / "runs" / "r-seed0-ensemble" / "run.json"
    info.write_text(json.dumps({**json.loads(info.read_text()), "status": "running"}))  # as if it had been killed
    refused = dlcli("train", "--resume", "r-seed0-ensemble").expect(2)
    assert "is an ensemble that was not finished. Remove it, and make it again." in refused.stderr
    other_split = (tmp_path / "runs" / "r-seed1" / "split.csv").read_text().replace(",test,", ",train,")
    (tmp_path / "runs" / "r-seed1" / "split.csv").write_text(other_split)
    refused = dlcli("ensemble", "r-seed0", "r-seed1").expect(2)
    assert "was trained on 18 samples of the test split of runs/r-seed0" in refused.stderr
    shutil.rmtree(tmp_path / "runs" / "r-seed1")
    shutil.copytree(tmp_path / "runs" / "r-seed0", tmp_path / "runs" / "r-seed1")
    np.savez(tmp_path / "data.npz", x_train=np.zeros((60, 4, 4, 1), np.uint8), y_train=labels)
    refused = dlcli("ensemble", "r-seed0", "r-seed1", "--name", "both").expect(2)
    assert "runs/r-seed0: the data have changed since the run was started" in refused.stderr
    assert not (tmp_path / "runs" / "both").exists()
