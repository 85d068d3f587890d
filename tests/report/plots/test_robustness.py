"""Accuracy under attack by epsilon: every line follows its points, and noise is the dashed baseline."""

from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.figure import BLUE, VERMILION
from dlcli.report.plots.robustness import robustness_curves

CURVES = {"fgsm": [(0.0, 0.9), (0.1, 0.4)], "pgd": [(0.0, 0.9), (0.1, 0.1)]}


def test_lines_follow_the_data() -> None:
    pixels = read(robustness_curves(CURVES, norm="linf"))
    assert has_color(pixels, BLUE)
    assert has_color(pixels, VERMILION)
    for changed in (
        {**CURVES, "pgd": [(0.0, 0.9), (0.1, 0.2)]},
        {"fgsm": CURVES["fgsm"]},
        {"bim": CURVES["fgsm"], "pgd": CURVES["pgd"]},
    ):
        other = read(robustness_curves(changed, norm="linf"))
        assert (other != pixels).any()
    assert (read(robustness_curves(CURVES, norm="l2")) != pixels).any()


def test_the_order_of_points_does_not_matter() -> None:
    backward = {name: points[::-1] for name, points in CURVES.items()}
    assert robustness_curves(backward, norm="linf") == robustness_curves(CURVES, norm="linf")


def test_noise_is_gray() -> None:
    points = [(0.0, 0.9), (0.1, 0.8)]
    noise, attack = (read(robustness_curves({name: points}, norm="linf")) for name in ("noise", "attack"))
    assert has_color(attack, BLUE)
    assert not has_color(noise, BLUE)
    num_gray = [int((pixels == 0x66).all(axis=-1).sum()) for pixels in (noise, attack)]
    assert num_gray[0] > num_gray[1] + 100  # antialiased text has some gray too


def test_more_attacks_than_colors_are_told_apart_by_their_markers() -> None:
    points = [(0.0, 0.9), (0.1, 0.5)]
    seven = {f"attack {i}": points for i in range(7)}
    eight = {**seven, "attack 7": points}  # drawn last, in the first color again
    swapped = {**seven, "attack 7": [(0.0, 0.9), (0.1, 0.4)]}
    one, other = read(robustness_curves(eight, norm="linf")), read(robustness_curves(swapped, norm="linf"))
    assert has_color(one, BLUE)
    assert (one != other).any()
