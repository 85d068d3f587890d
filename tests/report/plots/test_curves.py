"""Learning curves: they follow the data, with a panel for each metric, stages set apart, and gaps."""

import math

import pytest
from matplotlib.figure import Figure
from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots import curves, figure


def epoch(number: int, stage: str = "main", **changes: object) -> dict[str, object]:
    row = {"stage": stage, "epoch": number, "step": 10 * number, "seconds": 1.5, "learning_rate": 1e-3}
    row |= {"gradient_norm": 1.0, "train_loss": 2.0 / number, "train_accuracy": 1 - 0.5 / number}
    row |= {"val_loss": 2.2 / number, "val_accuracy": 1 - 0.6 / number}
    return row | changes


def test_learning_curves_have_a_panel_for_each_metric_that_there_is() -> None:
    row = {"stage": "train", "epoch": 1, "learning_rate": 0.1, "train_loss": 1.0, "val_loss": 2.0}
    widths = [
        read(curves.learning_curves([row | {f"train_{metric}": 0.5 for metric in metrics}], best_epoch=1)).shape[1]
        for metrics in ((), ("mae",), ("bits_wrong",), ("accuracy", "iou"))
    ]
    assert widths[0] < widths[1] == widths[2] < widths[3]


def test_learning_curves_follow_the_data() -> None:
    rows = [epoch(i) for i in range(1, 6)]
    pixels = read(curves.learning_curves(rows, best_epoch=4))
    assert has_color(pixels, figure.BLUE)
    assert has_color(pixels, figure.VERMILION)
    for column in ("train_loss", "train_accuracy", "val_loss", "val_accuracy", "learning_rate"):
        changed = [*rows[:-1], rows[-1] | {column: 0.5 * float(rows[-1][column])}]
        assert (read(curves.learning_curves(changed, best_epoch=4)) != pixels).any(), column
    assert (read(curves.learning_curves(rows, best_epoch=3)) != pixels).any()
    assert (read(curves.learning_curves(rows, best_epoch=None)) != pixels).any()


def test_learning_curves_take_the_texts_of_a_file() -> None:
    rows = [epoch(i) for i in range(1, 4)]
    texts = [{key: str(value) for key, value in row.items()} for row in rows]
    assert curves.learning_curves(texts, best_epoch=2) == curves.learning_curves(rows, best_epoch=2)


def test_stages_are_set_apart() -> None:
    one = [epoch(i, "head") for i in range(1, 7)]
    two = [epoch(i, "head" if i <= 3 else "all") for i in range(1, 7)]
    assert (
        curves.learning_curves(two, best_epoch=6)
        != curves.learning_curves(one, best_epoch=6)
        == curves.learning_curves([epoch(i) for i in range(1, 7)], best_epoch=6)
    )
    read(curves.learning_curves([epoch(i, f"stage {i}") for i in range(1, 4)], best_epoch=2))


@pytest.mark.parametrize(
    "rows",
    [
        [epoch(1)],
        [epoch(1, learning_rate=0.0)],
        [epoch(1, val_loss="", val_accuracy=""), epoch(2, val_loss=None, val_accuracy=None)],
        [epoch(1), epoch(2, train_loss=math.nan, val_loss=math.inf), epoch(3)],
        [epoch(1, **dict.fromkeys(("train_loss", "val_loss", "train_accuracy", "val_accuracy"), "nan"))],
        [epoch(i) for i in range(1, 400)],
        [epoch(1, train_loss=1e-12, val_loss=1e12), epoch(2)],
    ],
    ids=["one", "no rate", "no validation", "gaps", "all nan", "many", "far apart"],
)
def test_learning_curves_of_unusual_runs(rows) -> None:
    pixels = read(curves.learning_curves(rows, best_epoch=1))
    assert pixels.shape == read(curves.learning_curves([epoch(1)], best_epoch=1)).shape


def test_without_validation_there_is_one_curve() -> None:
    rows = [{key: value for key, value in epoch(i).items() if not key.startswith("val_")} for i in range(1, 4)]
    pixels = read(curves.learning_curves(rows, best_epoch=3))
    assert has_color(pixels, figure.BLUE)
    assert not has_color(pixels, figure.VERMILION)


@pytest.mark.parametrize("rates", [[1e-2, 1e-5], [3.3e-3, 3.3e-3], [1e-3, 9e-4], [1e-3, 0.0]])
def test_the_axis_of_learning_rates(rates: list[float]) -> None:
    figures: list[Figure] = []

    def keep(drawn: Figure) -> bytes:
        figures.append(drawn)
        return b""

    rows = [epoch(i + 1, learning_rate=rate) for i, rate in enumerate(rates)]
    curves.learning_curves(rows, best_epoch=1, output=keep)
    axis = figures[0].axes[-1]
    assert axis.get_yscale() == ("log" if min(rates) > 0 else "linear")
    low, high = axis.get_ylim()
    ticks = [tick for tick in axis.get_yticks() if low <= tick <= high]
    assert low <= min(rates) <= max(rates) <= high
    assert 1 <= len(ticks) <= 6


def test_learning_curves_as_svg_keep_their_texts() -> None:
    rows = [epoch(1), epoch(2)]
    drawn = curves.learning_curves(rows, best_epoch=1, output=figure.svg)
    assert drawn == curves.learning_curves(rows, best_epoch=1, output=figure.svg)
    assert b"learning rate</text>" in drawn
    assert b"dc:date" not in drawn
