"""Pairs of texts from files, sums that are made, and their batches."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.sequences.ragged import Ragged
from dlcli.data.synthetic.addition import make_addition
from dlcli.data.text.pair_batches import PairBatches
from dlcli.data.text.pairs import read_pairs_csv, read_pairs_tsv
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.2, "test": 0.2, "split_seed": 0, "limit": None, "allow_leakage": False}
TABLE: dict[str, Any] = {"source": "en", "target": "fr", "split": None, "group": None, "encoding": "utf-8"}


def test_a_line_is_a_pair(tmp_path: Path) -> None:
    lines = [f"go {i}\tva {i}\tCC-BY\r" for i in range(20)]
    (tmp_path / "a.txt").write_text("\n".join([*lines, "", "alone\t", "\tnothing\n"]))
    dataset = read_pairs_tsv(path=tmp_path / "a.txt", encoding="utf-8", **COMMON)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 12, "validation": 4, "test": 4}
    for part in dataset.splits.values():
        assert part.texts is not None
        assert part.answers is not None
        assert [text.replace("go", "va") for text in part.texts] == list(part.answers)
    assert {left.reason for left in dataset.left_out} == {"an empty text", "an empty target"}
    assert {row["label"] for row in dataset.split_rows()} == {f"va {i}" for i in range(20)}


def test_lines_without_a_tab_are_told_together(tmp_path: Path) -> None:
    (tmp_path / "a.tsv").write_text("a\tb\nno tab\nc\td\nneither\n")
    with pytest.raises(InputError) as caught:
        read_pairs_tsv(path=tmp_path / "a.tsv", encoding="utf-8", **COMMON)
    assert "a.tsv:2: there must be a tab between source and target. Received 'no tab'." in str(caught.value)
    assert "a.tsv:4" in str(caught.value)


def test_one_text_with_two_answers_is_on_one_side(tmp_path: Path) -> None:
    rows = [f"word {i % 10},mot {i}" for i in range(40)]
    (tmp_path / "a.csv").write_text("\n".join(["en,fr", *rows]))
    dataset = read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)
    sides = [set(part.texts or ()) for part in dataset.splits.values()]
    assert sum(map(len, sides)) == len(set.union(*sides)) == 10


def test_a_table_without_the_column_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("en,de\na,b\n")
    with pytest.raises(InputError, match="fr"):
        read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)
    (tmp_path / "a.csv").write_text("en,fr\n,\n")
    with pytest.raises(InputError, match="there must be pairs to train on"):
        read_pairs_csv(path=tmp_path / "a.csv", **TABLE, **COMMON)


def test_sums_are_right_and_there_once() -> None:
    dataset = make_addition(digits=2, num_samples=500, seed=0, **COMMON)
    pairs = [
        (text, answer)
        for part in dataset.splits.values()
        for text, answer in zip(part.texts or (), part.answers or (), strict=True)
    ]
    assert len(pairs) == 500
    numbers = [tuple(sorted(map(int, text.split("+")))) for text, _ in pairs]
    assert len(set(numbers)) == 500
    assert all(sum(pair) == int(answer) for pair, (_, answer) in zip(numbers, pairs, strict=True))
    assert max(max(pair) for pair in numbers) <= 99
    again = make_addition(digits=2, num_samples=500, seed=0, **COMMON)
    assert again.fingerprint() == dataset.fingerprint()
    assert make_addition(digits=2, num_samples=500, seed=1, **COMMON).fingerprint() != dataset.fingerprint()


def batches(forcing: Any = None, seed: int | None = 3) -> PairBatches:
    rng = np.random.default_rng(0)
    given = Ragged.join([rng.integers(2, 9, rng.integers(1, 7)).astype(np.int32) for _ in range(50)])
    wanted = Ragged.join([np.array([*row[:2], 0], np.int32) for row in (given[i] for i in range(50))])
    return PairBatches(given=given, wanted=wanted, begin=99, batch_size=8, seed=seed, forcing=forcing)


def of_epoch(data: PairBatches, epoch: int) -> list[dict[str, Any]]:
    source = data.source(epoch)
    return [data.assemble(data.element(source, tf.constant(step, tf.int64))) for step in range(data.num_steps)]


def test_before_each_token_stands_the_one_before() -> None:
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


def test_what_is_told_is_drawn_by_epoch_and_step() -> None:
    data = batches(forcing=lambda epoch: 1.0 - epoch / 4)
    shares = [np.mean([batch["x"]["forced"].numpy().mean() for batch in of_epoch(data, epoch)]) for epoch in range(5)]
    np.testing.assert_allclose(shares, [1.0, 0.75, 0.5, 0.25, 0.0], atol=0.12)
    first, again = of_epoch(data, 2), of_epoch(data, 2)
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a["x"]["forced"].numpy(), b["x"]["forced"].numpy())
    assert (first[0]["x"]["forced"].numpy() != first[1]["x"]["forced"].numpy()).any()
