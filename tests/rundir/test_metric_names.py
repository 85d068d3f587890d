"""Names of metrics in the runs of earlier versions."""

import pytest

from dlcli.rundir.metric_names import current_name


@pytest.mark.parametrize(
    ("old", "current"),
    [
        ("val_localisation_accuracy", "val_localization_accuracy"),
        ("top_5_localisation_accuracy", "top_5_localization_accuracy"),
        ("baseline_localisation_accuracy_50_95", "baseline_localization_accuracy_50_95"),
        ("localisation_error", "localization_error"),
        ("localisation_curve", "localization_curve"),
        ("val_localization_accuracy", "val_localization_accuracy"),
        ("val_loss", "val_loss"),
        ("localisation", "localisation"),  # may be a class
        ("p_my localisation", "p_my localisation"),
    ],
)
def test_only_names_of_metrics_change(old: str, current: str) -> None:
    assert current_name(old) == current
