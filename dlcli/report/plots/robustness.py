"""Accuracy under attack, by epsilon."""

from collections.abc import Mapping, Sequence

from dlcli.report.plots.curves import LINE_COLORS, MARKERS
from dlcli.report.plots.figure import GRAY, new_figure, png, style


def robustness_curves(curves: Mapping[str, Sequence[tuple[float, float]]], *, norm: str) -> bytes:
    """Accuracy over the size of the change, a line for each attack: pairs of (eps, accuracy) by its name.

    Args:
        norm: by which the change is measured: linf or l2.
    """
    with style():
        figure = new_figure(6.4, 4.2)
        figure.set_layout_engine("constrained")
        axes = figure.add_subplot()
        for number, (name, points) in enumerate(curves.items()):
            is_noise = name == "noise"
            axes.plot(
                *zip(*sorted(points), strict=True),
                label=name,
                color=GRAY if is_noise else LINE_COLORS[number % len(LINE_COLORS)],
                linestyle="--" if is_noise else "-",
                marker=MARKERS[number // len(LINE_COLORS) % len(MARKERS)],
                markersize=4,
            )
        axes.set_xlabel(f"epsilon ({norm}), in units of the pixels' range")
        axes.set_ylabel("accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)
