"""A long text divided by place, and its windows: every token is foreseen once, from what stands before it."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.data.text.corpus import read_long_text
from dlcli.data.text.windows import TextWindows, one_after_another, overlapping, side_by_side
from dlcli.errors import InputError


def read(path: Path, **keys: Any) -> Any:
    common = {"validation_path": None, "test_path": None, "validation": None, "test": None, "encoding": "utf-8"}
    return read_long_text(path=path, **(common | keys))


def batches(data: TextWindows, epoch: int = 0) -> list[dict[str, Any]]:
    source = data.source(epoch)
    return [data.assemble(data.element(source, tf.constant(step, tf.int64))) for step in range(data.num_steps)]


def foreseen(data: TextWindows, epoch: int = 0) -> list[tuple[int, int]]:
    """Pairs of a token and what follows, of those that count."""
    pairs = []
    for batch in batches(data, epoch):
        x = batch["x"]["ids"] if isinstance(batch["x"], dict) else batch["x"]
        counts = batch["y"]["mask"].numpy() > 0
        pairs += list(zip(x.numpy()[counts].tolist(), batch["y"]["tags"].numpy()[counts].tolist(), strict=True))
    return pairs


def test_the_text_is_divided_by_place(tmp_path: Path) -> None:
    text = "".join(chr(97 + i % 26) for i in range(1000))
    (tmp_path / "a.txt").write_text(text)
    dataset = read(tmp_path / "a.txt")
    assert [len(part) for part in dataset.splits.values()] == [850, 50, 100]
    assert "".join(part.text for part in dataset.splits.values()) == text
    assert dataset.splits["test"].place == "a.txt, characters 901 to 1,000"
    rows = dataset.split_rows()
    assert [row["split"] for row in rows] == ["train", "validation", "test"]
    (tmp_path / "a.txt").write_text(text[:-1] + "!")
    assert read(tmp_path / "a.txt").fingerprint() != dataset.fingerprint()


def test_other_files_are_other_splits(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / f"{name}.txt").write_text(name * 10 + "\r\n")
    dataset = read(tmp_path / "a.txt", validation_path=tmp_path / "b.txt", test_path=tmp_path / "c.txt")
    assert [part.text for part in dataset.splits.values()] == [f"{name * 10}\n" for name in "abc"]


@pytest.mark.parametrize(
    ("content", "keys", "message"),
    [
        (b" \n\n", {}, "there must be text. Received an empty file."),
        (b"abc\xff", {}, "a.txt:1: the text must be UTF-8 text. Received byte 0xff"),
        (b"ab\0c", {}, "Received a null character"),
        (b"a", {"validation": 0.0, "test": 0.6}, "there must be text to train on"),
    ],
)
def test_what_is_no_text_is_refused(tmp_path: Path, content: bytes, keys: dict[str, Any], message: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    with pytest.raises(InputError, match=message.replace(".", r"\.")):
        read(tmp_path / "a.txt", **keys)


@pytest.mark.parametrize("num", [2, 3, 10, 11, 37, 100, 101])
@pytest.mark.parametrize("window", [1, 2, 5, 10])
def test_measuring_takes_each_token_once_with_half_a_window_before_it(num: int, window: int) -> None:
    ids = np.arange(1, num + 1, dtype=np.int32)
    data = TextWindows(ids, window=window, batch_size=4, places=overlapping(num, window=window))
    assert foreseen(data) == [(i, i + 1) for i in range(1, num)]
    for batch in batches(data):
        for x, mask in zip(batch["x"].numpy(), batch["y"]["mask"].numpy(), strict=True):
            first = int(mask.argmax())
            assert x[0] == 1 or first >= window - max(1, window // 2)


@pytest.mark.parametrize(("num", "streams", "window"), [(41, 4, 3), (40, 4, 5), (11, 8, 2), (100, 1, 7), (9, 8, 100)])
def test_side_by_side_each_stream_goes_on_where_it_was(num: int, streams: int, window: int) -> None:
    ids = np.arange(1, num + 1, dtype=np.int32)
    places = side_by_side(num, window=window, streams=streams)
    data = TextWindows(ids, window=window, batch_size=streams, places=places, is_carried=True)
    assert sorted(foreseen(data)) == [(i, i + 1) for i in range(1, num)]
    all_of = batches(data)
    assert [bool(batch["x"]["is_first"].numpy().all()) for batch in all_of] == [True] + [False] * (len(all_of) - 1)
    assert not any(batch["x"]["is_first"].numpy().any() for batch in all_of[1:])
    for row in range(streams):
        said = np.concatenate([batch["x"]["ids"].numpy()[row] for batch in all_of])
        said = said[said > 0]
        assert said.tolist() == list(range(said[0], said[0] + len(said))) if len(said) else True


def test_training_draws_the_places_anew_in_each_epoch() -> None:
    ids = np.arange(1, 102, dtype=np.int32)
    data = TextWindows(ids, window=10, batch_size=3, places=one_after_another(101, window=10), seed=5)
    epochs = [foreseen(data, epoch) for epoch in range(6)]
    assert all(after == before + 1 for pairs in epochs for before, after in pairs)
    assert epochs[0] == foreseen(data, 0)
    assert epochs[0] != epochs[1]
    assert all(len(set(pairs)) == len(pairs) == 90 for pairs in epochs)
    assert len({min(pairs) for pairs in epochs}) > 1  # not the same places in another order


def test_a_text_shorter_than_a_window_is_one() -> None:
    ids = np.arange(1, 5, dtype=np.int32)
    data = TextWindows(ids, window=10, batch_size=3, places=one_after_another(4, window=10), seed=0)
    assert foreseen(data, 3) == [(1, 2), (2, 3), (3, 4)]
