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
from dlcli.report.plots import images as image_plots
from dlcli.report.plots import robustness as robustness_plots
from dlcli.rundir import read_csv, read_json, rows_text
from dlcli.workflow.attack.plan import Plan
from dlcli.workflow.attack.run import Found

NUM_EXAMPLES = 6


def describe_distances(distances: NDArray[np.float64]) -> dict[str, Any]:
    found = {"broken": len(distances)}
    return found | ({"mean": float(distances.mean()), "median": float(np.median(distances))} if len(distances) else {})


def _what_was_done(info: dict[str, Any]) -> dict[str, Any]:
    return {key: info.get(key) for key in ("sha256", "split", "samples", "settings", "transfer_to", "other_sha256")}


def free_folder(parent: Path, name: str, info: dict[str, Any]) -> Path:
    """The folder of that name, with a number where it has the results of an attack that was not the same."""
    done = json.loads(json.dumps(_what_was_done(info)))
    for candidate in itertools.chain([name], (f"{name}-{number}" for number in itertools.count(2))):
        folder = parent / candidate
        if not folder.exists():
            return folder
        with contextlib.suppress(InputError, OSError):
            if _what_was_done(read_json(folder / "attack.json")) == done:
                return folder
    raise AssertionError("the numbers do not end")


def write_files(
    plan: Plan,
    found: Found,
    noisy: Found | None,
    samples: Samples,
    classes: Sequence[str],
    info: dict[str, Any],
    folder: Path,
) -> dict[str, bytes | str | Callable[[Path], None]]:
    """The content of each file by its name, or what writes it."""
    by_sample = list(
        itertools.chain.from_iterable(
            robustness.per_sample(samples.names, samples.labels, found.clean, outcome, classes, eps=eps)
            for eps, outcome in zip(plan.eps, found.outcomes, strict=True)
        )
    )
    arrays: dict[str, Any] = {
        "x": found.x,
        "x_adv": found.adversarial,
        "y": samples.labels[found.kept],
        "eps": np.array(plan.eps) * 255,
        "index": found.kept,
    }
    files: dict[str, bytes | str | Callable[[Path], None]] = {
        "robustness.csv": rows_text(found.rows),
        "samples.csv": rows_text(by_sample),
        "adversarial.npz": lambda path: np.savez(path, allow_pickle=False, **arrays),
        "curve.png": robustness_plots.robustness_curves(_curves(folder, info, found, noisy), norm=plan.norm),
        "attack.json": json.dumps(info, indent=2, ensure_ascii=False) + "\n",
    }
    if len(found.kept):
        files["examples.png"] = _examples(plan, found, samples, classes)
    return files


def _examples(plan: Plan, found: Found, samples: Samples, classes: Sequence[str]) -> bytes:
    """Clean, change and adversarial images side by side, at the largest budget; those that were right come first."""
    before, after = found.clean, found.outcomes[-1].probabilities
    is_right = before.argmax(axis=1) == samples.labels
    order = np.argsort(~is_right[found.kept], kind="stable")
    rows = np.sort(order[:NUM_EXAMPLES])
    shown = found.kept[rows]

    def caption(probabilities: NDArray[np.float32], i: int) -> str:
        best = int(probabilities[i].argmax())
        return f"{classes[best]} {probabilities[i, best]:.2f}"

    x, adversarial = found.x[rows], found.adversarial[-1, rows]
    change = adversarial - x
    factor = 127.5 / max(float(np.abs(change).max(initial=0.0)), 1e-6)
    return image_plots.preview(
        [
            ("clean", x, [f"is {classes[samples.labels[i]]}\ntaken for {caption(before, i)}" for i in shown]),
            (f"change x {factor:.3g}", 127.5 + factor * change, ["" for _ in shown]),
            (f"{plan.kind}, eps {plan.eps[-1]:.3g}", adversarial, [f"taken for {caption(after, i)}" for i in shown]),
        ]
    )


def _curves(
    folder: Path, info: dict[str, Any], found: Found, noisy: Found | None
) -> dict[str, list[tuple[float, float]]]:
    """Accuracy by epsilon of this attack, of noise, and of those beside it that can be compared: the same network,
    samples, norm and target."""

    def compared(of: dict[str, Any]) -> list[Any]:
        keys = ("sha256", "split", "samples", "transfer_to", "other_sha256")
        return [*(of.get(key) for key in keys), *(of["settings"].get(key) for key in ("norm", "target"))]

    curves = {folder.name: [(row["eps"], row["robust_accuracy"]) for row in found.rows]}
    if noisy is not None:
        curves["noise"] = [(row["eps"], row["robust_accuracy"]) for row in noisy.rows]
    for other in sorted(folder.parent.glob("*/robustness.csv")):
        if other.parent.name in curves:
            continue
        with contextlib.suppress(InputError, OSError, KeyError, TypeError, ValueError):
            rows, of_other = read_csv(other), read_json(other.parent / "attack.json")
            if compared(of_other) == compared(info):
                curves[other.parent.name] = [(float(row["eps"]), float(row["robust_accuracy"])) for row in rows]
    return curves
