"""Attention weights against the softmax of queries and keys, computed from the layers' weights."""

import keras
import numpy as np

from dlcli.explanation.sequences.attention import attention_of, read_by_heads, read_by_steps
from dlcli.models.sequences import transformer
from dlcli.models.sequences.pooling import pooled

STEPS, FEATURES, HEADS = 4, 6, 2


def network(*, pooling: str) -> keras.Model:
    keras.utils.set_random_seed(1)
    values = keras.Input((STEPS, FEATURES))
    mask = keras.ops.any(keras.ops.not_equal(values, 0.0), axis=-1)
    options = {"units": FEATURES, "heads": HEADS, "layers": 2, "feed_forward": 5, "causal": False, "dropout": 0.0}
    return keras.Model(values, pooled(transformer.steps(values, mask, **options), mask, pooling=pooling))


def test_weights_are_the_softmax_of_queries_and_keys() -> None:
    model = network(pooling="attention")
    values = np.random.default_rng(0).normal(size=(1, STEPS, FEATURES)).astype(np.float32)
    values[0, 3] = 0.0  # padding
    found = attention_of(model)
    assert found is not None
    weights = found(values)
    layer = model.get_layer("attention1")
    x = np.asarray(keras.Model(model.input, model.get_layer("attention1_norm").output)(values))[0]
    queries, keys = (
        np.einsum("sf,fhd->hsd", x, dense.kernel.numpy()) + dense.bias.numpy()[:, None]
        for dense in (layer._query_dense, layer._key_dense)
    )
    scores = np.exp(np.einsum("hqd,hkd->hqk", queries, keys) / np.sqrt(FEATURES / HEADS))[:, :3, :3]
    expected = scores / scores.sum(axis=-1, keepdims=True)
    heads = read_by_heads(weights, 3)
    assert list(heads) == [*(f"block {block} head {head}" for block in (1, 2) for head in (1, 2)), "pooling"]
    np.testing.assert_allclose(heads["block 1 head 2"], expected[1].mean(axis=0), atol=1e-5)
    for of_head in heads.values():
        np.testing.assert_allclose(of_head.sum(), 1, atol=1e-5)
    by_steps = read_by_steps({"attention1": weights["attention1"]}, 3)
    np.testing.assert_allclose(by_steps, expected.mean(axis=0), atol=1e-5)


def test_networks_without_attention() -> None:
    values = keras.Input((STEPS, FEATURES))
    assert attention_of(keras.Model(values, keras.layers.GRU(2)(values))) is None
    pooling_alone = {"attention_weights": np.array([[[0.25], [0.75]]])}
    assert read_by_steps(pooling_alone, 2) is None
    np.testing.assert_allclose(read_by_heads(pooling_alone, 2)["pooling"], [0.25, 0.75])
