"""``dlcli export`` from end to end: the files, what is refused, and an example client that runs by itself."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import processes  # type: ignore[import-not-found]
import pytest
from PIL import Image
from processes import run_without_plots as run  # type: ignore[import-not-found]

from dlcli.rundir.reading import read_json

OLD = Path(__file__).parent / "old_runs"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shutil.copytree(OLD / "digits", tmp_path / "runs" / "digits")
    return tmp_path


def test_onnx_of_digits(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    done = processes.run("export", "digits", "--format", "onnx", "--samples", 7, "--json", folder=folder).expect(0)
    result = json.loads(done.stdout)
    made = folder / "runs" / "digits" / "exports" / "onnx"
    assert result["folder"] == "runs/digits/exports/onnx"
    assert sorted(path.name for path in made.iterdir()) == ["client.py", "export.json", "labels.json", "model.onnx"]
    info = read_json(made / "export.json")
    assert {key: result[key] for key in info} == info
    assert info["check"]["samples"] == 7
    assert info["check"]["largest_difference"] < 1e-5
    assert info["check"]["agreement"] == 1.0
    assert info["inputs"][0]["shape"] == [None, 12, 12, 1]
    assert info["bytes"]["exported"] == (made / "model.onnx").stat().st_size
    assert info["milliseconds"]["keras"].keys() == info["milliseconds"]["exported"].keys() == {"1", "32"}

    pixels = np.random.default_rng(0).integers(0, 255, (12, 12), np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    client = [sys.executable, str(made / "client.py"), "image.png"]
    lines = subprocess.run(client, cwd=folder, capture_output=True, text=True, check=True).stdout.splitlines()
    model = keras.saving.load_model(folder / "runs" / "digits" / "model.keras")
    reference = np.asarray(model(pixels[None, :, :, None].astype(np.float32)))[0]
    top = int(reference.argmax())
    assert lines[0] == f"{reference[top]:.4f}  {top}"
    assert sum(map(bool, (made / "client.py").read_text().splitlines())) <= 20


def test_what_differs_too_much_is_kept_as_refused(folder: Path) -> None:
    pytest.importorskip("onnxruntime")
    arguments = ("export", "digits", "--format", "onnx", "--samples", 3, "--tolerance", "1e-12")
    refused = processes.run(*arguments, folder=folder).expect(1)
    exports = folder / "runs" / "digits" / "exports"
    assert "runs/digits/exports/onnx-refused: the exported model is refused: it differs from the Keras model by" in (
        refused.stderr
    )
    assert [path.name for path in exports.iterdir()] == ["onnx-refused"]
    assert (exports / "onnx-refused" / "model.onnx").exists()
    assert read_json(exports / "onnx-refused" / "export.json")["check"]["passed"] is False


def test_bad_input(folder: Path) -> None:
    def refusal(*arguments: str) -> str:
        done = processes.run("export", *arguments, folder=folder).expect(2)
        assert done.stderr.count("\n") == 1
        return str(done.stderr)

    assert refusal("digits", "--format", "saved_model", "--quantize", "int8").startswith("--quantize int8: a Saved")
    assert "nan is not in the range 0<x<=1" in refusal("digits", "--format", "onnx", "--tolerance", "nan")
    (folder / "full").mkdir()
    (folder / "full" / "mine.txt").touch()
    assert refusal("digits", "--format", "saved_model", "-o", "full") == (
        "full: already exists. Choose another folder with -o, or delete it.\n"
    )
    (folder / "elsewhere").mkdir()
    (folder / "runs" / "digits" / "exports").mkdir()
    (folder / "runs" / "digits" / "exports" / "saved_model").symlink_to(folder / "elsewhere")
    assert refusal("digits", "--format", "saved_model") == (
        "runs/digits/exports/saved_model: is a link. Remove it, or choose another folder with -o.\n"
    )
    shutil.rmtree(folder / "runs" / "digits" / "exports")
    assert "no such run" in refusal("nothing", "--format", "saved_model")
    shutil.copytree(OLD / "shapes", folder / "runs" / "unfinished")
    assert "unfinished" in refusal("unfinished", "--format", "saved_model")
    (folder / "runs" / "digits" / "model.keras").write_bytes(b"PK")
    assert "runs/digits/model.keras: is not the model that this run saved" in refusal(
        "digits", "--format", "saved_model"
    )
    assert not (folder / "runs" / "digits" / "exports").exists()


@pytest.mark.slow
def test_a_stranger_may_have_written_how_images_are_read(folder: Path) -> None:
    info = read_json(folder / "runs" / "digits" / "run.json")
    key = "images" if "images" in info["data"] else "pictures"
    (folder / "runs" / "digits" / "run.json").write_text(
        json.dumps({**info, "data": {**info["data"], key: {"image_size": [12, 12]}}})
    )
    refused = processes.run("export", "digits", "--format", "saved_model", "-q", folder=folder).expect(2)
    assert "the image settings of a run must be those of its training" in refused.stderr
    assert refused.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("format_", ["saved_model", "onnx", "litert"])
def test_the_evaluation_of_the_exported_model_is_that_of_the_keras_model(folder: Path, format_: str) -> None:
    for package in {"saved_model": (), "onnx": ("onnxruntime",), "litert": ("ai_edge_litert",)}[format_]:
        pytest.importorskip(package)
    own = json.loads(run("evaluate", "digits", "--json", folder=folder).stdout)
    exported = json.loads(run("export", "digits", "--format", format_, "--evaluate", "--json", folder=folder).stdout)
    metrics = exported["metrics"]
    assert {"loss", "accuracy", "samples"} <= metrics.keys()
    for name, value in metrics.items():
        assert value == pytest.approx(own[name], abs=1e-4), name
    again = json.loads(run("export", "digits", "--format", format_, "--json", folder=folder).stdout)
    assert again["folder"] == exported["folder"]  # the same model replaces it
    assert not (folder / again["folder"] / "evaluation").exists()
