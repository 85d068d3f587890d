"""Nearest neighbors by cosine similarity, against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics.pairwise import cosine_similarity

from dlcli.evaluation import neighbors


@pytest.mark.parametrize("rows", [1024, 7])
def test_neighbors_are_those_of_scikit_learn(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(neighbors, "ROWS", rows)
    vectors = np.random.default_rng(0).normal(size=(20, 5)).astype(np.float32)
    expected = cosine_similarity(vectors)
    np.fill_diagonal(expected, -2)
    positions, similarities = neighbors.nearest(vectors, 4)
    np.testing.assert_array_equal(positions, np.argsort(-expected, axis=1)[:, :4])
    np.testing.assert_allclose(similarities, -np.sort(-expected, axis=1)[:, :4], atol=1e-6)


def test_few_vectors_and_those_of_zeros() -> None:
    positions, similarities = neighbors.nearest(np.zeros((3, 2), np.float32), 5)
    assert positions.tolist() == [[1, 2], [0, 2], [0, 1]]
    assert not similarities.any()
    assert neighbors.nearest(np.ones((1, 2), np.float32), 5)[0].shape == (1, 0)
