"""The copy tasks: their sequences, and batches that can be remade from any step."""

import numpy as np

from dlcli.data.synthetic.copy_tasks import TRAIN, VALIDATION, CopyTask, MadeBatches


def test_a_sequence_is_bits_a_delimiter_and_blanks() -> None:
    task = CopyTask(lengths=(1, 5), bits=4, repeats=None, seed=0)
    x, bits, asked = task.make(7, 3, 1, np.random.default_rng(0))
    assert x.shape == (7, 7, 5)
    assert set(np.unique(x[:, :3, :4])) == {0.0, 1.0}
    assert (x[:, 3] == [0, 0, 0, 0, 1]).all()
    assert not x[:, 4:].any()
    np.testing.assert_array_equal(bits[:, 4:], x[:, :3, :4])
    assert asked.tolist() == [[0, 0, 0, 0, 1, 1, 1]] * 7


def test_a_repeated_sequence_encodes_the_number_of_repeats() -> None:
    task = CopyTask(lengths=(1, 5), bits=4, repeats=(1, 4), seed=0)
    x, bits, asked = task.make(2, 2, 3, np.random.default_rng(0))
    assert x.shape == (2, 9, 5)
    assert (x[:, 2, 4] == 0.75).all()
    np.testing.assert_array_equal(bits[:, 3:], np.concatenate([x[:, :2, :4]] * 3, axis=1))
    assert asked.sum(axis=1).tolist() == [6, 6]


def test_epochs_differ_and_can_be_remade_from_any_step() -> None:
    task = CopyTask(lengths=(1, 6), bits=4, repeats=(1, 2), seed=3)
    data = MadeBatches(task, part=TRAIN, num_samples=50, batch_size=8)
    again = MadeBatches(task, part=TRAIN, num_samples=50, batch_size=8)
    assert data.num_steps == 7
    lengths = {data.make(0, step)[0].shape[1] for step in range(7)}
    assert len(lengths) > 2
    assert len(data.make(0, 6)[0]) == 2
    for step in (3, 5):
        np.testing.assert_array_equal(data.make(1, step)[0], again.make(1, step)[0])
    assert not np.array_equal(data.make(0, 3)[0], data.make(1, 3)[0])
    held_out = MadeBatches(task, part=VALIDATION, num_samples=50, batch_size=8)
    np.testing.assert_array_equal(held_out.make(0, 3)[0], held_out.make(5, 3)[0])
