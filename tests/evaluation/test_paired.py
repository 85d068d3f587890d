"""Paired comparisons against SciPy, closed forms and simulated null pairs."""

import numpy as np
import pytest
from scipy import stats

from dlcli.evaluation.paired import (
    SEED,
    compare_classes,
    compare_samples,
    compare_seeds,
    detectable,
    deviation,
    holm,
    mcnemar,
    runs_needed,
)

NULL_PAIRS = 1000


def test_mcnemar_is_the_throws_of_a_coin() -> None:
    assert mcnemar(8, 0) == pytest.approx(2 / 2**8)
    assert mcnemar(3, 3) == mcnemar(0, 0) == 1
    assert mcnemar(2, 9) == mcnemar(9, 2) == pytest.approx(2 * stats.binom.cdf(2, 11, 0.5))


@pytest.mark.parametrize("is_right", [True, False])
def test_intervals_and_tests_are_those_of_scipy(is_right: bool) -> None:
    random = np.random.default_rng(1)
    one, other = random.random(80), random.random(80) + 0.1
    if is_right:
        one, other = one > 0.4, other > 0.4
    found = compare_samples(one, other)
    differences = other.astype(float) - one
    theirs = stats.bootstrap(
        (differences,), np.mean, n_resamples=10_000, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    assert found.interval == pytest.approx(theirs, abs=0.01)
    assert found.value == pytest.approx(differences.mean())
    assert found.num_units == 80
    if is_right:
        expected = mcnemar(int((one & ~other).sum()), int((other & ~one).sum()))
        assert (found.p, found.test) == (expected, "McNemar's exact test")
    else:
        permuted = stats.permutation_test(
            (other, one), lambda x, y, axis: (x - y).mean(axis=axis), permutation_type="samples", vectorized=True
        )
        assert found.p == pytest.approx(permuted.pvalue, abs=0.03)
    assert found == compare_samples(one, other)  # the same seed
    assert SEED == 0


def test_all_signs_of_six_equal_differences() -> None:
    found = compare_samples(np.full(6, 0.5), np.full(6, 0.4))
    assert found.p == pytest.approx(2 / 2**6, abs=0.005)
    assert found.interval == pytest.approx((-0.1, -0.1))


def test_samples_of_a_group_count_together() -> None:
    """Words of a sentence that are all right or all wrong say as much as one."""
    random = np.random.default_rng(0)
    sentences = np.repeat(np.arange(40), 25)
    one = np.repeat(random.random(40) > 0.5, 25)
    other = np.repeat(random.random(40) > 0.4, 25)
    together = compare_samples(one, other, sentences)
    alone = compare_samples(one[::25].astype(float), other[::25].astype(float))
    assert together.num_units == 40
    assert together.interval == pytest.approx(alone.interval, abs=0.02)
    assert together.p == pytest.approx(alone.p, abs=0.02)
    assert (compare_samples(one, other).p or 0) < (together.p or 0)  # as if the words were independent


def test_seeds_are_compared_as_by_scipy() -> None:
    one, other = [0.81, 0.84, 0.79], [0.91, 0.90, 0.935, 0.88]
    found = compare_seeds(one, other)
    theirs = stats.ttest_ind(other, one, equal_var=False)
    assert found.p == pytest.approx(theirs.pvalue)
    assert found.interval == pytest.approx(tuple(theirs.confidence_interval(0.95)))
    assert found.is_evidence
    single = compare_seeds([0.8], other)
    assert (single.interval, single.p, single.is_evidence) == (None, None, False)
    same = compare_seeds([0.5, 0.5], [0.5, 0.5])
    assert (same.interval, same.p, same.is_evidence) == ((0.0, 0.0), 1.0, False)
    rounded = compare_seeds([0.1, 0.1, 0.1], [0.1, 0.1, 0.1])  # whose mean is not 0.1
    assert (rounded.interval, rounded.p) == ((0.0, 0.0), 1.0)


def test_equal_values_have_no_deviation() -> None:
    assert deviation([0.1, 0.1, 0.1]) == 0.0
    assert deviation([1.0, 2.0, 3.0]) == 1.0
    assert deviation([0.1]) is None


def test_a_detectable_difference_is_found_four_times_in_five() -> None:
    random = np.random.default_rng(3)
    error = np.sqrt(2 / 30)
    shift = detectable(error, 58)
    one, other = random.normal(size=(4000, 30)), random.normal(size=(4000, 30)) + shift
    p = stats.ttest_ind(one, other, axis=1).pvalue
    assert np.mean(p < 0.05) == pytest.approx(0.8, abs=0.03)


def test_the_number_of_runs_that_a_difference_needs() -> None:
    found = compare_seeds([0.80, 0.84], [0.83, 0.85])
    assert found.needed is not None
    one, other = np.std([0.80, 0.84], ddof=1), np.std([0.83, 0.85], ddof=1)
    for number, is_enough in ((found.needed, True), (found.needed - 1, False)):
        freedom = (number - 1) * (one**2 + other**2) ** 2 / (one**4 + other**4)
        assert bool(detectable(np.sqrt((one**2 + other**2) / number), freedom) <= found.value) is is_enough
    assert runs_needed(0.5, 0.1, 0.0) == 3
    assert runs_needed(0.0, 1.0, 1.0) is None
    assert runs_needed(1e-6, 1.0, 1.0) is None


def test_holm_multiplies_by_the_number_of_tests_that_are_left() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.9, 0.8]) == pytest.approx([1.0, 1.0])
    assert holm([]) == []


def test_classes_are_tested_one_by_one() -> None:
    labels = np.array(["a"] * 10 + ["b"] * 10)
    one, other = np.array([True] * 20), np.array([True] * 10 + [False] * 10)
    same, worse = compare_classes(labels, one, other)
    assert (same["class"], same["samples"], same["one"], same["other"], same["p"]) == ("a", 10, 1, 1, 1)
    assert (worse["one"], worse["other"]) == (1, 0)
    assert worse["p_corrected"] == pytest.approx(2 * worse["p"]) == pytest.approx(4 / 2**10)


@pytest.mark.slow
def test_five_percent_of_null_pairs_are_called_different() -> None:
    random = np.random.default_rng(5)
    found = {"right": 0, "scores": 0, "seeds": 0}
    for _ in range(NULL_PAIRS):
        right, scores = random.random((2, 60)) < 0.6, random.normal(size=(2, 40))
        found["right"] += compare_samples(*right).is_evidence
        found["scores"] += compare_samples(*scores).is_evidence
        found["seeds"] += compare_seeds(*random.normal(size=(2, 5)).tolist()).is_evidence
    assert 0.01 < found["right"] / NULL_PAIRS < 0.06  # an exact test of few counts is conservative
    assert 0.03 < found["scores"] / NULL_PAIRS < 0.07
    assert 0.03 < found["seeds"] / NULL_PAIRS < 0.07
