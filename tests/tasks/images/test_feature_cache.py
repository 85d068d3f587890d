"""The key of cached features changes with everything they depend on."""

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from dlcli.data.images.decoding import ImagePolicy
from dlcli.data.images.samples import Samples
from dlcli.models.images import preprocessing
from dlcli.runtime.console import Console
from dlcli.tasks.images import feature_cache
from dlcli.tasks.images.feature_cache import FeatureCache, key_of

POLICY = ImagePolicy(image_size=(8, 8), color_mode="rgb", resize="stretch", interpolation="bilinear", antialias=True)
SAMPLES = Samples(
    names=("a.png", "b.png"),
    labels=np.array([0, 1]),
    digests=("0" * 16, "1" * 16),
    groups=None,
    policy=POLICY,
    pixels=np.zeros((2, 8, 8, 3), np.uint8),
)


def front(*, scaling: str = "symmetric", filters: int = 2) -> keras.Model:
    keras.backend.clear_session()
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    scaled = preprocessing.pixels(inputs, preprocessing=scaling)  # type: ignore[arg-type]
    return keras.Model(inputs, keras.layers.Conv2D(filters, 3, name="conv")(scaled))


def test_the_same_layers_weights_and_samples_have_the_same_key() -> None:
    assert key_of(front(), SAMPLES) == key_of(front(), SAMPLES)
    renamed = replace(SAMPLES, names=("c.png", "d.png"), labels=np.array([1, 0]))
    assert key_of(front(), renamed) == key_of(front(), SAMPLES)


@pytest.mark.parametrize(
    "change",
    [
        {"digests": ("0" * 16, "2" * 16)},
        {"digests": ("1" * 16, "0" * 16)},
        {"policy": replace(POLICY, image_size=(9, 9))},
        {"policy": replace(POLICY, interpolation="nearest")},
        {"policy": replace(POLICY, value_range=(0.0, 4095.0))},
    ],
)
def test_other_samples_have_another_key(change: dict[str, object]) -> None:
    assert key_of(front(), replace(SAMPLES, **change)) != key_of(front(), SAMPLES)  # type: ignore[arg-type]


def test_other_layers_and_weights_have_another_key() -> None:
    keys = {key_of(front(), SAMPLES), key_of(front(scaling="unit"), SAMPLES), key_of(front(filters=3), SAMPLES)}
    moved = front()
    kernel = moved.get_layer("conv").kernel
    kernel.assign(kernel + 0.25)
    assert len({*keys, key_of(moved, SAMPLES)}) == 4


def test_only_files_of_features_are_deleted_to_make_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_cache, "DISK_BYTES", 0)
    folder = tmp_path / feature_cache.FOLDER
    folder.mkdir()
    own, newest, mine = folder / f"{'0' * 32}.npy", folder / f"{'1' * 32}.npy", folder / "mine.npy"
    for path in (own, newest, mine):
        path.write_bytes(b"data")
    FeatureCache(tmp_path, Console(quiet=True))._make_room(newest)
    assert sorted(folder.iterdir()) == [newest, mine]
