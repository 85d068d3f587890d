"""ROC and precision-recall curves, against scikit-learn's."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from dlcli.evaluation.one_against_rest import curve


@pytest.mark.parametrize("num_levels", [2, 7, 1000])
def test_curves_with_and_without_ties_are_those_of_scikit_learn(num_levels: int) -> None:
    rng = np.random.default_rng(0)
    is_positive = rng.random(200) < 0.3
    probability = np.clip(np.round((rng.random(200) + 0.3 * is_positive) * num_levels) / num_levels, 0, 1)
    found = curve(is_positive, probability)
    assert found is not None
    false_positive_rate, true_positive_rate, _ = roc_curve(is_positive, probability, drop_intermediate=False)
    np.testing.assert_allclose(found.false_positive_rate, false_positive_rate)
    np.testing.assert_allclose(found.true_positive_rate, true_positive_rate)
    precision, recall, _ = precision_recall_curve(is_positive, probability)
    np.testing.assert_allclose(found.precision, precision[-2::-1])
    np.testing.assert_allclose(found.true_positive_rate[1:], recall[-2::-1])
    assert found.roc_auc == pytest.approx(roc_auc_score(is_positive, probability))
    assert found.average_precision == pytest.approx(average_precision_score(is_positive, probability))


def test_a_class_without_samples_or_without_others_has_no_curve() -> None:
    assert curve(np.zeros(3, bool), np.arange(3)) is None
    assert curve(np.ones(3, bool), np.arange(3)) is None
