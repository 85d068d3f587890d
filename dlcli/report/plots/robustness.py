"""Plots of robustness: accuracy under attack by epsilon."""

from collections.abc import Mapping, Sequence

from dlcli.report.plots.figure import GRAY, LINE_COLORS, MARKERS, new_figure, png, style


def robustness_curves(curves: Mapping[str, Sequence[tuple[float, float]]], *, norm: str) -> bytes:
    """Accuracy as a function of epsilon, a line for each attack.

    Args:
        curves: pairs of (eps, accuracy) for each attack, by its name; ``noise`` is drawn as a baseline.
        norm: norm of the perturbations, linf or l2.
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
        axes.set_xlabel(f"epsilon ({norm}), as a fraction of the pixel range")
        axes.set_ylabel("accuracy")
        axes.set_ylim(-0.02, 1.02)
        axes.grid(True)
        axes.legend(frameon=False)
        return png(figure)
