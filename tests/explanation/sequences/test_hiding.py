"""Hiding the tokens that an explanation ranks first."""

import numpy as np
import pytest

from dlcli.explanation.sequences.hiding import num_hidden, turned


def majority(texts: list[np.ndarray]) -> np.ndarray:
    """Class 1 if most tokens are 7; the hidden token is 1."""
    return np.array([(ids == 7).mean() > 0.3 for ids in texts], np.int32)


def test_hiding_the_decisive_tokens_turns_a_prediction() -> None:
    texts = [np.array([7, 7, 5, 5, 5] * 2, np.int32)] * 2
    good, bad = (np.array([value(token) for token in texts[0]]) for value in (float, lambda token: -float(token)))
    found = turned(majority, texts, np.array([1, 1]), [good, bad], hidden=1)
    assert found.tolist() == [True, False]
    assert [ids.tolist() for ids in texts] == [[7, 7, 5, 5, 5] * 2] * 2, "the texts must not change"


def test_ties_are_hidden_in_random_order() -> None:
    texts = [np.array([7] * 4 + [5] * 6, np.int32)] * 400
    found = turned(majority, texts, np.ones(400, np.int32), [np.zeros(10)] * 400, hidden=1)
    # the prediction turns if a 7 is among the two that are hidden
    assert found.mean() == pytest.approx(1 - 6 / 10 * 5 / 9, abs=0.07)


@pytest.mark.parametrize(("tokens", "hidden"), [(1, 1), (5, 1), (7, 1), (8, 2), (50, 10)])
def test_number_of_hidden_tokens(tokens: int, hidden: int) -> None:
    assert num_hidden(tokens) == hidden
