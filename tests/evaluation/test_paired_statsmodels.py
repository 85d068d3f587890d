"""Tests of significance against statsmodels on random cases."""

import numpy as np
import pytest

from dlcli.evaluation.paired import compare_seeds, detectable, holm, mcnemar, runs_needed

pytestmark = pytest.mark.slow  # the import takes seconds


def test_mcnemar() -> None:
    from statsmodels.stats.contingency_tables import mcnemar as theirs

    random = np.random.default_rng(0)
    for both, only_one, only_other, neither in random.integers(0, 40, (200, 4)):
        expected = theirs([[both, only_one], [only_other, neither]], exact=True).pvalue
        if only_one == only_other:
            expected = 1.0  # statsmodels counts the middle of the distribution twice
        assert mcnemar(int(only_one), int(only_other)) == pytest.approx(expected)


def test_welch() -> None:
    from statsmodels.stats.weightstats import CompareMeans, DescrStatsW

    random = np.random.default_rng(1)
    for _ in range(200):
        one = random.normal(scale=random.uniform(0.1, 3), size=random.integers(2, 9))
        other = random.normal(loc=random.uniform(-2, 2), size=random.integers(2, 9))
        found = compare_seeds(one.tolist(), other.tolist())
        theirs = CompareMeans(DescrStatsW(other), DescrStatsW(one))
        assert found.p == pytest.approx(theirs.ttest_ind(usevar="unequal")[1])
        assert found.interval == pytest.approx(theirs.tconfint_diff(usevar="unequal"))


def test_holm() -> None:
    from statsmodels.stats.multitest import multipletests

    random = np.random.default_rng(2)
    for number in range(1, 60):
        p = random.random(number) ** 3
        assert holm(p.tolist()) == pytest.approx(multipletests(p, method="holm")[1].tolist())


def test_the_detectable_difference_has_a_power_of_four_fifths() -> None:
    from statsmodels.stats.power import TTestIndPower

    for number in (5, 10, 40):
        difference = detectable(np.sqrt(2 / number), 2 * number - 2)  # of two groups with a deviation of 1
        assert TTestIndPower().power(difference, number, 0.05) == pytest.approx(0.8, abs=0.02)


def test_as_many_runs_are_needed_as_the_power_of_the_test_asks() -> None:
    from statsmodels.stats.power import TTestIndPower

    for difference in (0.05, 0.1, 0.3, 0.7, 1.0, 1.5):
        expected = TTestIndPower().solve_power(difference, power=0.8, alpha=0.05)
        assert runs_needed(-difference, 1.0, 1.0) == pytest.approx(expected, abs=1.5)
