"""The plots: they follow the data, fit on their canvas, and stand any names and values. Every warning is an error."""

import io
import math

import numpy as np
import pytest
from PIL import Image

from dlcli.report.plots import classification as classification_plots
from dlcli.report.plots import curves, figure
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.figure import DPI, NOT_DRAWABLE, printable

STRANGE_NAMES = (
    *("猫のとても長い名前のクラスです", "собака", "γάτα", "قط", "ञ", "😀🦖", "$x^2", "two\nlines", "\x00\x1b[31m"),
    *("_", "a\\b{", "the longest of all the names that anyone has given to a class of images"),
)


def read(png: bytes) -> np.ndarray:
    """The pixels [height, width, 3]; nothing may touch the border, where text would be cut off."""
    image = Image.open(io.BytesIO(png))
    assert image.format == "PNG"
    pixels = np.asarray(image.convert("RGB"))
    for edge in (pixels[0], pixels[-1], pixels[:, 0], pixels[:, -1]):
        assert (edge == 255).all()
    assert pixels.shape[0] <= 16 * DPI
    assert pixels.shape[1] <= 16 * DPI
    return pixels


def has_color(pixels: np.ndarray, color: str) -> bool:
    rgb = [int(color[i : i + 2], 16) for i in (1, 3, 5)]
    return bool((pixels == rgb).all(axis=-1).any())


# Learning curves --------------------------------------------------------------------------------------------------


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


# Confusion matrix -------------------------------------------------------------------------------------------------


def matrix(num_classes: int) -> list[list[int]]:
    counts = np.random.default_rng(0).poisson(0.5, (num_classes, num_classes))
    return (counts + 40 * np.eye(num_classes, dtype=int)).tolist()


def test_confusion_matrix_follows_the_data() -> None:
    classes = ("ant", "bee", "cat")
    counts = [[9, 1, 0], [0, 8, 2], [3, 0, 7]]
    pixels = read(classification_plots.confusion_matrix(counts, classes))
    for changed, names in (
        ([[9, 0, 1], *counts[1:]], classes),
        ([[90, 10, 0], *counts[1:]], classes),  # other counts of the same proportions
        (counts, ("ant", "bee", "dog")),
    ):
        other = read(classification_plots.confusion_matrix(changed, names))
        assert other.shape != pixels.shape or (other != pixels).any()


@pytest.mark.parametrize("num_classes", [2, 3, 10, 100, 250])
def test_confusion_matrix_of_any_size_is_bounded(num_classes) -> None:
    counts = 40 * np.eye(num_classes, dtype=int)
    pixels = read(
        classification_plots.confusion_matrix(counts.tolist(), [f"class number {i}" for i in range(num_classes)])
    )
    assert min(pixels.shape[:2]) > 2.6 * DPI
    # without the color bar, what is blue is the diagonal; two squares of it correlate by 0.75, many by nearly 1
    blue = pixels[:, : int(0.85 * pixels.shape[1])].astype(int)
    squares = np.argwhere((blue[..., 2] > 100) & (blue[..., 0] < 60))
    assert np.corrcoef(squares.T)[0, 1] > (0.6 if num_classes < 10 else 0.95)


@pytest.mark.parametrize(("num_classes", "count", "written"), [(4, 40, True), (20, 400, True), (60, 10**8, False)])
def test_counts_are_written_where_they_can_be_read(num_classes, count, written) -> None:
    def middle(count: int) -> np.ndarray:
        counts = count * np.eye(num_classes, dtype=int)
        pixels = read(classification_plots.confusion_matrix(counts.tolist(), ["x"] * num_classes))
        height, width, _ = pixels.shape
        return pixels[height // 4 : height // 2, width // 4 : width // 2]

    assert (middle(count) != middle(count + 1)).any() == written


@pytest.mark.parametrize("counts", [[[0, 0], [0, 0]], [[0, 0], [5, 0]], [[10**7, 3], [2, 10**7]]])
def test_confusion_matrix_of_unusual_counts(counts) -> None:
    read(classification_plots.confusion_matrix(counts, ("a", "b")))


def test_a_confusion_matrix_must_fit_its_classes() -> None:
    with pytest.raises(ValueError, match=r"of 3 classes must have the shape \[3, 3\]\. Received \[2, 2\]\."):
        classification_plots.confusion_matrix([[1, 0], [0, 1]], ("a", "b", "c"))


# Samples ----------------------------------------------------------------------------------------------------------


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(0, 255, shape).astype("float32")


def test_a_batch_shows_its_images_and_titles() -> None:
    batch = images(4, 8, 8, 1)
    titles = ["one", "two", "three", "four"]
    pixels = read(image_plots.sample_batch(batch, titles))
    assert (read(image_plots.sample_batch(255 - batch, titles)) != pixels).any()
    assert (read(image_plots.sample_batch(batch, [*titles[:3], "five"])) != pixels).any()
    np.testing.assert_array_equal(
        read(image_plots.sample_batch(batch.astype("uint8") * 1.0, titles)).shape, pixels.shape
    )


def test_colors_are_those_of_the_pixels() -> None:
    batch = np.zeros((1, 4, 4, 3), "uint8")
    batch[:] = (200, 30, 90)
    assert has_color(read(image_plots.sample_batch(batch, ["x"])), "#C81E5A")
    assert has_color(read(image_plots.sample_batch(np.full((1, 4, 4, 1), 77, "uint8"), ["x"])), "#4D4D4D")


@pytest.mark.parametrize(
    "batch",
    [
        images(1, 1, 1, 1),
        images(2, 40, 10, 3),
        images(7, 10, 90, 3) * 3 - 200,
        images(200, 8, 8, 1),
        images(3, 50, 2) - 100,
        images(2, 50, 12),
        images(5, 6, 7, 8, 1),
        images(2, 1, 7, 8, 3),
        np.full((2, 8, 8, 3), np.nan),
        np.full((2, 9, 1), np.nan),
        np.zeros((2, 3, 4, 5, 1)),
    ],
    ids=lambda batch: "x".join(map(str, batch.shape)),
)
def test_batches_of_all_shapes(batch) -> None:
    read(image_plots.sample_batch(batch, [f"class {i}" for i in range(len(batch))]))


def test_at_most_25_samples_are_shown() -> None:
    batch, titles = images(40, 8, 8, 1), ["x"] * 40
    assert image_plots.sample_batch(batch, titles) == image_plots.sample_batch(batch[:25], titles[:25])
    assert image_plots.sample_batch(batch[:24], titles[:24]) != image_plots.sample_batch(batch[:25], titles[:25])


def test_an_empty_batch_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        image_plots.sample_batch(images(0, 8, 8, 1), [])


def test_signals_are_lines_and_volumes_their_middle_slice() -> None:
    signal = read(image_plots.sample_batch(images(1, 50, 2), ["x"]))
    assert has_color(signal, figure.BLUE)
    assert has_color(signal, figure.VERMILION)
    volume = np.zeros((1, 5, 4, 4, 1))
    volume[0, 2, :, :2] = 1.0
    before = image_plots.sample_batch(volume, ["x"])
    volume[0, 1, 0, 0] = 0.5  # not in the middle
    assert image_plots.sample_batch(volume, ["x"]) == before
    volume[0, 2, 0, 0] = 0.5
    assert image_plots.sample_batch(volume, ["x"]) != before


def draw_mistakes(batch: np.ndarray, confidence: list[float], **changes: list[str]) -> bytes:
    labels = {
        "labels": [f"cat{i}" for i in range(len(batch))],
        "predicted": ["dog"] * len(batch),
        "names": [f"folder/{i}.png" for i in range(len(batch))],
    }
    return image_plots.mistakes(batch, confidence=confidence, **(labels | changes))


def test_the_most_confident_mistakes_come_first() -> None:
    batch = images(3, 8, 8, 1)
    backwards = draw_mistakes(
        batch[::-1],
        [0.9, 0.7, 0.5],
        labels=["cat2", "cat1", "cat0"],
        names=["folder/2.png", "folder/1.png", "folder/0.png"],
    )
    assert draw_mistakes(batch, [0.5, 0.7, 0.9]) == backwards != draw_mistakes(batch, [0.9, 0.7, 0.5])


def test_at_most_25_mistakes_are_shown() -> None:
    batch = images(30, 8, 8, 1)
    confidence = [1 - i / 100 for i in range(30)]
    assert draw_mistakes(batch, confidence) == draw_mistakes(batch[:25], confidence[:25])
    read(draw_mistakes(batch, confidence))


def test_every_word_of_a_mistake_is_shown() -> None:
    batch = images(1, 8, 8, 3)
    before = draw_mistakes(batch, [0.98])
    assert draw_mistakes(batch, [0.97]) != before
    for changes in ({"labels": ["owl"]}, {"predicted": ["owl"]}, {"names": ["other.png"]}, {"names": [7]}):
        assert draw_mistakes(batch, [0.98], **changes) != before


def test_no_mistakes_are_said_to_be_none() -> None:
    pixels = read(draw_mistakes(images(0, 8, 8, 1), []))
    assert (pixels < 255).any()


# Names ------------------------------------------------------------------------------------------------------------


def test_names_in_any_script_are_drawn_without_a_warning(caplog) -> None:
    n = len(STRANGE_NAMES)
    read(classification_plots.confusion_matrix(matrix(n), STRANGE_NAMES))
    read(image_plots.sample_batch(images(n, 8, 8, 3), STRANGE_NAMES))
    names = list(STRANGE_NAMES)
    read(draw_mistakes(images(n, 8, 8, 1), [0.5] * n, labels=names, predicted=names[::-1], names=names))
    read(curves.learning_curves([epoch(1, STRANGE_NAMES[0]), epoch(2, STRANGE_NAMES[6])], best_epoch=1))
    assert caplog.records == []  # Matplotlib logs about fonts


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("short", 5, "short"),
        ("a long name 17", 9, "a lo…e 17"),
        ("a long name 17", 8, "a lo… 17"),
        ("two\nlines\tand", 20, "two lines and"),
        ("cost: $5", 20, r"cost: \$5"),
        ("nul\x00", 20, f"nul{NOT_DRAWABLE}"),
        ("\U0010ffff", 20, NOT_DRAWABLE),
    ],
)
def test_names_are_made_to_fit(text, width, expected) -> None:
    assert printable(text, width) == expected


# Always -----------------------------------------------------------------------------------------------------------


def test_equal_data_give_equal_bytes_whatever_the_users_style() -> None:
    import matplotlib

    def draw() -> list[bytes]:
        return [
            curves.learning_curves([epoch(1), epoch(2)], best_epoch=1),
            classification_plots.confusion_matrix(matrix(4), "abcd"),
            draw_mistakes(images(2, 8, 8, 3), [0.5, 0.6]),
        ]

    before = draw()
    with matplotlib.rc_context({"axes.facecolor": "black", "savefig.dpi": 30, "font.size": 30, "lines.linewidth": 9}):
        assert draw() == before


def test_pyplot_is_not_imported() -> None:
    import subprocess
    import sys

    program = "import sys, dlcli.report.plots.images; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
