"""What U-Net, FCN and DeepLabv3+ share: sizes, gradients, mixed precision, saved models."""

import os
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
from segmenters import SMALL, assert_dense_gradients  # type: ignore[import-not-found]

from dlcli.models.heads.dense_prediction import resized, sides
from dlcli.report.cost.layer_table import layer_table
from dlcli.runtime.startup import without_weights


@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("size", [(64, 64), (50, 97)])
def test_logits_have_the_size_of_the_image(name: str, size: tuple[int, int]) -> None:
    with without_weights():
        model = SMALL[name]((*size, 3), 5)
        assert model.output_shape == (None, *size, 5)
        assert model.output_names == ["logits"]
        table = layer_table(model)
        assert table.not_counted == ()
        assert table.parameters == model.count_params()
        assert all(row.receptive_field is not None for row in table.rows)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "unet on resnet" else name for name in SMALL]
)
def test_every_trainable_variable_gets_a_gradient(name: str) -> None:
    assert_dense_gradients(SMALL[name]((64, 97, 3), 3))


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_batch_is_learned(name: str) -> None:
    """Two rectangles on noise, by the mean cross-entropy of the pixels."""
    keras.utils.set_random_seed(0)
    model = SMALL[name]((64, 65, 3), 3)
    rng = np.random.default_rng(0)
    y = np.zeros((2, 64, 65), np.int64)
    y[:, 8:40, 10:30], y[:, 30:60, 35:60] = 1, 2
    x = (rng.normal(size=(2, 64, 65, 3)) * 0.1 + np.eye(3)[y]).astype("float32")
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    first = model.train_on_batch(x, y)
    losses = [float(model.train_on_batch(x, y)) for _ in range(80)]
    assert min(losses) < 0.5 * float(first), losses[-5:]


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("name", SMALL)
def test_logits_are_float32_in_mixed_precision(name: str, policy: str) -> None:
    keras.config.set_dtype_policy(policy)
    with without_weights():
        model = SMALL[name]((64, 65, 3), 3)
        assert model.output.dtype == "float32"
        assert model.layers[5].compute_dtype == policy.removeprefix("mixed_")


@pytest.mark.parametrize("name", SMALL)
def test_only_layers_of_keras_are_used(name: str) -> None:
    with without_weights():
        model = SMALL[name]((64, 65, 3), 3)
        assert {type(operation).__module__.split(".")[0] for operation in model.operations} == {"keras"}


LOAD = """
import sys
import keras, numpy
model = keras.models.load_model(sys.argv[1])
assert not any(name.startswith("dlcli") for name in sys.modules)
numpy.save(sys.argv[2], model(numpy.load(sys.argv[3])))
"""


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_saved_models_load_in_plain_keras(name: str, tmp_path: Path) -> None:
    model = SMALL[name]((64, 65, 3), 3)
    model.save(tmp_path / "model.keras")
    x = np.random.default_rng(0).uniform(0, 1, (1, 64, 65, 3)).astype("float32")
    np.save(tmp_path / "x.npy", x)
    files = [str(tmp_path / name) for name in ("model.keras", "y.npy", "x.npy")]
    # The last digits depend on the number of threads where TensorFlow has no oneDNN
    threads = {key: value for key, value in os.environ.items() if key.startswith("TF_NUM_")}
    subprocess.run([sys.executable, "-c", LOAD, *files], check=True, cwd=tmp_path, env=threads)
    np.testing.assert_allclose(np.load(tmp_path / "y.npy"), model(x), atol=1e-6)


def test_a_side_of_any_length_is_refused() -> None:
    with pytest.raises(ValueError, match=r"needs images of a fixed size\. Received maps of shape \[None, None, 8, 3\]"):
        sides(keras.Input((None, 8, 3)))


def test_maps_of_the_size_are_left_as_they_are() -> None:
    maps = keras.Input((4, 6, 2))
    assert resized(maps, (4, 6), name="resized") is maps
    assert resized(maps, (8, 6), name="resized").shape == (None, 8, 6, 2)
