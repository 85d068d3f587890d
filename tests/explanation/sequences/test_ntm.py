"""What a Neural Turing Machine reads and writes: the trace of its steps, and the lag of agreement."""

from typing import Any

import keras
import numpy as np
import pytest

from dlcli.explanation.network import NotExplainable
from dlcli.explanation.sequences.ntm import MemoryTrace, best_lag, trace_memory
from dlcli.models.sequences import ntm, series_input

HEADS, ROWS, WIDTH = 2, 6, 3


def machine() -> keras.Model:
    keras.utils.set_random_seed(1)
    values = keras.Input((None, 2))
    x, mask = series_input.standardized(values, mean=np.zeros(2), variance=np.ones(2))
    options: dict[str, Any] = {"controller": "dense", "units": 4, "memory": (ROWS, WIDTH)}
    steps = ntm.steps(x, mask, **options, read_heads=HEADS, write_heads=1, shift=1)
    model = keras.Model(values, steps)
    rng = np.random.default_rng(0)
    model.set_weights([rng.normal(size=weight.shape, scale=0.7) for weight in model.get_weights()])
    return model


def test_what_is_traced_is_what_the_network_does() -> None:
    model, x = machine(), np.random.default_rng(2).normal(size=(3, 5, 2)).astype(np.float32)
    trace = trace_memory(model, x)
    assert trace.reads.shape == (3, 5, HEADS, ROWS)
    assert trace.writes.shape == (3, 5, 1, ROWS)
    np.testing.assert_allclose(trace.reads.sum(axis=-1), 1, rtol=1e-5)
    before = np.concatenate([np.full((3, 1, ROWS, WIDTH), ntm.FIRST_MEMORY), trace.memory[:, :-1]], axis=1)
    read = (trace.reads @ before).reshape(3, 5, -1)  # equation 2
    np.testing.assert_allclose(np.asarray(model(x))[..., -HEADS * WIDTH :], read, rtol=1e-4, atol=1e-6)


def test_the_lag_at_which_written_rows_are_read() -> None:
    rows, steps, length, lag = 8, 9, 3, 5
    reads, writes = np.full((2, steps, 2, rows), 0.05, np.float32), np.full((2, steps, 1, rows), 0.05, np.float32)
    for step in range(length):
        writes[:, step, 0, 2 + step] = 0.65
        reads[:, step + lag, 1, 2 + step] = 0.65
    reads[1, lag, 1] = np.eye(rows)[0]  # one row of the second sequence is read wrongly
    found = best_lag(MemoryTrace(reads, writes, np.zeros((2, steps, rows, 1), np.float32)), num_written=length)
    assert (found.lag, found.read_head, found.write_head) == (lag, 2, 1)
    assert found.same_rows.tolist() == [3, 2]
    right, wrong = 0.65**2 + 7 * 0.05**2, 0.05
    assert found.agreement == pytest.approx((5 * right + wrong) / 6, rel=1e-5)
    assert found.of_others < 0.12


def test_other_networks_are_refused() -> None:
    model = keras.Sequential([keras.Input((None, 2)), keras.layers.LSTM(3)])
    with pytest.raises(NotExplainable, match="not a Neural Turing Machine"):
        trace_memory(model, np.zeros((1, 4, 2), np.float32))
