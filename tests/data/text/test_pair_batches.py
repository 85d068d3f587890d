"""Batches of pairs of texts, with teacher forcing."""

from typing import Any

import numpy as np
import tensorflow as tf

from dlcli.data.sequences.ragged import Ragged
from dlcli.data.text.pair_batches import PairBatches


def batches(forcing: Any = None, seed: int | None = 3) -> PairBatches:
    rng = np.random.default_rng(0)
    given = Ragged.join([rng.integers(2, 9, rng.integers(1, 7)).astype(np.int32) for _ in range(50)])
    wanted = Ragged.join([np.array([*row[:2], 0], np.int32) for row in (given[i] for i in range(50))])
    return PairBatches(given=given, wanted=wanted, begin=99, batch_size=8, seed=seed, forcing=forcing)


def of_epoch(data: PairBatches, epoch: int) -> list[dict[str, Any]]:
    source = data.source(epoch)
    return [data.assemble(data.element(source, tf.constant(step, tf.int64))) for step in range(data.num_steps)]


def test_the_decoder_input_is_the_target_shifted_by_one() -> None:
    data = batches()
    seen: list[int] = []
    for batch in of_epoch(data, 0):
        x, y = batch["x"], batch["y"]
        seen += batch["index"].numpy().tolist()
        for i, index in enumerate(batch["index"].numpy()):
            length = int(data.lengths[index])
            wanted = [*x["given"][i, : min(2, length)].numpy(), 0]
            assert not x["given"][i, length:].numpy().any()
            assert y["tags"][i, : len(wanted)].numpy().tolist() == wanted
            assert y["mask"][i].numpy().sum() == len(wanted)
            assert x["before"][i, : len(wanted)].numpy().tolist() == [99, *wanted[:-1]]
        assert x["forced"].numpy().all()
        assert x["forced"].shape == x["before"].shape
    assert sorted(seen) == list(range(50))


def test_teacher_forcing_is_drawn_by_epoch_and_step() -> None:
    data = batches(forcing=lambda epoch: 1.0 - epoch / 4)
    shares = [np.mean([batch["x"]["forced"].numpy().mean() for batch in of_epoch(data, epoch)]) for epoch in range(5)]
    np.testing.assert_allclose(shares, [1.0, 0.75, 0.5, 0.25, 0.0], atol=0.12)
    first, again = of_epoch(data, 2), of_epoch(data, 2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["x"]["forced"].numpy(), b["x"]["forced"].numpy())
    assert (first[0]["x"]["forced"].numpy() != first[1]["x"]["forced"].numpy()).any()
