"""Features of the calendar and of whole series."""

from datetime import UTC, datetime

import numpy as np
import pytest

from dlcli.data.series import covariates
from dlcli.errors import InputError


def test_the_calendar_is_sines_and_cosines() -> None:
    dates = [datetime(2024, 2, 29, 6, tzinfo=UTC), datetime(1969, 7, 20, 20, 15, tzinfo=UTC)]
    found = covariates.calendar_features(np.array([date.timestamp() for date in dates]), ("hour", "weekday", "month"))
    assert covariates.calendar_names(("hour",)) == ["hour sine", "hour cosine"]
    for row, date in zip(found, dates, strict=True):
        phases = ((date.hour + date.minute / 60) / 24, date.weekday() / 7, (date.month - 1) / 12)
        expected = [wave(2 * np.pi * phase) for phase in phases for wave in (np.sin, np.cos)]
        np.testing.assert_allclose(row, expected, atol=1e-6)
    assert covariates.calendar_features(np.zeros(3), ()).shape == (3, 0)


def test_columns_of_text_become_a_feature_for_each_value() -> None:
    cells = {"region": ["b", "a", "b"], "size": ["1", "2.5", ""], "store": ["1", "2", "3"]}
    cells["size"] = ["1", "2.5", "3"]
    found = covariates.categories_of(cells, source="a.csv", never_numbers=["store"])
    assert found == {"region": ("a", "b"), "store": ("1", "2", "3")}
    assert covariates.static_names(("region", "size"), found) == ["region=a", "region=b", "size"]
    assert covariates.static_features({"region": "b", "size": "2.5"}, found) == [0.0, 1.0, 2.5]
    assert covariates.static_features({"region": "unknown"}, found) == [0.0, 0.0]
    many = {"id": [str(i) for i in range(covariates.MAX_CATEGORIES + 1)]}
    with pytest.raises(InputError, match="column 'id' must have at most 1,000 values"):
        covariates.categories_of(many, source="a.csv", never_numbers=["id"])
