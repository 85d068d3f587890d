"""Plots of sequences: each follows its data, and stays on its canvas for long ones."""

import numpy as np
import pytest
from pixels import STRANGE_NAMES, has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots import sequences
from dlcli.report.plots.figure import BLUE, GREEN, VERMILION

RNG = np.random.default_rng(0)


def test_bit_sequences_show_the_output_where_it_is_known() -> None:
    inputs, bits = RNG.integers(0, 2, (2, 9, 5)), RNG.integers(0, 2, (2, 9, 4))
    without = read(sequences.bit_sequences(inputs, bits))
    with_output = read(sequences.bit_sequences(inputs, bits, bits * 0.5))
    assert with_output.shape[0] == 1.5 * without.shape[0]
    assert (read(sequences.bit_sequences(1 - inputs, bits)) != without).any()
    assert (read(sequences.bit_sequences(inputs, 1 - bits)) != without).any()
    np.testing.assert_array_equal(read(sequences.bit_sequences(inputs[:1], bits[:1])), without)  # only the first


def test_attention_maps_follow_weights_and_tokens() -> None:
    tokens, outputs = ["a", " ", "c"], ["x", "end"]
    weights = np.array([[0.8, 0.1, 0.1], [0.0, 0.3, 0.7]])
    pixels = read(sequences.attention_maps([(tokens, outputs, weights)]))
    assert (read(sequences.attention_maps([(tokens, outputs, weights[::-1])])) != pixels).any()
    assert (read(sequences.attention_maps([(tokens, ["y", "end"], weights)])) != pixels).any()
    one_row = sequences.attention_maps([(tokens, outputs, weights)] * 3)
    two_rows = sequences.attention_maps([(tokens, outputs, weights)] * 4)
    assert read(two_rows).shape[0] == 2 * read(one_row).shape[0]


def test_attention_maps_of_long_texts_and_strange_tokens() -> None:
    long = [f"token{i}" for i in range(100)]
    read(sequences.attention_maps([(long, long, RNG.uniform(0, 1, (100, 100)))]))
    names = list(STRANGE_NAMES)
    read(sequences.attention_maps([(names, names[::-1], np.eye(len(names)))]))


def test_a_series_is_colored_by_split() -> None:
    values = np.sin(np.arange(100) / 5)
    splits = {"train": (0, values[:60]), "validation": (60, values[60:80]), "test": (80, values[80:])}
    pixels = read(sequences.series([("", splits)], "sine"))
    for color in (BLUE, GREEN, VERMILION):
        assert has_color(pixels, color)
    two = read(sequences.series([("north", {"train": (0, values)}), ("south", {"validation": (0, values)})], "other"))
    assert has_color(two, BLUE)
    assert has_color(two, GREEN)
    assert not has_color(two, VERMILION)


def test_forecasts_follow_history_truth_and_prediction() -> None:
    past, true = RNG.normal(size=(2, 50)), RNG.normal(size=(2, 6))
    pixels = read(sequences.forecasts(past, true, true + 1, ["one", "two"]))
    for color in (BLUE, VERMILION):
        assert has_color(pixels, color)
    changed = past.copy()
    changed[0, -1] += 1
    for arguments in ((changed, true, true + 1), (past, true - 1, true + 1), (past, true, true + 2)):
        assert (read(sequences.forecasts(*arguments, ["one", "two"])) != pixels).any()


def test_intervals_are_drawn_around_forecasts() -> None:
    past, true = RNG.normal(size=(1, 8)), RNG.normal(size=(1, 6))
    bands = true[..., None] + [-2.0, -1, 0, 1, 2]
    arguments = (past, true, true, ["one"])
    drawn = [sequences.forecasts(*arguments, bands=bands[..., levels]) for levels in ([2], [0, 2, 4], [0, 1, 2, 3, 4])]
    assert len(set(drawn)) == 3  # one level has no interval


def test_forecasts_show_the_last_of_a_long_history() -> None:
    past, true = RNG.normal(size=(1, 500)), RNG.normal(size=(1, 6))
    changed = past.copy()
    changed[0, :476] = 99.0  # 24 steps are shown
    assert sequences.forecasts(changed, true, true, ["x"]) == sequences.forecasts(past, true, true, ["x"])
    changed[0, 476] = 99.0
    assert sequences.forecasts(changed, true, true, ["x"]) != sequences.forecasts(past, true, true, ["x"])


@pytest.mark.parametrize("offset", [0.0, 1e6])
def test_predicted_numbers_have_a_line_of_equality(offset: float) -> None:
    true = RNG.normal(size=40) + offset
    pixels = read(sequences.predicted_numbers(true, true + 0.1))
    height, width = pixels.shape[:2]
    middle = pixels[height // 4 : 3 * height // 4, width // 4 : 3 * width // 4]
    line = np.argwhere((middle == 0x66).all(axis=-1))
    assert len(line) > 20
    assert np.corrcoef(line.T)[0, 1] < -0.95  # it rises from left to right
    assert (read(sequences.predicted_numbers(true, true + 5)) != pixels).any()


def test_errors_by_origin_are_drawn() -> None:
    rows = [{"after": f"2024-01-{i:02}", "mae": i, "ridge_mae": 2 * i} for i in range(1, 10)]
    pixels = read(sequences.errors_by_origin(rows))
    assert has_color(pixels, BLUE)
    assert has_color(pixels, GREEN)
    assert not has_color(pixels, VERMILION)


def test_errors_ahead_are_drawn_for_each_forecast() -> None:
    errors = {"mae": 0.1, "naive_mae": 0.2, "seasonal_naive_mae": 0.15, "ridge_mae": 0.12}
    rows = [{"step": i, **{name: error * i for name, error in errors.items()}} for i in range(1, 6)]
    pixels = read(sequences.errors_ahead(rows))
    assert has_color(pixels, BLUE)
    assert has_color(pixels, VERMILION)
    for key in errors:
        gone = read(sequences.errors_ahead([{**row, key: None} for row in rows]))
        assert gone.shape == pixels.shape
        assert (gone != pixels).any()
    without = [{key: value for key, value in row.items() if key != "ridge_mae"} for row in rows]
    assert not has_color(read(sequences.errors_ahead(without)), GREEN)
