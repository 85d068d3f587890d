"""Plots of convolutions: each step is drawn, and zero is mid-gray where values are negative."""

import numpy as np
from pixels import has_color, read  # type: ignore[import-not-found]

from dlcli.report.plots.convolution import COLORS, image_figure, signal_figure

RAMP = np.arange(6.0)


def test_a_signal_has_a_row_for_each_step() -> None:
    steps = {"input": RAMP, "kernel": RAMP[:3], "convolution": -RAMP, "detector": 0 * RAMP}
    pixels = read(signal_figure(steps))
    assert all(has_color(pixels, color) for color in COLORS[:4])
    assert not has_color(pixels, COLORS[4])
    assert read(signal_figure({**steps, "pooling": RAMP[:2]})).shape[0] > pixels.shape[0]
    assert has_color(read(signal_figure({"input": np.arange(500.0)})), COLORS[0])  # a line


def test_an_image_has_a_panel_for_each_step() -> None:
    image = np.broadcast_to(np.array([200.0, 100, 50]), (8, 8, 3))
    pixels = read(image_figure({"input": image, "convolution": image - image.mean()}, np.eye(3)))
    assert has_color(pixels, "#C86432")  # the input as it is
    flat = read(image_figure({"input": image, "convolution": 0 * image[..., :1] - 0.0}, np.eye(3)))
    assert has_color(flat, "#000000")
    signed = np.zeros((8, 8, 1))
    signed[0, 0] = -1
    assert has_color(read(image_figure({"input": image, "convolution": signed}, np.eye(3))), "#7F7F7F")
    more = read(image_figure({"input": image, "convolution": image, "detector": image}, np.eye(3)))
    assert more.shape[1] > pixels.shape[1]
