"""Large numbers keep their digits: a constant is subtracted in float64 within the saved model, and added again."""

from pathlib import Path

import keras
import numpy as np

from dlcli.models.sequences.offsets import inner
from dlcli.recipe.tasks.forecasting import Linear, Normal, Window
from dlcli.tasks.forecasting.network import build_forecaster
from dlcli.tasks.sequences.encoders import Scale

OFFSET = 1e9


def test_the_saved_model_and_the_trained_network_differ_by_the_constant(tmp_path: Path) -> None:
    scale = Scale(np.array([0.5, 2.0]), np.array([4.0, 1.0]), target_mean=0.25, target_variance=9.0)
    distribution = Normal(kind="normal")
    window = Window(history=6, horizon=2, difference="last", quantiles=(0.1, 0.5), distribution=distribution)
    network = build_forecaster(Linear(kind="linear"), scale, window, offset=OFFSET)
    assert [v.path for v in network.trained.trainable_variables] == [v.path for v in network.model.trainable_variables]
    changes = np.random.default_rng(0).normal(size=(3, 6, 2)).astype(np.float32)
    network.model.save(tmp_path / "m.keras")
    saved = keras.saving.load_model(tmp_path / "m.keras", safe_mode=True)
    predicted = np.asarray(saved(changes.astype(np.float64) + np.array([OFFSET, 0.0])))
    assert predicted.dtype == np.float64
    without = np.asarray(inner(saved)(changes))
    assert without.dtype == np.float32
    np.testing.assert_allclose(predicted - OFFSET, without, atol=1e-5)
    np.testing.assert_allclose(network.trained(changes)[..., 0], without[..., 1], atol=1e-5)
    plain = build_forecaster(Linear(kind="linear"), scale, window).model
    plain.set_weights(saved.get_weights())
    np.testing.assert_allclose(plain(changes), without, atol=1e-5)
    assert inner(plain) is plain
