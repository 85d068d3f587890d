"""``dlcli attack`` from end to end: files, defaults, other models, and refused input."""

import json
import shutil
from pathlib import Path
from typing import Any

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]
from sklearn.datasets import load_digits

from dlcli.rundir.tables import read_csv

RECIPE = """\
task: classification
data: {kind: digits, image_size: [8, 8], limit: 400, test: 0.3}
model: {kind: convnet, blocks: [{filters: 16, batch_norm: true, dropout: 0.2}], dense: [32]}
train: {epochs: 12, batch_size: 32, optimizer: {kind: adam, learning_rate: 0.005}}
"""


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder: Path = tmp_path_factory.mktemp("attack")
    (folder / "digits.yaml").write_text(RECIPE)
    run("train", "digits.yaml", folder=folder)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained / "runs", tmp_path / "runs")
    return tmp_path


def test_the_default_is_to_attack_the_newest_run(folder: Path) -> None:
    done = processes.run("attack", "--fgsm", folder=folder).expect(0)
    assert "eps: 0,0.05,0.1,0.15,0.2,0.25,0.3, the default for gray images" in done.stderr
    assert "run runs/digits" in done.stderr
    made = folder / "runs" / "digits" / "attacks" / "fgsm"
    assert sorted(path.name for path in made.iterdir()) == [
        *("adversarial.npz", "attack.json", "curve.png", "examples.png", "robustness.csv", "samples.csv")
    ]
    for name in ("curve.png", "examples.png"):
        with Image.open(made / name) as image:
            assert image.size[0] > 100
    rows = read_csv(made / "robustness.csv")
    robust = [float(row["robust_accuracy"]) for row in rows]
    assert robust[0] == float(rows[0]["clean_accuracy"]) > 0.8
    assert robust[-1] < 0.3
    assert "checks: 2 of 2 passed" in done.stdout


def test_results_agree_with_each_other_and_with_the_saved_arrays(folder: Path) -> None:
    options = ("--eps", "0,8/255,0.1", "--save-samples", "all", "--json")
    result = json.loads(run("attack", "digits", "--pgd", *options, folder=folder).stdout)
    made = folder / result["folder"]
    with np.load(made / "adversarial.npz") as arrays:
        x, adversarial, y, eps = (arrays[name] for name in ("x", "x_adv", "y", "eps"))
    assert x.dtype == adversarial.dtype == np.float32
    assert adversarial.shape == (3, *x.shape)
    np.testing.assert_allclose(eps, [0, 8, 25.5])
    np.testing.assert_array_equal(adversarial[0], x)
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    rows, samples = read_csv(made / "robustness.csv"), read_csv(made / "samples.csv")
    right = np.asarray(model(x)).argmax(1) == y
    for number, row in enumerate(rows):
        change = (adversarial[number] - x).reshape(len(x), -1)
        assert np.abs(change).max() <= eps[number] * (1 + 1e-5) + 1e-4
        still = np.asarray(model(adversarial[number])).argmax(1) == y
        assert float(row["robust_accuracy"]) == pytest.approx((right & still).mean())
        assert float(row["success_rate"]) == pytest.approx((~still)[right].mean())
        rounded = np.asarray(model(np.rint(adversarial[number]))).argmax(1) == y
        assert float(row["robust_accuracy_8bit"]) == pytest.approx((right & rounded).mean())
        assert float(row["mean_linf"]) == pytest.approx(np.abs(change).max(1).mean() / 255, abs=1e-6)
        assert float(row["mean_l2"]) == pytest.approx(np.linalg.norm(change, axis=1).mean() / 255, abs=1e-6)
        mine = [s for s in samples if float(s["eps"]) == float(row["eps"])]
        assert len(mine) == len(x)
        assert sum(s["predicted"] == s["label"] for s in mine) == still.sum()
    info = json.loads((made / "attack.json").read_text())
    assert info["settings"]["steps"] == 40
    assert all(check["passed"] for check in info["checks"])
    assert len(info["checks"]) == 6
    again = json.loads(run("attack", "digits", "--pgd", *options, folder=folder).stdout)
    assert again["rows"] == result["rows"]


def test_samples_without_a_gradient_are_counted_for_the_loss_in_use(folder: Path) -> None:
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    logits = model.get_layer("logits")
    logits.set_weights([100 * values for values in logits.get_weights()])
    model.save(folder / "sure.keras")
    digits = load_digits()
    np.savez(folder / "some.npz", x_train=(digits.images[:120] * 15).astype(np.uint8), y_train=digits.target[:120])
    options = ("--data", "some.npz", "--input-range", "0,255", "--classes", "0,1,2,3,4,5,6,7,8,9", "--eps", "0.1")
    of_entropy = run("attack", "sure.keras", "--fgsm", *options, "--json", folder=folder)
    [row] = json.loads(of_entropy.stdout)["rows"]
    assert row["zero_gradients"] > 60
    failed = f"check failed: correctly classified samples have gradients: {row['zero_gradients']} have none"
    assert failed in of_entropy.stderr
    assert "try --loss margin, which has gradients where a network is very confident" in of_entropy.stderr
    of_margin = run("attack", "sure.keras", "--fgsm", *options, "--loss", "margin", "--json", folder=folder)
    assert json.loads(of_margin.stdout)["rows"][0]["zero_gradients"] == 0
    assert "samples have gradients" not in of_margin.stderr


@pytest.mark.slow
def test_several_attacks_in_one_command(folder: Path) -> None:
    kinds = ("--fgsm", "--square", "--suite")
    done = run("attack", *kinds, "--eps", "0.1", "--limit", 20, "--steps", 5, "--json", folder=folder)
    results = json.loads(done.stdout)
    assert [result["settings"]["kind"] for result in results] == [kind.removeprefix("--") for kind in kinds]
    assert all(result["samples"] == 20 for result in results)
    by_kind = {result["settings"]["kind"]: result["rows"][0]["robust_accuracy"] for result in results}
    assert by_kind["suite"] <= min(by_kind.values()) + 1e-9


@pytest.mark.slow
def test_deepfool_uses_l2(folder: Path) -> None:
    result = json.loads(run("attack", "--deepfool", "--limit", 40, "--json", folder=folder).stdout)
    assert result["settings"]["norm"] == "l2"
    robust = [row["robust_accuracy"] for row in result["rows"]]
    assert robust == sorted(robust, reverse=True)
    assert robust[-1] < 0.2
    refused = run("attack", "--deepfool", "--norm", "linf", folder=folder, status=2)
    assert refused.stderr.splitlines()[-1] == ("--deepfool is an l2 attack: use --norm l2. Received linf.")


def test_a_targeted_attack_reaches_its_class(folder: Path) -> None:
    options = ("--eps", "0.3", "--target", "3", "--json")
    result = json.loads(run("attack", "--bim", *options, folder=folder).stdout)
    assert result["settings"]["target"] == 3
    assert result["rows"][0]["success_rate"] > 0.5


def test_transferring_examples_to_another_network(folder: Path) -> None:
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "other")
    same = json.loads(
        run("attack", "digits", "--fgsm", "--eps", "0.1", "--transfer-to", "other", "--json", folder=folder).stdout
    )
    own = json.loads(run("attack", "digits", "--fgsm", "--eps", "0.1", "--json", folder=folder).stdout)
    assert same["rows"] == own["rows"]
    assert same["transfer_to"] == "other"


def test_a_model_file_needs_its_data_input_range_and_classes(folder: Path) -> None:
    inputs = keras.Input((8, 8, 1))
    keras.utils.set_random_seed(0)
    outputs = keras.layers.Dense(2, activation="softmax")(keras.layers.Flatten()(inputs))
    keras.Model(inputs, outputs).save(folder / "theirs.keras")
    rng = np.random.default_rng(0)
    for name in ("dark", "light"):
        (folder / "photos" / name).mkdir(parents=True)
        for i in range(6):
            Image.fromarray(rng.integers(0, 256, (8, 8), np.uint8)).save(folder / "photos" / name / f"{i}.png")
    options = ("--data", "photos", "--input-range", "0,1", "--classes", "dark,light", "--eps", "0.1")
    result = json.loads(run("attack", "theirs.keras", "--fgsm", *options, "--json", folder=folder).stdout)
    assert result["folder"] == "attacks/theirs-fgsm"
    assert result["samples"] == 12
    for left_out in ("--data", "--input-range", "--classes"):
        position = options.index(left_out)
        fewer = options[:position] + options[position + 2 :]
        refused = run("attack", "theirs.keras", "--fgsm", *fewer, folder=folder, status=2)
        assert (
            f"theirs.keras: a model file does not record how it was trained. Specify {left_out}, such as"
            in refused.stderr
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ((), "no attack given. Choose one or more of --fgsm, --bim"),
        (("--fgsm", "--eps", "8"), "a linf epsilon must be in [0, 1], as a fraction of the pixel range. Received 8."),
        (("--fgsm", "--eps", "x"), "--eps: expected a number such as 0.03 or 8/255. Received 'x'."),
        (("--fgsm", "--eps", "1/0"), "--eps: expected a number such as 0.03 or 8/255. Received '1/0'."),
        (("--pgd", "--step-size", "0"), "--step-size must be above 0 and at most 10. Received 0."),
        (("--fgsm", "--save-samples", "some"), "--save-samples: expected a number of samples or all. Received 'some'."),
        (("--fgsm", "--target", "eleven"), "--target eleven: not a class of the network"),
        (("--fgsm", "--classes", "a,b"), "--classes is for a MODEL.keras; a run records it."),
        (("--fgsm", "--name", "../x"), "a results folder's name must be"),
        (("--fgsm", "--bim", "--name", "x"), "--name is for a single attack."),
        (("--fgsm", "--transfer-to", "nothing"), "nothing: no such run in runs."),
        (("--pgd", "--eps", "1e999", "--norm", "l2"), "--eps must be at most 1,000,000. Received inf."),
        (("--fgsm", "--step-size", "0.1"), "--step-size is for --bim, --pgd, --mi-fgsm. Received --fgsm."),
        (("--square", "--loss", "margin"), "--loss is for --fgsm, --bim, --pgd, --mi-fgsm, --apgd, --suite. Received"),
        (("--fgsm", "--transfer-to", "x.keras"), "such as --transfer-input-range 0,255."),
        (("--fgsm", "--transfer-input-range", "0,1"), "--transfer-input-range is for --transfer-to MODEL.keras."),
        (("--fgsm", "--logits"), "--logits is for a MODEL.keras; a run records it."),
        (("--fgsm", "--deepfool"), "--deepfool is an l2 attack: use --norm l2 in a separate command."),
        (("--square", "--norm", "l2"), "--square is an linf attack: use --norm linf. Received l2."),
        (("--suite", "--target", "1"), "--suite cannot be targeted. Remove --target."),
        (("nothing", "--fgsm"), "nothing: no such run in runs."),
        (("x.keras", "--fgsm"), "x.keras: no such file."),
        (("x.h5", "--fgsm"), "x.h5: whole models are loaded only from .keras files, which cannot contain code."),
    ],
)
def test_refused_input(folder: Path, options: tuple[str, ...], message: str) -> None:
    refused = run("attack", *options, folder=folder, status=2)
    assert message in refused.stderr
    assert refused.stdout == ""
    assert not (folder / "runs" / "digits" / "attacks").exists()


# Networks of others ---------------------------------------------------------------------------------------------------

OF_DIGITS = ("--data", "some.npz", "--input-range", "0,255", "--classes", "0,1,2,3,4,5,6,7,8,9")


@pytest.fixture
def theirs(tmp_path: Path) -> Path:
    """A folder with 60 digits and the parts of networks."""
    digits = load_digits()
    np.savez(tmp_path / "some.npz", x_train=(digits.images[:60] * 15).astype(np.uint8), y_train=digits.target[:60])
    return tmp_path


def classifier(change: Any = lambda x: x, *, weights: float | None = None) -> keras.Model:
    """A linear classifier of what a function makes of the pixels."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 1))
    dense = keras.layers.Dense(10, activation="softmax")
    outputs = dense(keras.layers.Flatten()(change(inputs / 255)))
    if weights is not None:
        dense.set_weights([np.full((64, 10), weights), np.zeros(10)])
    return keras.Model(inputs, outputs)


@pytest.mark.parametrize("kind", ["--fgsm", "--pgd", "--apgd", "--deepfool"])
def test_a_network_without_a_gradient_is_refused_in_one_line(theirs: Path, kind: str) -> None:
    classifier(keras.ops.round).save(theirs / "rounds.keras")
    refused = run("attack", "rounds.keras", kind, *OF_DIGITS, "--eps", "0.5", folder=theirs, status=2)
    assert refused.stderr.splitlines()[-1] == (
        "rounds.keras: its outputs have no gradient with respect to the pixels, because of an operation such as "
        "rounding or argmax. Attack it without gradients, with --square."
    )
    assert not (theirs / "attacks").exists()


def test_a_network_with_nonfinite_outputs_is_refused(theirs: Path) -> None:
    classifier(weights=np.nan).save(theirs / "nan.keras")
    refused = run("attack", "nan.keras", "--fgsm", *OF_DIGITS, folder=theirs, status=2)
    assert "nan.keras: its outputs must be finite, but are not for 60 of 60 samples." in refused.stderr
    classifier(lambda x: keras.ops.sqrt(keras.ops.relu(x - 0.5))).save(theirs / "steep.keras")
    refused = run("attack", "steep.keras", "--fgsm", *OF_DIGITS, folder=theirs, status=2)
    assert "steep.keras: its gradients must be finite, but are not for " in refused.stderr


def test_checks_fail_for_a_network_with_masked_gradients(theirs: Path) -> None:
    classifier(lambda x: keras.ops.stop_gradient(x) + 0 * x).save(theirs / "masked.keras")
    options = ("--eps", "0.5,2", "--norm", "l2", "--steps", 5, "--json")
    done = run("attack", "masked.keras", "--pgd", *OF_DIGITS, *options, folder=theirs)
    failed = {check["name"] for check in json.loads(done.stdout)["checks"] if not check["passed"]}
    assert {"correctly classified samples have gradients", "stronger than noise of the same size"} <= failed
    assert "check failed: stronger than noise of the same size: accuracy " in done.stderr


def test_logits_of_other_output_layers_and_nested_models(theirs: Path) -> None:
    plain = classifier()
    plain.save(theirs / "plain.keras")
    keras.Sequential([keras.Input((8, 8, 1)), plain]).save(theirs / "sequential.keras")
    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, plain(keras.layers.Identity()(inputs))).save(theirs / "nested.keras")
    logits = keras.Model(plain.input, keras.layers.Rescaling(1.0)(plain.layers[-1].output))
    plain.layers[-1].activation = keras.activations.linear
    logits = keras.models.clone_model(logits)
    logits.set_weights(plain.get_weights())
    logits.save(theirs / "scaled.keras")
    options = (*OF_DIGITS, "--fgsm", "--eps", "0.1", "--json")
    rows = json.loads(run("attack", "plain.keras", *options, folder=theirs).stdout)["rows"]
    nested = json.loads(run("attack", "nested.keras", *options, folder=theirs).stdout)
    assert (nested["rows"], nested["note"]) == (rows, "")
    assert json.loads(run("attack", "sequential.keras", *options, folder=theirs).stdout)["rows"] == rows
    refused = run("attack", "scaled.keras", *options, folder=theirs, status=2)
    assert "If its outputs are logits, use --logits." in refused.stderr
    said = json.loads(run("attack", "scaled.keras", *options, "--logits", folder=theirs).stdout)
    assert said["rows"][0]["robust_accuracy"] == pytest.approx(rows[0]["robust_accuracy"], abs=0.02)


def test_transfer_to_a_file_with_another_input_range(folder: Path) -> None:
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    inputs = keras.Input((8, 8, 1))
    keras.Model(inputs, model(inputs * 255)).save(folder / "unit.keras")
    own = run("attack", "digits", "--fgsm", "--eps", "0.1", "--json", folder=folder)
    options = ("--transfer-to", "unit.keras", "--transfer-input-range", "0,1")
    other = json.loads(run("attack", "digits", "--fgsm", "--eps", "0.1", *options, "--json", folder=folder).stdout)
    assert other["rows"][0]["robust_accuracy"] == json.loads(own.stdout)["rows"][0]["robust_accuracy"]
    assert other["folder"] == "runs/digits/attacks/fgsm-on-unit"
    assert len(other["other_sha256"]) == 64
    assert other["checks"] == []


def test_transfer_to_a_network_with_reordered_classes_is_refused(folder: Path) -> None:
    shutil.copytree(folder / "runs" / "digits", folder / "runs" / "other")
    other = folder / "runs" / "other"
    info = json.loads((other / "run.json").read_text())
    info["data"]["classes"] = list("1023456789")
    (other / "run.json").write_text(json.dumps(info))
    (other / "labels.json").write_text(json.dumps({"classes": list("1023456789")}))
    refused = run("attack", "digits", "--fgsm", "--transfer-to", "other", folder=folder, status=2)
    assert "--transfer-to other: its classes, in the order of its outputs, are 1, 0, 2, 3, 4" in refused.stderr


def test_results_of_an_earlier_attack_are_kept(folder: Path) -> None:
    attacks = folder / "runs" / "digits" / "attacks"
    options = ("attack", "digits", "--fgsm", "--limit", 20)
    run(*options, "--eps", "0.1", folder=folder)
    first = (attacks / "fgsm" / "robustness.csv").read_text()
    run(*options, "--eps", "0.2", folder=folder)
    run(*options, "--eps", "0.2", "--norm", "l2", folder=folder)
    run(*options, "--eps", "0.2", "--target", "3", folder=folder)
    run(*options, "--eps", "0.1", folder=folder)  # the same again
    assert sorted(path.name for path in attacks.iterdir()) == ["fgsm", "fgsm-2", "fgsm-l2", "fgsm-to-3"]
    assert (attacks / "fgsm" / "robustness.csv").read_text() == first
