"""Run an attack on samples, batch by batch."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.attacks.gradient import Norm
from dlcli.data.images.samples import Samples
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import robustness
from dlcli.workflow.attack.kinds import WITHOUT_GRADIENTS
from dlcli.workflow.attack.plan import PIXELS, ROUNDING_ERROR, Attacked, Plan

TOLERANCE = 0.02  # of accuracy, for checks to pass: a sample or two


@dataclass(frozen=True)
class AttackOutcome:
    """The outcome of an attack.

    Attributes:
        rows: the rows of robustness.csv.
        clean: the predictions for the clean images.
        outcomes: results for each epsilon.
        saved: positions of the samples whose pixels are saved in ``x`` and ``adversarial``.
        distances: for deepfool, the length of the perturbation of each sample that it broke, regardless of the budget,
            as a multiple of the pixel range.
    """

    rows: list[dict[str, Any]]
    clean: robustness.Clean
    outcomes: list[robustness.Outcome]
    saved: NDArray[np.int64]
    x: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    distances: NDArray[np.float64] | None


def run_attack(
    plan: Plan,
    attacked: Attacked,
    samples: Samples,
    *,
    scored_by: Attacked | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> AttackOutcome:
    """Attack samples batch by batch; memory is bounded by a batch and the saved samples.

    Args:
        scored_by: the network whose predictions count, if it is not the attacked one.
        progress: called with the number of attacks on a sample that are done, and the total.

    Raises:
        InputError: the network's outputs or gradients cannot be used.
    """
    attack, gradients = attacked.attack(plan), attacked.gradients(plan)
    probabilities = (scored_by or attacked).probabilities
    saved = np.arange(len(samples)) if plan.num_saved is None else evenly_spaced(len(samples), plan.num_saved)
    predicted, confidence, saved_x, parts = [], [], [], [[] for _ in plan.eps]  # type: ignore[var-annotated]
    saved_adversarial: list[list[NDArray[np.float32]]] = [[] for _ in plan.eps]
    distances: list[NDArray[np.float64]] = []
    num_flat = num_done = 0
    for start in range(0, len(samples), plan.batch_size):
        index = np.arange(start, min(start + plan.batch_size, len(samples)))
        x = samples.load(index).astype(np.float32)
        labels = samples.labels[index]
        toward = labels if plan.target is None else np.full_like(labels, plan.target)
        before = probabilities(x).numpy()
        _check_finite(before, "outputs")
        predicted.append(before.argmax(axis=1))
        confidence.append(before.max(axis=1))
        if plan.kind not in WITHOUT_GRADIENTS:
            slope = gradients(x, toward).numpy()
            _check_finite(slope, "gradients")
            is_flat = (slope == 0).reshape(len(x), -1).all(axis=1)
            num_flat += int((is_flat & (before.argmax(axis=1) == labels)).sum())
        in_batch = saved[np.isin(saved, index)] - start
        saved_x.append(x[in_batch])
        for number, eps in enumerate(plan.eps):
            adversarial = x if eps == 0 else attack(x, toward, eps * 255, index)
            _check_budget(adversarial, x, eps, plan.norm)
            after = probabilities(adversarial).numpy()
            rounded = probabilities(np.rint(adversarial)).numpy()
            parts[number].append(robustness.outcome(x, adversarial, after, rounded, pixel_range=255.0))
            saved_adversarial[number].append(adversarial[in_batch])
            num_done += len(index)
            if progress is not None:
                progress(num_done, len(samples) * len(plan.eps))
        if plan.kind == "deepfool":
            nearest = attack(x, toward, np.inf, index)
            is_broken = (before.argmax(axis=1) == labels) & (probabilities(nearest).numpy().argmax(axis=1) != labels)
            lengths = np.linalg.norm((nearest - x).reshape(len(x), -1).astype(np.float64), axis=1) / 255
            distances.append(lengths[is_broken])
    clean = robustness.Clean(np.concatenate(predicted), np.concatenate(confidence))
    outcomes = [robustness.joined(part) for part in parts]
    rows = [
        robustness.summary(samples.labels, clean, outcome, eps=eps, num_zero_gradients=num_flat, target=plan.target)
        for eps, outcome in zip(plan.eps, outcomes, strict=True)
    ]
    return AttackOutcome(
        *(rows, clean, outcomes, saved, np.concatenate(saved_x)),
        np.stack([np.concatenate(part) for part in saved_adversarial]),
        np.concatenate(distances) if distances else None,
    )


def _check_finite(values: NDArray[np.float32], what: str) -> None:
    is_bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if is_bad.any():
        hint = " Attack it without gradients, with --square." if what == "gradients" else ""
        raise InputError(f"its {what} must be finite, but are not for {is_bad.sum()} of {len(values)} samples.{hint}")


def _check_budget(adversarial: NDArray[np.float32], x: NDArray[np.float32], eps: float, norm: Norm) -> None:
    """Check that an attack stayed within its budget and the pixel range; every attack passes through here."""
    change = (adversarial.astype(np.float64) - x).reshape(len(x), -1)
    size = np.abs(change).max(initial=0.0) if norm == "linf" else np.linalg.norm(change, axis=1).max(initial=0.0)
    assert size <= eps * 255 * (1 + 1e-5) + ROUNDING_ERROR, f"an attack exceeded its budget: {size} of {eps * 255}"
    low, high = float(adversarial.min()), float(adversarial.max())
    assert PIXELS[0] <= low <= high <= PIXELS[1], f"an attack left the pixel range: {low} to {high}"
