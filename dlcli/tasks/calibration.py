"""Calibrates the classifier of a run: a temperature, fitted on validation, that evaluate and predict apply."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from dlcli.data.splits import evenly_spaced
from dlcli.errors import CheckFailed, InputError
from dlcli.evaluation.class_predictions import Labels, score
from dlcli.evaluation.classification import calibration_error
from dlcli.evaluation.temperature import fit_temperature, scaled_probabilities
from dlcli.rundir.directory import RunDir
from dlcli.rundir.reading import read_json
from dlcli.rundir.runs import now
from dlcli.rundir.writing import replace_json
from dlcli.runtime.console import Console

MAX_LOGITS = 2**25  # of which the temperature is fitted; above it, on evenly spaced samples


@dataclass(frozen=True)
class Calibration:
    """The temperature by which the logits of a run's model are divided."""

    temperature: float

    def probabilities(self, logits: NDArray[np.float32]) -> NDArray[np.float32]:
        """The calibrated probabilities ``[b, classes]``."""
        return scaled_probabilities(logits, self.temperature)


def read_calibration(run: RunDir, digest: str, console: Console) -> Calibration | None:
    """The calibration of a run's model, which is reported; None if it has none, or one of an earlier model.

    Args:
        digest: the SHA-256 of the model's file, as in :class:`dlcli.tasks.run_models.BestModel`.

    Raises:
        InputError: calibration.json is corrupt.
    """
    if not run.calibration.exists():
        return None
    content = read_json(run.calibration)
    temperature = content.get("temperature")
    if not isinstance(temperature, float) or not math.isfinite(temperature) or temperature <= 0:
        raise InputError(
            f"{run.calibration}: is corrupt: temperature must be a number > 0. Received {temperature!r}. Delete it, or "
            f"fit it again with: dlcli evaluate {run.path} --calibrate"
        )
    if content.get("model") != digest:
        console.warn(
            f"{run.calibration}: was fitted for another model and is not used. Fit it again with: dlcli evaluate "
            f"{run.path} --calibrate"
        )
        return None
    console.say(f"probabilities are calibrated with temperature {temperature:.3f} ({run.calibration.name})")
    return Calibration(temperature)


def calibrate(
    run: RunDir,
    digest: str,
    batches: Iterable[tuple[NDArray[np.int64], NDArray[np.float32]]],
    labels: Labels,
    console: Console,
) -> None:
    """Fit a temperature on the validation split and write calibration.json; model.keras stays as it is.

    Args:
        digest: the SHA-256 of the model's file.
        batches: positions of samples of the validation split, and their logits ``[b, classes]``.
        labels: of all its samples.

    Raises:
        CheckFailed: the logits are not finite.
    """
    kept_index, kept_logits = [], []
    chosen: NDArray[np.bool_] | None = None
    for index, logits in batches:
        if chosen is None:
            chosen = np.zeros(len(labels), bool)
            chosen[evenly_spaced(len(labels), max(1, MAX_LOGITS // logits.shape[1]))] = True
        is_kept = chosen[index]
        kept_index.append(index[is_kept])
        kept_logits.append(logits[is_kept])
    fitted_labels, fitted_logits = labels[np.concatenate(kept_index)], np.concatenate(kept_logits)
    if not np.isfinite(fitted_logits).all():
        raise CheckFailed("the model's outputs are not finite on the validation split")
    temperature = fit_temperature(fitted_logits, fitted_labels)
    errors = [
        calibration_error(score(fitted_labels, scaled_probabilities(fitted_logits, divisor)))
        for divisor in (1.0, temperature)
    ]
    replace_json(
        run.calibration,
        {
            "temperature": temperature,
            "fitted": now(),
            "split": "validation",
            "samples": len(fitted_labels),
            "calibration_error_before": errors[0],
            "calibration_error_after": errors[1],
            "model": digest,
        },
    )
    console.say(
        f"temperature {temperature:.3f} fitted on {len(fitted_labels):,} samples of validation: calibration error "
        f"{errors[0]:.4f} before, {errors[1]:.4f} after"
    )
