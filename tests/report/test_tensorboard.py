"""TensorBoard's event files, read back: a scalar for each column, and every epoch once after a resume."""

from pathlib import Path
from typing import Any

import pytest
import tensorflow as tf

from dlcli.report.tensorboard import TensorBoard


def row(epoch: int, **changes: Any) -> dict[str, Any]:
    return {"stage": "train", "epoch": epoch, "step": 10 * epoch, "train_loss": 1 / epoch, **changes}


def scalars(folder: Path) -> list[tuple[int, str, float]]:
    """Step, name and value of every scalar, in the order in which they were written."""
    found = []
    for path in sorted(folder.iterdir()):
        for record in tf.data.TFRecordDataset(str(path)):
            event = tf.compat.v1.Event.FromString(record.numpy())
            for value in event.summary.value:
                assert value.metadata.plugin_data.plugin_name == "scalars"
                found.append((event.step, value.tag, float(tf.make_ndarray(value.tensor))))
    return found


def test_every_column_but_stage_and_step_is_a_scalar(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "events")
    board.write(row(1))
    board.write(row(2, train_loss="0.25"))  # as it is read from a file
    board.close()
    assert scalars(tmp_path / "events") == [
        (10, "epoch", 1.0),
        (10, "train_loss", 1.0),
        (20, "epoch", 2.0),
        (20, "train_loss", 0.25),
    ]


def test_rewriting_leaves_every_epoch_once(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    for epoch in (1, 2, 3):
        board.write(row(epoch))
    board.rewrite([row(1), row(2)])
    board.write(row(3, train_loss=9.0))
    board.close()
    losses = [(step, value) for step, name, value in scalars(tmp_path) if name == "train_loss"]
    assert losses == [(10, 1.0), (20, 0.5), (30, 9.0)]


def test_without_a_row_there_is_no_file(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path / "events")
    board.rewrite([])
    board.close()
    board.close()  # a second time changes nothing
    assert not (tmp_path / "events").exists()


def test_what_is_no_number_is_an_error(tmp_path: Path) -> None:
    board = TensorBoard(tmp_path)
    with pytest.raises(ValueError, match="could not convert"):
        board.write(row(1, train_loss="much"))
    board.close()
