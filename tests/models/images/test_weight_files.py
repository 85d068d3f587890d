"""Weights from files: by the layers' names, whole or not at all."""

from pathlib import Path

import keras
import numpy as np
import pytest

from dlcli.models.images.weight_files import DoNotFit, copy_weights, read_weights


def network(*, units: int = 4, name: str = "second") -> keras.Model:
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, name="first")(inputs)
    x = keras.layers.BatchNormalization(name="norm")(x)
    return keras.Model(inputs, keras.layers.Dense(units, name=name)(x))


def with_other_weights(model: keras.Model) -> keras.Model:
    rng = np.random.default_rng(0)
    model.set_weights([rng.uniform(0.1, 1.0, weight.shape) for weight in model.get_weights()])
    return model


def assert_equal(one: keras.Model, other: keras.Model) -> None:
    for a, b in zip(one.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_of_a_legacy_file_by_name_through_models_in_models(tmp_path: Path) -> None:
    inner = with_other_weights(network())
    whole = keras.Sequential([keras.Input((6,)), inner, keras.layers.Dense(2, name="top")])
    whole.save(tmp_path / "whole.h5")
    target = network()
    read_weights(target, str(tmp_path / "whole.h5"))
    assert_equal(target, inner)


@pytest.mark.parametrize("suffix", [".h5", ".weights.h5"])
def test_another_shape_is_said_with_its_layer(tmp_path: Path, suffix: str) -> None:
    source = network(units=3)
    file = tmp_path / f"x{suffix}"
    source.save(file) if suffix == ".h5" else source.save_weights(file)
    with pytest.raises(DoNotFit, match=r"layer 'second' has weights of shape 5x4(, 4)? here and of 5x3(, 3)? there"):
        read_weights(network(), str(file))


def test_weights_are_copied_by_the_names_of_layers() -> None:
    source, target = with_other_weights(network()), network()
    copy_weights(target, source)
    assert_equal(target, source)
    with pytest.raises(DoNotFit, match="it has no layer 'third'"):
        copy_weights(network(name="third"), source)
    with pytest.raises(DoNotFit, match="layer 'second' has weights of shape 5x7, 7 here and of 5x4, 4 there"):
        copy_weights(network(units=7), source)


@pytest.mark.parametrize("suffix", [".h5", ".keras"])
def test_a_deeper_network_is_none_of_these(tmp_path: Path, suffix: str) -> None:
    inputs = keras.Input((6,))
    x = keras.layers.Dense(5, name="first")(inputs)
    x = keras.layers.Dense(5, name="between")(x)
    x = keras.layers.BatchNormalization(name="norm")(x)
    x = keras.layers.Dense(4, name="second")(x)
    deeper = keras.Model(inputs, keras.layers.Dense(2, name="classes")(x))
    deeper.save(tmp_path / f"x{suffix}")
    with pytest.raises(DoNotFit, match="they are of a network with a layer 'between', which this one does not have"):
        read_weights(network(), str(tmp_path / "x.h5")) if suffix == ".h5" else copy_weights(network(), deeper)


def test_copied_weights_must_be_finite() -> None:
    source = network()
    source.get_layer("norm").gamma.assign([np.nan] * 5)
    with pytest.raises(DoNotFit, match="layer 'norm' holds values that are not finite"):
        copy_weights(network(), source)


def test_layers_of_a_model_inside_are_found() -> None:
    inner = with_other_weights(network())
    inputs = keras.Input((6,))
    outer = keras.Model(inputs, keras.layers.Dense(2, name="top")(inner(inputs)))
    target = network()
    copy_weights(target, outer)
    assert_equal(target, inner)
