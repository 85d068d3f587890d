"""The plot of predicted against true numbers."""

import io

import numpy as np
from PIL import Image

from dlcli.report.plots.numbers import predicted_against_true


def test_a_panel_for_each_target_up_to_sixteen() -> None:
    values = np.random.default_rng(0).normal(size=(5, 20))
    sizes = [
        Image.open(
            io.BytesIO(predicted_against_true(values[:, :t], values[:, :t] + 1, [f"$x_{i}" for i in range(t)]))
        ).size
        for t in (1, 3, 20)
    ]
    assert sizes[0][0] < sizes[1][0] < sizes[2][0]


def test_one_sample_with_equal_numbers() -> None:
    assert predicted_against_true(np.ones((1, 1)), np.ones((1, 1)), ["x"]).startswith(b"\x89PNG")
