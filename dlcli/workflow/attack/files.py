"""The files that an attack writes."""

import contextlib
import itertools
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.evaluation import robustness
from dlcli.printing import json_text
from dlcli.report.plots import images as image_plots
from dlcli.report.plots import robustness as robustness_plots
from dlcli.rundir.reading import read_json
from dlcli.rundir.tables import read_csv, rows_text
from dlcli.workflow.attack.plan import Plan
from dlcli.workflow.attack.run import AttackOutcome

NUM_EXAMPLES = 6


def describe_distances(distances: NDArray[np.float64]) -> dict[str, Any]:
    """The number, mean and median of the perturbation lengths of an attack without a budget."""
    counts = {"broken": len(distances)}
    return counts | ({"mean": float(distances.mean()), "median": float(np.median(distances))} if len(distances) else {})


def _identity(info: dict[str, Any]) -> dict[str, Any]:
    """The values of attack.json by which two attacks are the same."""
    return {key: info.get(key) for key in ("sha256", "split", "samples", "settings", "transfer_to", "other_sha256")}


def has_same_attack(folder: Path, info: dict[str, Any]) -> bool:
    """Whether a results folder has the results of the same attack."""
    identity = json.loads(json.dumps(_identity(info)))
    with contextlib.suppress(InputError, OSError):
        return bool(_identity(read_json(folder / "attack.json")) == identity)
    return False


def write_files(
    plan: Plan,
    result: AttackOutcome,
    noisy: AttackOutcome | None,
    samples: Samples,
    classes: Sequence[str],
    info: dict[str, Any],
    folder: Path,
) -> dict[str, bytes | str | Callable[[Path], None]]:
    """The content of each file by its name, or a function that writes it."""
    by_sample = list(
        itertools.chain.from_iterable(
            robustness.per_sample(samples.names, samples.labels, result.clean, outcome, classes, eps=eps)
            for eps, outcome in zip(plan.eps, result.outcomes, strict=True)
        )
    )
    arrays: dict[str, Any] = {
        "x": result.x,
        "x_adv": result.adversarial,
        "y": samples.labels[result.saved],
        "eps": np.array(plan.eps) * 255,
        "index": result.saved,
    }
    files: dict[str, bytes | str | Callable[[Path], None]] = {
        "robustness.csv": rows_text(result.rows),
        "samples.csv": rows_text(by_sample),
        "adversarial.npz": lambda path: np.savez(path, allow_pickle=False, **arrays),
        "curve.png": robustness_plots.robustness_curves(_curves(folder, info, result, noisy), norm=plan.norm),
        "attack.json": json_text(info) + "\n",
    }
    if len(result.saved):
        files["examples.png"] = _examples(plan, result, samples, classes)
    return files


def _examples(plan: Plan, result: AttackOutcome, samples: Samples, classes: Sequence[str]) -> bytes:
    """Clean and adversarial images and perturbations at the largest budget; correctly classified images come first."""
    before, after = result.clean, result.outcomes[-1]
    is_right = before.predicted == samples.labels
    order = np.argsort(~is_right[result.saved], kind="stable")
    rows = np.sort(order[:NUM_EXAMPLES])
    shown = result.saved[rows]

    def caption(found: robustness.Clean | robustness.Outcome, i: int) -> str:
        return f"{classes[found.predicted[i]]} {found.confidence[i]:.2f}"

    x, adversarial = result.x[rows], result.adversarial[-1, rows]
    change = adversarial - x
    factor = 127.5 / max(float(np.abs(change).max(initial=0.0)), 1e-6)
    return image_plots.preview(
        [
            ("clean", x, [f"label {classes[samples.labels[i]]}\npredicted {caption(before, i)}" for i in shown]),
            (f"perturbation x {factor:.3g}", 127.5 + factor * change, ["" for _ in shown]),
            (f"{plan.kind}, eps {plan.eps[-1]:.3g}", adversarial, [f"predicted {caption(after, i)}" for i in shown]),
        ]
    )


def _curves(
    folder: Path, info: dict[str, Any], result: AttackOutcome, noisy: AttackOutcome | None
) -> dict[str, list[tuple[float, float]]]:
    """Accuracy by epsilon of this attack, of noise, and of other attacks in the run on the same network, samples, norm
    and target."""

    def comparable(info: dict[str, Any]) -> list[Any]:
        keys = ("sha256", "split", "samples", "transfer_to", "other_sha256")
        return [*(info.get(key) for key in keys), *(info["settings"].get(key) for key in ("norm", "target"))]

    curves = {folder.name: [(row["eps"], row["robust_accuracy"]) for row in result.rows]}
    if noisy is not None:
        curves["noise"] = [(row["eps"], row["robust_accuracy"]) for row in noisy.rows]
    for other in sorted(folder.parent.glob("*/robustness.csv")):
        if other.parent.name in curves:
            continue
        with contextlib.suppress(InputError, OSError, KeyError, TypeError, ValueError):
            rows, other_info = read_csv(other), read_json(other.parent / "attack.json")
            if comparable(other_info) == comparable(info):
                curves[other.parent.name] = [(float(row["eps"]), float(row["robust_accuracy"])) for row in rows]
    return curves
