"""Checks of methods on outputs of tokens, by a linear network whose shares are known."""

import contextlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import tensorflow as tf

from dlcli.errors import InputError
from dlcli.explanation.sequences.attribution import Attribution, gradient_x_input
from dlcli.explanation.sequences.scores import Scores
from dlcli.tasks.explanation import FAILED, PASSED, means_of_samples
from dlcli.tasks.sequences.token_check import TokenSample, TokensToCheck, check_methods

WEIGHTS = tf.Variable(np.random.default_rng(0).normal(size=8), dtype=tf.float32)


def outputs(points: Any) -> Any:
    """The number of a text: the sum of its words times the weight of each feature."""
    return tf.einsum("bsw,w->b", points, WEIGHTS)[:, None, None]


def same(scores: Scores, points: Any, starts: Any, choices: Any) -> Attribution:
    """A method that knows nothing of the weights."""
    return Attribution(points.astype(np.float64))


@contextlib.contextmanager
def randomized(part: str, seed: int) -> Iterator[None]:
    before = WEIGHTS.numpy()
    WEIGHTS.assign(np.random.default_rng(seed + 9).normal(size=8))
    yield
    WEIGHTS.assign(before)


def sample(number: int, num_tokens: int) -> TokenSample:
    points = np.random.default_rng(number).normal(size=(num_tokens, 8)).astype(np.float32)
    return TokenSample(
        choices=np.zeros((2, 2), np.int32),
        vectors=lambda: (points, np.zeros_like(points)),
        orders={"backward": np.tile(np.arange(num_tokens, dtype=np.float64), (2, 1))},
        is_free=np.stack([np.zeros(num_tokens, bool), np.arange(num_tokens) > 0]),  # of the first output none
    )


def check(samples: list[TokenSample], *, is_number: bool) -> dict[str, Any]:
    scores = Scores(outputs, 8, 1, is_class=False)
    given = TokensToCheck(samples, randomized, "sentences", "test", len(samples), is_number=is_number)
    methods = {"gradient-x-input": gradient_x_input, "same": same}
    return check_methods(scores, methods, given, steps=None, progress=lambda *_: None)


@pytest.mark.parametrize("is_number", [False, True])
def test_a_method_that_is_exact_passes_and_one_without_weights_fails(is_number: bool) -> None:
    samples = [*(sample(number, 12) for number in range(10)), sample(10, 1)]  # a single word: nothing can be hidden
    found = check(samples, is_number=is_number)
    assert found["sentences"] == 10
    verdicts = {name: of_method["verdict"] for name, of_method in found["randomization"]["methods"].items()}
    assert verdicts == {"gradient-x-input": PASSED, "same": FAILED}
    assert found["randomization"]["methods"]["same"]["all"]["mean"] == pytest.approx(1)
    assert list(found["insertion"]) == list(found["deletion"]) == ["gradient-x-input", "same", "random", "backward"]
    assert {of["n"] for of in found["insertion"].values()} == {10}
    if not is_number:  # the exact shares, signed, have the largest and the smallest area of all
        for naive in ("same", "random", "backward"):
            assert found["insertion"]["gradient-x-input"]["mean"] > found["insertion"][naive]["mean"]
            assert found["deletion"]["gradient-x-input"]["mean"] < found["deletion"][naive]["mean"]


def test_samples_that_are_too_short_are_refused() -> None:
    with pytest.raises(InputError, match="--check: requires sentences with at least 3 tokens"):
        check([sample(0, 3), sample(1, 1)], is_number=False)


def test_the_mean_of_a_sample_ignores_outputs_without_a_value() -> None:
    values, owners = np.array([1.0, np.nan, 3.0, 5.0, np.nan]), np.array([0, 0, 1, 1, 2])
    assert means_of_samples(values, owners).tolist() == [1.0, 4.0]
