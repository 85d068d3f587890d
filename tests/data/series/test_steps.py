"""The usual distance between rows, and in words."""

import numpy as np
import pytest

from dlcli.data.series.row_order import Part
from dlcli.data.series.steps import step_text, usual_step

DAY = 86_400.0


def test_the_usual_step_is_within_series_and_only_of_even_rows() -> None:
    moments = np.array([0.0, 1, 2, 9, 50, 51, 52])  # two series, the first with a gap
    parts = (Part("a", 0, 4), Part("b", 4, 7))
    assert usual_step(moments, parts) == 1.0
    assert usual_step(np.array([0.0, 1, 10, 100]), (Part("", 0, 4),)) is None
    assert usual_step(np.array([3.0]), (Part("", 0, 1),)) is None
    assert usual_step(None, parts) is None


@pytest.mark.parametrize(
    ("step", "text"),
    [
        (3600.0, "1 hour"),
        (900.0, "15 minutes"),
        (DAY, "1 day"),
        (14 * DAY, "2 weeks"),
        (31 * DAY, "1 month"),
        (92 * DAY, "3 months"),
        (365 * DAY, "1 year"),
        (0.5, "0.5 seconds"),
    ],
)
def test_steps_in_words(step: float, text: str) -> None:
    assert step_text(step, are_dates=True) == text
    assert step_text(step, are_dates=False) == f"{step:g}"
