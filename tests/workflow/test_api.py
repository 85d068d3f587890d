"""dlcli from Python: importing it, training in threads, predicting samples in memory, errors, signals."""

import io
import json
import math
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from sklearn.datasets import load_digits

import dlcli
from dlcli.runtime.console import Console

RECIPE = {
    "task": "classification",
    "data": {"kind": "digits", "image_size": [8, 8], "limit": 40, "validation": 0.2, "test": 0.2},
    "model": {"kind": "mlp", "units": (8,)},
    "train": {"epochs": 2, "batch_size": 16, "checkpoint": {"steps": 1}},
}
DIGITS = np.asarray(load_digits().images[:3] * 15, np.uint8)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dlcli.Run]:
    """A run that was trained in a thread, where Python handles no signals."""
    runs = tmp_path_factory.mktemp("api")
    draw_plots = processes.without_plots()
    options = {"epochs": 1, "train__optimizer__learning_rate": np.float32(0.5), "name": "digits"}
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(dlcli.train, RECIPE, runs=runs, device="cpu", **options).result()
    draw_plots()


def test_importing_loads_nothing_heavy() -> None:
    code = "import dlcli, sys; dlcli.InputError, dir(dlcli); print(*{name.split('.')[0] for name in sys.modules})"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    heavy = {"numpy", "tensorflow", "keras", "pydantic", "PIL", "yaml", "click", "rich", "matplotlib", "sklearn"}
    assert not heavy & set(loaded)
    assert set(dlcli.__all__) == set(dir(dlcli))
    assert all(getattr(dlcli, name) is not None for name in dlcli.__all__)
    with pytest.raises(AttributeError, match="no attribute 'trian'"):
        dlcli.trian  # noqa: B018


def test_a_run_has_its_results(made: dlcli.Run) -> None:
    assert made.classes == tuple(map(str, range(10)))
    assert made.metrics["test_accuracy"] == made.info["final"]["test_accuracy"]
    assert [row["epoch"] for row in made.history] == [1]
    assert made.recipe["train"]["optimizer"]["learning_rate"] == 0.5
    assert made.info["command"][:2] == ["dlcli.train", "recipe"]
    assert f"test_accuracy {made.metrics['test_accuracy']:.4f}" in repr(made)
    assert dlcli.load(made.name, runs=made.path.parent).path == made.path
    assert made.keras_model.output_shape == (None, 10)


def test_samples_of_every_kind_are_predicted_alike(made: dlcli.Run, tmp_path: Path) -> None:
    Image.fromarray(DIGITS[0]).save(tmp_path / "0.png")
    buffer = io.BytesIO()
    Image.fromarray(DIGITS[0]).save(buffer, "PNG")
    color = Image.fromarray(np.repeat(DIGITS[0][..., None], 3, axis=2))
    palette, cmyk = Image.fromarray(DIGITS[0]).convert("P"), Image.fromarray(DIGITS[0]).convert("CMYK")
    same = [DIGITS[0], DIGITS[0][..., None], buffer.getvalue(), color, palette, cmyk, str(tmp_path / "0.png")]
    rows = made.predict(same, top=10)
    assert [row.pop("file", None) for row in rows] == [None] * 6 + [str(tmp_path / "0.png")]
    expected = made.keras_model.predict(DIGITS[:1, ..., None].astype(np.float32), verbose=0)[0]
    for row in rows:
        assert {entry["class"]: entry["probability"] for entry in row["top"]} == {
            name: pytest.approx(float(value), rel=1e-5) for name, value in zip(made.classes, expected, strict=True)
        }
    first = made.predict(DIGITS)[0]
    assert first == made.predict(DIGITS[..., None])[0]
    (alone,) = made.predict(DIGITS[0])  # another size of batch may be summed in another order
    assert alone == {**first, "confidence": pytest.approx(first["confidence"]), "top": alone["top"]}
    assert alone["top"] == [{**top, "probability": pytest.approx(top["probability"])} for top in first["top"]]
    (found,) = made.predict(tmp_path)
    assert found["file"] == str(tmp_path / "0.png")


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        ("none.png", r"none.png: no such file\."),
        ([DIGITS[0], np.zeros((3, 3, 2))], r"sample 1: an array must be .* Received shape \(3, 3, 2\)\."),
        (DIGITS[0] / 255, r"the image: all values lie in \[0, 1\]"),
        (DIGITS[0].astype(int) * 9, r"the image must lie within \[0, 255\]"),
        (b"GIF", r"the image: not an image"),
        (5, r"samples: expected images\. Received int\."),
    ],
)
def test_samples_that_are_no_images(made: dlcli.Run, samples: Any, message: str) -> None:
    with pytest.raises(dlcli.InputError, match=message):
        made.predict(samples)


def test_verbs_return_their_results(made: dlcli.Run, tmp_path: Path) -> None:
    run = dlcli.load(shutil.copytree(made.path, tmp_path / "digits"), device="cpu")
    assert dlcli.evaluate(run, split="test")["accuracy"] == run.metrics["test_accuracy"]
    (result,) = run.attack("fgsm", eps=["8/255", 0.1], limit=4, checks=False)
    assert [row["eps"] for row in result["rows"]] == pytest.approx([8 / 255, 0.1])
    assert json.loads((Path(result["folder"]) / "attack.json").read_text())["command"][0] == "dlcli.attack"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda run: dlcli.load("none", runs=run.path.parent), "none: no such run"),
        (
            lambda run: dlcli.train(RECIPE, model__unit=8),
            "model__unit=8: model.unit: unknown key; did you mean 'units'",
        ),
        (lambda run: dlcli.train({"task": print}), r"recipe\.task: a recipe holds text.* Received builtin"),
        (lambda run: dlcli.train("none.yaml"), "none.yaml: no such file"),
        (lambda run: dlcli.train(RECIPE, device="tpu"), "device: expected auto, .* Received 'tpu'"),
        (lambda run: dlcli.evaluate(run, beam=2), "--beam: .* decodes no text"),
        (lambda run: run.attack(), "kinds: name one or more attacks"),
        (lambda run: run.attack("fsgm"), "'fsgm': not an attack. Choose from fgsm"),
        (lambda run: run.attack("fgsm", eps=8), "a linf epsilon must be in"),
        (lambda run: run.attack("fgsm", limit=-1), r"limit: expected a whole number >= 1\. Received -1\."),
        (lambda run: run.attack("pgd", steps="x"), "steps: expected a whole number >= 1. Received 'x'"),
        (lambda run: run.attack("pgd", norm="l3"), "norm: expected one of linf, l2. Received 'l3'"),
        (lambda run: run.predict(DIGITS[0], top=0), "top: expected a whole number >= 1. Received 0"),
        (lambda run: run.predict(DIGITS[0], top=True), "top: expected a whole number >= 1. Received True"),
        (lambda run: run.predict(DIGITS[0], score=math.nan), "score: expected a number from 0 to 1. Received nan"),
        (lambda run: run.evaluate(tta="x"), r"tta: expected one of flip, crops, flip\+crops. Received 'x'"),
        (lambda run: run.evaluate(split="tests"), "split: expected one of train, validation, test. Received 'tests'"),
        (lambda run: run.evaluate(top_k=5), "top_k: expected a list of whole numbers"),
        (lambda run: run.evaluate(top_k=["x"]), "top_k: expected a whole number >= 1. Received 'x'"),
        (lambda run: run.generate("a", temperature="hot"), "temperature: expected a number >= 0. Received 'hot'"),
        (lambda run: run.generate(3), "prompt: must be a string. Received int"),
        (lambda run: dlcli.train(None), "recipe: expected a path or a dictionary. Received NoneType"),
        (lambda run: run.generate("a"), "does not support task: classification"),
        (lambda run: dlcli.resume(run), "this run is complete"),
        (lambda run: dlcli.transfer("resnet5"), "resnet5"),
        (lambda run: dlcli.transfer("resnet50", task="segment"), "task: expected one of classification"),
    ],
)
def test_bad_input_raises(made: dlcli.Run, call: Any, message: str) -> None:
    with pytest.raises(dlcli.InputError, match=message):
        call(made)


@pytest.mark.slow  # test_signals.py has the same of processes
@pytest.mark.usefixtures("made")
def test_an_interrupt_saves_a_checkpoint_and_handlers_are_restored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    with monkeypatch.context() as patch:
        patch.setattr(Console, "epoch", lambda *values: signal.raise_signal(signal.SIGINT))
        with pytest.raises(dlcli.Interrupted):
            dlcli.train(RECIPE, runs=tmp_path, device="cpu", name="stopped")
    run = dlcli.load("stopped", runs=tmp_path, device="cpu")
    assert run.info["status"] == "interrupted"
    assert len(dlcli.resume(run, device="cpu").history) == 2
    assert {number: signal.getsignal(number) for number in handlers} == handlers
