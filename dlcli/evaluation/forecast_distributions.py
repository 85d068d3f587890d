"""Distributions of forecasts: their likelihood and continuous ranked probability score, in closed form."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import special, stats

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Family:
    """Distributions that differ in location and scale alone.

    Attributes:
        degrees_of_freedom: of Student's t distributions, above 1; None for normal ones.
    """

    degrees_of_freedom: float | None = None

    @property
    def standard(self) -> Any:
        """The distribution of location 0 and scale 1, of scipy."""
        return stats.norm if self.degrees_of_freedom is None else stats.t(self.degrees_of_freedom)

    def quantiles(self, levels: Sequence[float]) -> list[float]:
        """The quantiles of the distribution of location 0 and scale 1."""
        return [float(value) for value in self.standard.ppf(levels)]

    def parameters(self, quantiles: Array, levels: Sequence[float]) -> tuple[Array, Array]:
        """Location and scale ``[...]`` of the distribution with some quantiles ``[..., levels]``, of two levels or
        more, with 0.5 among them."""
        standard = self.quantiles(levels)
        values = quantiles.astype(np.float64)
        width = values[..., -1] - values[..., 0]
        return values[..., list(levels).index(0.5)], width / (standard[-1] - standard[0])

    def deviation(self, scale: Array) -> Array:
        """The standard deviation of distributions of a scale; of Student's, more than 2 degrees of freedom."""
        return scale * float(self.standard.std())

    def negative_log_likelihood(self, true: Array, location: Array, scale: Array) -> Array:
        """In nats, of densities per unit of the true values."""
        return np.asarray(np.log(scale) - self.standard.logpdf((true - location) / scale))

    def crps(self, true: Array, location: Array, scale: Array) -> Array:
        """The continuous ranked probability score, in the unit of the true values: the integral over all thresholds of
        the squared difference between the cumulative distribution and the step at the true value. Of a distribution
        without width it is the absolute error.

        Source: Gneiting and Raftery 2007, section 4.2 (normal); Jordan, Krueger and Lerch 2019, appendix A (Student).
        """
        z, of_standard = (true - location) / scale, self.standard
        of_both_tails = z * (2 * of_standard.cdf(z) - 1)
        if self.degrees_of_freedom is None:
            return np.asarray(scale * (of_both_tails + 2 * of_standard.pdf(z) - np.pi**-0.5))
        freedom = self.degrees_of_freedom
        ratio = special.beta(0.5, freedom - 0.5) / special.beta(0.5, freedom / 2) ** 2
        of_density = 2 * of_standard.pdf(z) * (freedom + z**2) / (freedom - 1)
        return np.asarray(scale * (of_both_tails + of_density - 2 * freedom**0.5 / (freedom - 1) * ratio))


def metrics(
    family: Family, true: Array, parameters: Mapping[str, tuple[Array, Array]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """``nll`` and ``crps`` of the network and of baselines: means over known values, and those of each step ahead.

    Args:
        true: ``[n, horizon]``, NaN where missing.
        parameters: location and scale ``[n, horizon]``, by the prefix of the names of their measures. Where the scale
            of one is 0, its ``nll`` is left out.
    """
    result: dict[str, Any] = {}
    by_step: list[dict[str, Any]] = [{} for _ in range(true.shape[1])]
    is_known = ~np.isnan(true)
    for name, (location, scale) in parameters.items():
        measures = {}
        if (scale > 0).all():
            measures["nll"] = family.negative_log_likelihood(true, location, scale)
        with np.errstate(divide="ignore", invalid="ignore"):
            crps = family.crps(true, location, scale)
        measures["crps"] = np.where(scale > 0, crps, np.abs(true - location))
        for measure, values in measures.items():
            result[f"{name}{measure}"] = float(values[is_known].mean())
            for step, row in enumerate(by_step):
                known = values[is_known[:, step], step]
                row[f"{name}{measure}"] = float(known.mean()) if len(known) else None
    return result, by_step
