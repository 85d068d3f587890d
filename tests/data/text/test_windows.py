"""Windows of a long text: every token is predicted once, from the text before it."""

from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.text.windows import TextWindows, one_after_another, overlapping, side_by_side


def batches(data: TextWindows, epoch: int = 0) -> list[dict[str, Any]]:
    source = data.source(epoch)
    return [data.assemble(data.element(source, tf.constant(step, tf.int64))) for step in range(data.num_steps)]


def counted_pairs(data: TextWindows, epoch: int = 0) -> list[tuple[int, int]]:
    """Pairs of a token and the next one, of those that enter the loss."""
    pairs = []
    for batch in batches(data, epoch):
        x = batch["x"]["ids"] if isinstance(batch["x"], dict) else batch["x"]
        counts = batch["y"]["mask"].numpy() > 0
        pairs += list(zip(x.numpy()[counts].tolist(), batch["y"]["tags"].numpy()[counts].tolist(), strict=True))
    return pairs


@pytest.mark.parametrize("num", [2, 3, 10, 11, 37, 100, 101])
@pytest.mark.parametrize("window", [1, 2, 5, 10])
def test_evaluation_counts_each_token_once_with_half_a_window_of_context(num: int, window: int) -> None:
    ids = np.arange(1, num + 1, dtype=np.int32)
    data = TextWindows(ids, window=window, batch_size=4, places=overlapping(num, window=window))
    assert counted_pairs(data) == [(i, i + 1) for i in range(1, num)]
    for batch in batches(data):
        for x, mask in zip(batch["x"].numpy(), batch["y"]["mask"].numpy(), strict=True):
            first = int(mask.argmax())
            assert x[0] == 1 or first >= window - max(1, window // 2)


@pytest.mark.parametrize(("num", "streams", "window"), [(41, 4, 3), (40, 4, 5), (11, 8, 2), (100, 1, 7), (9, 8, 100)])
def test_each_stream_continues_in_the_next_batch(num: int, streams: int, window: int) -> None:
    ids = np.arange(1, num + 1, dtype=np.int32)
    places = side_by_side(num, window=window, streams=streams)
    data = TextWindows(ids, window=window, batch_size=streams, places=places, is_carried=True)
    assert sorted(counted_pairs(data)) == [(i, i + 1) for i in range(1, num)]
    all_of = batches(data)
    assert [bool(batch["x"]["is_first"].numpy().all()) for batch in all_of] == [True] + [False] * (len(all_of) - 1)
    assert not any(batch["x"]["is_first"].numpy().any() for batch in all_of[1:])
    for row in range(streams):
        said = np.concatenate([batch["x"]["ids"].numpy()[row] for batch in all_of])
        said = said[said > 0]
        assert said.tolist() == list(range(said[0], said[0] + len(said))) if len(said) else True


def test_training_windows_are_drawn_again_in_each_epoch() -> None:
    ids = np.arange(1, 102, dtype=np.int32)
    data = TextWindows(ids, window=10, batch_size=3, places=one_after_another(101, window=10), seed=5)
    epochs = [counted_pairs(data, epoch) for epoch in range(6)]
    assert all(after == before + 1 for pairs in epochs for before, after in pairs)
    assert epochs[0] == counted_pairs(data, 0)
    assert epochs[0] != epochs[1]
    assert all(len(set(pairs)) == len(pairs) == 90 for pairs in epochs)
    assert len({min(pairs) for pairs in epochs}) > 1  # not only the same windows in another order


def test_a_short_text_is_one_window() -> None:
    ids = np.arange(1, 5, dtype=np.int32)
    data = TextWindows(ids, window=10, batch_size=3, places=one_after_another(4, window=10), seed=0)
    assert counted_pairs(data, 3) == [(1, 2), (2, 3), (3, 4)]
