"""Each format holds what a small network computes, which NumPy computes too."""

from collections.abc import Iterator
from pathlib import Path
from statistics import NormalDist

import keras
import numpy as np
import pytest

from dlcli.errors import InputError
from dlcli.exporting import litert, onnx, saved_model
from dlcli.exporting.comparison import Arrays
from dlcli.exporting.exportable import NotConvertible, one_by_one
from dlcli.exporting.formats import check_format
from dlcli.exporting.latency import repeated

RNG = np.random.default_rng(0)
X = RNG.normal(size=(5, 4)).astype(np.float32)
KERNEL, BIAS = RNG.normal(size=(4, 3)).astype(np.float32), RNG.normal(size=3).astype(np.float32)
MEAN, VARIANCE = np.array([1.0, 0.0, -1.0, 2.0]), np.array([4.0, 1.0, 0.25, 1.0])


def expected() -> np.ndarray:
    logits = (X - MEAN) / np.sqrt(VARIANCE) @ KERNEL + BIAS
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@pytest.fixture(scope="module")
def model() -> keras.Model:
    """Normalization, as at the input of networks of series, a dense layer, argmax, as of masks, a transformer's GELU,
    a selection that leaves NaN out, as of missing values, and numbers in units beyond float16."""
    values = keras.Input((4,), name="values")
    scaled = keras.layers.Normalization(mean=MEAN, variance=VARIANCE)(values)
    dense = keras.layers.Dense(3, activation="softmax")
    p = dense(scaled)
    dense.set_weights([KERNEL, BIAS])
    curved = keras.ops.gelu(scaled, approximate=False)
    known = keras.ops.where(values > 0, keras.ops.log(values), keras.ops.zeros_like(values))
    classes = keras.ops.argmax(p, axis=-1)
    price = keras.layers.Rescaling(1e5, offset=1e6)(p)
    outputs = {"probabilities": p, "classes": classes, "gelu": curved, "known": known, "price": price}
    return keras.Model(values, outputs)


def samples() -> Iterator[Arrays]:
    for row in X:
        yield {"values": row[None]}


def check(outputs: dict[str, np.ndarray], tolerance: float = 1e-6) -> None:
    assert outputs["probabilities"] == pytest.approx(expected(), abs=tolerance)
    assert outputs["classes"].tolist() == expected().argmax(axis=1).tolist()
    scaled = (X - MEAN) / np.sqrt(VARIANCE)
    assert outputs["gelu"] == pytest.approx(scaled * np.vectorize(NormalDist().cdf)(scaled), abs=tolerance)
    assert outputs["known"] == pytest.approx(np.log(np.where(X > 0, X, 1)), abs=tolerance)


def test_saved_model(model: keras.Model, tmp_path: Path) -> None:
    saved_model.write(model, tmp_path / "saved_model")
    check(saved_model.load(tmp_path / "saved_model")({"values": X}))


def test_onnx(model: keras.Model, tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    onnx.write(model, tmp_path / "model.onnx", None, samples())
    runtime = onnx.load(tmp_path / "model.onnx")
    check(runtime({"values": X}))
    check(one_by_one(runtime)({"values": X}))


def test_an_operation_that_onnx_lacks(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    values = keras.Input((4,), name="values")
    model = keras.Model(values, {"value": keras.ops.erfinv(values)})
    with pytest.raises(NotConvertible):
        onnx.write(model, tmp_path / "model.onnx", "int8", samples())


@pytest.mark.slow
@pytest.mark.parametrize("quantization", ["float16", "dynamic", "int8"])
def test_quantized_onnx(model: keras.Model, tmp_path: Path, quantization: str) -> None:
    pytest.importorskip("onnxruntime")
    onnx.write(model, tmp_path / "model.onnx", quantization, samples())  # type: ignore[arg-type]
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]  # and no intermediate files
    outputs = onnx.load(tmp_path / "model.onnx")({"values": X})
    assert outputs["probabilities"] == pytest.approx(expected(), abs=2e-3 if quantization == "float16" else 0.05)
    assert not np.array_equal(outputs["probabilities"], expected().astype(np.float32))
    if quantization == "float16":
        assert outputs["price"] == pytest.approx(1e6 + 1e5 * expected(), abs=200)
    if quantization == "int8":
        constants = pytest.importorskip("onnx").load(tmp_path / "model.onnx").graph.initializer
        scales = [list(tensor.dims) for tensor in constants if tensor.name.endswith("_scale")]
        assert [3] in scales  # one for each output of the dense layer


@pytest.mark.slow
@pytest.mark.parametrize("quantization", [None, "float16", "dynamic", "int8"])
def test_litert(model: keras.Model, tmp_path: Path, quantization: str | None) -> None:
    pytest.importorskip("ai_edge_litert")
    path = tmp_path / "model.tflite"
    assert litert.write(model, path, quantization, samples) is None  # type: ignore[arg-type]
    outputs = litert.load(path)({"values": X})
    tolerance = {None: 1e-6, "float16": 2e-3}.get(quantization, 0.05)
    assert outputs["probabilities"] == pytest.approx(expected(), abs=tolerance)


@pytest.mark.slow
def test_litert_takes_one_sequence_at_a_time(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    values = keras.Input((None, 2), name="values")
    model = keras.Model(values, {"value": keras.layers.LSTM(3)(values)})
    path = tmp_path / "model.tflite"
    assert litert.write(model, path, None, samples) == 1
    runtime = one_by_one(litert.load(path))
    for steps in (4, 7):
        sequences = RNG.normal(size=(3, steps, 2)).astype(np.float32)
        reference = np.asarray(model(sequences)["value"])
        assert runtime({"values": sequences})["value"] == pytest.approx(reference, abs=1e-6)


def test_litert_has_no_loops_in_8_bits(tmp_path: Path) -> None:
    values = keras.Input((None, 2), name="values")
    model = keras.Model(values, {"value": keras.layers.GRU(3)(values)})
    with pytest.raises(InputError, match=r"for loops over steps.* Use --quantize dynamic, or --format onnx\."):
        litert.write(model, tmp_path / "model.tflite", "int8", samples)


def test_a_saved_model_is_not_quantized() -> None:
    with pytest.raises(InputError, match="a SavedModel is not quantized; ONNX and LiteRT models are"):
        check_format("saved_model", "int8")


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"needs the Python package ai-edge-litert.* pip install 'dlcli.litert.'"):
        check_format("litert", None)


def test_a_batch_is_repeated_to_a_size() -> None:
    batch = repeated({"values": X}, 12)["values"]
    assert batch.shape == (12, 4)
    assert (batch[5:10] == X).all()
