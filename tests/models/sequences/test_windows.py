"""Windows over sequences against loops: their steps, what is pooled, and independence of padding."""

import keras
import numpy as np
import pytest

from dlcli.models.sequences.windows import pooled_windows, windows

LENGTHS = (1, 4, 5, 8, 11)


def batch_of(lengths: tuple[int, ...], width: int) -> tuple[np.ndarray, np.ndarray]:
    x = np.random.default_rng(1).normal(size=(len(lengths), width, 2)).astype(np.float32)
    return x, np.arange(width) < np.array(lengths)[:, None]


def expected(x: np.ndarray, n: int, length: int, stride: int, pool: str) -> np.ndarray:
    starts = [start for start in range(0, n, stride) if start == 0 or start - stride + length < n]
    sums = [x[start : min(start + length, n)].sum(axis=0) for start in starts]
    return np.asarray(np.mean(sums, axis=0) if pool == "mean" else np.max(sums, axis=0))


@pytest.mark.parametrize(("length", "stride"), [(4, 4), (4, 2), (4, 3), (3, 1), (20, 10)])
@pytest.mark.parametrize("pool", ["mean", "max"])
def test_the_sums_of_windows_are_pooled(length: int, stride: int, pool: str) -> None:
    inputs, mask = keras.Input((None, 2)), keras.Input((None,), dtype="bool")
    steps, is_step, index = windows(inputs, mask, length=length, stride=stride)
    vectors = keras.ops.sum(keras.ops.where(is_step[..., None], steps, 0.0), axis=1)
    pooled = pooled_windows(vectors, index, mask, length=length, stride=stride, pool=pool)  # type: ignore[arg-type]
    model = keras.Model([inputs, mask], [pooled, steps, is_step])
    for width in (11, 17):
        x, is_known = batch_of(LENGTHS, width)
        found, of_windows, is_step_of = (np.asarray(part) for part in model([x, is_known]))
        wanted = [expected(row, n, length, stride, pool) for row, n in zip(x, LENGTHS, strict=True)]
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-6)
        assert of_windows.shape[1] == min(length, width)
        assert is_step_of[:, 0].all()
    alone = np.asarray(model([x[1:2, :4], is_known[1:2, :4]])[0])
    np.testing.assert_allclose(alone, found[1:2], rtol=1e-5)
