"""What all plots share: names in any script, the same bytes under any user configuration, and no pyplot."""

import numpy as np
import pytest
from matplotlib import font_manager
from pixels import STRANGE_NAMES, draw_mistakes, noise, read  # type: ignore[import-not-found]

from dlcli.report.plots import classification as classification_plots
from dlcli.report.plots import curves, figure
from dlcli.report.plots import images as image_plots
from dlcli.report.plots.figure import NOT_DRAWABLE, printable, without_glyph


def epoch(number: int, stage: str = "main", **changes: object) -> dict[str, object]:
    row = {"stage": stage, "epoch": number, "step": 10 * number, "seconds": 1.5, "learning_rate": 1e-3}
    row |= {"gradient_norm": 1.0, "train_loss": 2.0 / number, "train_accuracy": 1 - 0.5 / number}
    row |= {"val_loss": 2.2 / number, "val_accuracy": 1 - 0.6 / number}
    return row | changes


def matrix(num_classes: int) -> list[list[int]]:
    counts = np.random.default_rng(0).poisson(0.5, (num_classes, num_classes))
    return (counts + 40 * np.eye(num_classes, dtype=int)).tolist()


def test_names_in_any_script_are_drawn_without_a_warning(caplog) -> None:
    n = len(STRANGE_NAMES)
    read(classification_plots.confusion_matrix(matrix(n), STRANGE_NAMES))
    read(image_plots.sample_batch(noise(n, 8, 8, 3), STRANGE_NAMES))
    names = list(STRANGE_NAMES)
    read(draw_mistakes(noise(n, 8, 8, 1), [0.5] * n, labels=names, predicted=names[::-1], names=names))
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


def test_invisible_characters_are_left_out() -> None:
    assert printable("a\U000e0001b", 20) == "ab"  # a language tag
    assert without_glyph(["a\U000e0001b", "猫 \U0010ffff", "\U0010ffff"])[-1] == "\U0010ffff"


def test_a_fallback_font_draws_what_the_first_one_lacks(caplog, monkeypatch) -> None:
    symbols = font_manager.get_font(font_manager.findfont("STIXNonUnicode"))  # comes with Matplotlib
    letter = next(chr(code) for code in sorted(symbols.get_charmap()) if without_glyph([chr(code)]))
    squares = draw_mistakes(noise(1, 8, 8, 3), [0.5], labels=[letter])
    monkeypatch.setattr(figure, "FALLBACK_FONTS", ("No such font", "STIXNonUnicode"))
    figure._fonts.cache_clear()
    try:
        assert without_glyph([letter, "a"]) == []
        assert draw_mistakes(noise(1, 8, 8, 3), [0.5], labels=[letter]) != squares
    finally:
        figure._fonts.cache_clear()
    assert caplog.records == []


def test_equal_data_give_equal_bytes_whatever_the_users_style() -> None:
    import matplotlib

    def draw() -> list[bytes]:
        return [
            curves.learning_curves([epoch(1), epoch(2)], best_epoch=1),
            classification_plots.confusion_matrix(matrix(4), "abcd"),
            draw_mistakes(noise(2, 8, 8, 3), [0.5, 0.6]),
        ]

    before = draw()
    with matplotlib.rc_context({"axes.facecolor": "black", "savefig.dpi": 30, "font.size": 30, "lines.linewidth": 9}):
        assert draw() == before


def test_pyplot_is_not_imported() -> None:
    import subprocess
    import sys

    program = "import sys, dlcli.report.plots.images; sys.exit('matplotlib.pyplot' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
