"""Probabilities on disk: batches in any order, and an .npz that NumPy reads."""

from pathlib import Path

import numpy as np

from dlcli.tasks.probability_file import ProbabilityFile


def test_batches_in_any_order_are_saved_in_the_order_of_the_samples(tmp_path: Path) -> None:
    probabilities = np.random.default_rng(0).random((7, 300)).astype(np.float32)
    kept = ProbabilityFile(tmp_path, num_samples=7, num_classes=300)
    for index in ([5, 6], [0, 3], [4, 2, 1]):
        kept.write(np.array(index), probabilities[index])
    assert list(tmp_path.iterdir()) == []  # nothing that a kill would leave behind
    kept.save(tmp_path / "p.npz", {"label": np.arange(7), "file": np.array(["ä", "b"])})
    with np.load(tmp_path / "p.npz", allow_pickle=False) as archive:
        np.testing.assert_array_equal(archive["probabilities"], probabilities)
        assert archive["probabilities"].dtype == np.float32
        assert archive["label"].tolist() == list(range(7))
        assert archive["file"].tolist() == ["ä", "b"]
