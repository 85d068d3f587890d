"""The learning-rate range test: training with a rate that rises exponentially, until the loss diverges.

Source: Smith 2017, "Cyclical learning rates for training neural networks", section 3.3; with an exponential rise
instead of a linear one, and the suggestions that fastai made common.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.training.step import Data, TrainStep

WINDOW_DIVISOR = 40  # of the planned steps: half of the window over which losses are averaged
DIVERGED = 4.0  # times the lowest smoothed loss
MIN_SIGNIFICANCE = 5.0  # standard errors by which the loss must fall; the lowest of many means is low by chance too

Losses = NDArray[np.float64]


@dataclass(frozen=True)
class RangeTest:
    """What a range test measured, a value for each step that was taken.

    Attributes:
        learning_rates: ``[n]``, rising exponentially.
        losses: ``[n]``: of each batch, before the update at that rate.
        half_window: steps on either side over which :attr:`smoothed` averages.
        diverged: whether the test ended because the loss diverged.
    """

    learning_rates: Losses
    losses: Losses
    half_window: int
    diverged: bool

    @property
    def smoothed(self) -> Losses:
        """The centered moving average of the losses, ``[n]``; at both ends the window is cut off.

        A causal average, such as an exponential one, would shift the curve toward higher rates.
        """
        return centered_mean(self.losses, self.half_window)

    @property
    def initial_loss(self) -> float:
        """The mean over the first whole window."""
        return float(self.smoothed[min(self.half_window, len(self.losses) - 1)])

    @property
    def lowest(self) -> int:
        """The step with the lowest smoothed loss."""
        return int(np.argmin(self.smoothed))

    @property
    def steepest(self) -> int | None:
        """The step before the lowest loss at which it falls fastest with the logarithm of the rate.

        None if the loss does not fall by more than its noise.
        """
        smoothed, reach = self.smoothed, self.half_window
        fall = self.initial_loss - smoothed[self.lowest]
        if self.lowest <= reach or fall <= MIN_SIGNIFICANCE * self._standard_error:
            return None
        places = np.arange(self.lowest + 1)
        left = np.maximum(places - reach, 0)
        right = np.minimum(places + reach, self.lowest)
        logs = np.log(self.learning_rates)
        slopes = (smoothed[right] - smoothed[left]) / (logs[right] - logs[left])
        return int(np.argmin(slopes))

    @property
    def minimum_tenth(self) -> float:
        """A tenth of the learning rate with the lowest smoothed loss."""
        return float(self.learning_rates[self.lowest]) / 10

    @property
    def _standard_error(self) -> float:
        """Of the difference of two smoothed losses, by how losses scatter around them up to the lowest one."""
        scatter = (self.losses - self.smoothed)[: self.lowest + 1]
        return float(np.std(scatter)) * math.sqrt(2 / (2 * self.half_window + 1))


def centered_mean(values: Losses, half_window: int) -> Losses:
    """The mean of each value and those up to ``half_window`` places before and after it, as far as there are any."""
    sums = np.concatenate([[0.0], np.cumsum(values)])
    places = np.arange(len(values))
    first = np.maximum(places - half_window, 0)
    last = np.minimum(places + half_window, len(values) - 1)
    means: Losses = (sums[last + 1] - sums[first]) / (last + 1 - first)
    return means


def exponential_range(start: float, stop: float, num_steps: int) -> Losses:
    """``num_steps`` learning rates from ``start`` to ``stop``, each the same multiple of the one before."""
    rates: Losses = np.geomspace(start, stop, num_steps)
    return rates


def range_test(
    step: TrainStep,
    data: Data,
    *,
    learning_rates: Losses,
    base: float,
    progress: Callable[[int, float, float], None],
) -> RangeTest:
    """Train one step at each learning rate, over as many epochs as it takes, until the loss diverges.

    It diverges when it is not finite, or when the mean of the last ``2 * half_window + 1`` losses exceeds both the
    initial one and four times the lowest one.

    Args:
        step: the training step at a constant rate; the weights it trains are changed.
        data: the batches of the step.
        base: that constant rate, of which ``learning_rates`` are multiples.
        progress: receives the number of steps taken, the rate and the loss after each.
    """
    half_window = max(1, len(learning_rates) // WINDOW_DIVISOR)
    rates: list[float] = []
    losses: list[float] = []
    diverged = False
    for number, rate in enumerate(learning_rates.tolist()):
        epoch, place = divmod(number, data.num_steps)
        if place == 0:
            source = data.source(epoch)
        step.rate_factor = rate / base
        step.reset()
        if not step.run(source, place, 1):
            diverged = True
            break
        rates.append(rate)
        losses.append(step.results()["loss"])
        progress(number + 1, rate, losses[-1])
        if diverged := _has_diverged(losses, half_window):
            break
    return RangeTest(np.array(rates), np.array(losses), half_window, diverged)


def _has_diverged(losses: list[float], half_window: int) -> bool:
    window = 2 * half_window + 1
    if len(losses) <= window:
        return False
    sums = np.concatenate([[0.0], np.cumsum(losses)])
    means = (sums[window:] - sums[:-window]) / window
    lowest = float(means.min())
    return float(means[-1]) > max(float(means[0]), lowest + (DIVERGED - 1) * abs(lowest))
