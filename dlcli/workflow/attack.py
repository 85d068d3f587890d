"""``dlcli attack``: adversarial examples for a classifier, what they do to its accuracy, and whether to believe it."""

import itertools
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from dlcli.attacks import gradient
from dlcli.attacks.apgd import apgd
from dlcli.attacks.deepfool import deepfool
from dlcli.attacks.fgsm import fgsm
from dlcli.attacks.gradient import Attack, Norm
from dlcli.attacks.noise import noise
from dlcli.attacks.pgd import iterated
from dlcli.attacks.square import square
from dlcli.data.samples import Samples, evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import robustness
from dlcli.report import plots
from dlcli.rundir import csv_text, now, read_csv, replace_by, replace_file, replace_json
from dlcli.workflow.talk import Talk
from dlcli.workflow.target import Target
from dlcli.workflow.train import command, versions

Kind = Literal["fgsm", "bim", "pgd", "mi-fgsm", "deepfool", "apgd", "apgd-dlr", "square", "noise", "suite"]
ITERATED: tuple[Kind, ...] = ("bim", "pgd", "mi-fgsm", "apgd", "apgd-dlr")
SUITE: tuple[Kind, ...] = ("apgd", "apgd-dlr", "deepfool", "square")
NUM_STEPS: dict[Kind, int] = {
    "bim": 10,
    "pgd": 40,
    "mi-fgsm": 10,
    "apgd": 100,
    "apgd-dlr": 100,
    "deepfool": 50,
    "square": 1000,
}
PIXELS = (0.0, 255.0)  # bounds of what attacks change
CHECKED = 100  # samples that the dearer checks take
LARGE_EPS = 0.5  # at which nothing can be told from a picture any more
TOLERANCE = 0.02  # of accuracy, within which a check passes: a sample or two
STEPS_TOLERANCE = 0.05
NUM_EXAMPLES = 6
ROUNDED_UP = 1e-4  # of a pixel's 255: what float32 adds to a budget at most


@dataclass(frozen=True)
class Plan:
    """What is done to the samples.

    Attributes:
        kind: of attack.
        eps: budgets as fractions of the pixels' range, rising.
        steps, step_size, restarts: of iterated attacks; None for what the kind has. The size of a step is a proportion
            of eps.
        loss: what is raised: cross-entropy or margin.
        target: the class that is led to; None for any but the label.
    """

    kind: Kind
    eps: tuple[float, ...]
    norm: Norm
    steps: int | None
    step_size: float | None
    restarts: int
    loss: Literal["cross-entropy", "margin"]
    target: int | None
    seed: int
    batch_size: int
    num_saved: int | None


def make_attack(plan: Plan, target: Target) -> Attack:
    """The attack of a plan; a minimal one is kept where it fits into the budget.

    Raises:
        InputError: the kind does not go with the norm or a target.
    """
    loss = _loss(plan, target)
    steps = plan.steps or NUM_STEPS.get(plan.kind, 1)
    common: dict[str, Any] = {"norm": plan.norm, "bounds": PIXELS}
    size = plan.step_size
    match plan.kind:
        case "fgsm":
            return fgsm(target.logits, loss=loss, **common)
        case "bim":
            return iterated(target.logits, loss=loss, steps=steps, step_size=size or 2.5 / steps, **common)
        case "pgd":
            return iterated(
                target.logits,
                loss=loss,
                steps=steps,
                step_size=size or 2.5 / steps,
                restarts=plan.restarts,
                seed=plan.seed,
                **common,
            )
        case "mi-fgsm":
            return iterated(
                target.logits, loss=loss, steps=steps, step_size=size or 1.0 / steps, momentum=1.0, **common
            )
        case "apgd" | "apgd-dlr":
            return apgd(target.logits, loss=loss, steps=steps, restarts=plan.restarts, seed=plan.seed, **common)
        case "noise":
            return noise(norm=plan.norm, bounds=PIXELS, seed=plan.seed)
        case "deepfool":
            _refuse(plan, "deepfool", norm="l2")
            return _within_budget(deepfool(target.logits, bounds=PIXELS, steps=steps))
        case "square":
            _refuse(plan, "square", norm="linf")
            return square(target.logits, loss=gradient.margin, bounds=PIXELS, queries=steps, seed=plan.seed)
        case "suite":
            return _worst_of(plan, target)
    raise AssertionError(plan.kind)


def _loss(plan: Plan, target: Target) -> gradient.Loss:
    """What an attack raises; for a targeted one with the target in place of the label."""
    loss: gradient.Loss = gradient.margin if plan.loss == "margin" else gradient.cross_entropy
    if plan.kind == "apgd-dlr":
        loss = gradient.logits_ratio if target.num_classes > 2 else gradient.margin
    return loss if plan.target is None else gradient.toward(loss)


def _refuse(plan: Plan, name: str, *, norm: Norm) -> None:
    if plan.norm != norm:
        raise InputError(f"--{name} measures changes in {norm}: use --norm {norm}. Received {plan.norm}.")
    if plan.target is not None:
        raise InputError(f"--{name} leads away from the label, not to a target; remove --target.")


def _within_budget(find: gradient.MinimalAttack) -> Attack:
    found: dict[tuple[int, ...], NDArray[np.float32]] = {}

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        key = tuple(index.tolist())
        if key not in found:  # the same for every epsilon
            found.clear()
            found[key] = find(x, label)
        near = np.linalg.norm((found[key] - x).reshape(len(x), -1), axis=1) <= eps
        return np.where(near.reshape(-1, *[1] * (x.ndim - 1)), found[key], x)

    return attack


def _worst_of(plan: Plan, target: Target) -> Attack:
    """For each sample the first of several attacks that succeeds, as AutoAttack has it (Croce and Hein 2020)."""
    if plan.target is not None:
        raise InputError("--suite leads away from the label, not to a target; remove --target.")
    kinds = [kind for kind in SUITE if kind != ("square" if plan.norm == "l2" else "deepfool")]
    attacks = [make_attack(replace(plan, kind=kind, steps=None, step_size=None), target) for kind in kinds]
    predict = gradient.compiled(lambda x: tf.argmax(target.logits(x), axis=1))

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        worst = x.copy()
        for one in attacks:
            left = np.flatnonzero(predict(worst).numpy() == label)
            if not len(left):
                break
            worst[left] = one(x[left], label[left], eps, index[left])
        return worst

    return attack


# Running --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Found:
    """What an attack came to: the summary rows, the outcomes by epsilon, and the samples that are kept."""

    rows: list[dict[str, Any]]
    clean: NDArray[np.float32]
    outcomes: list[robustness.Outcome]
    x: NDArray[np.float32]
    adversarial: NDArray[np.float32]


def run_attack(
    plan: Plan,
    target: Target,
    samples: Samples,
    *,
    scored_by: Target | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Found:
    """Attacks samples batch by batch; memory is bounded by a batch and by the samples that are kept.

    Args:
        scored_by: the network whose answers count, where it is not the one that is attacked.
    """
    attack = make_attack(plan, target)
    judge = scored_by or target
    probabilities = gradient.compiled(lambda x: tf.nn.softmax(judge.logits(x)))
    loss = _loss(plan, target)
    slopes = gradient.compiled(lambda x, y: gradient.gradient(target.logits, loss, x, y)[1])
    num_saved = len(samples) if plan.num_saved is None else min(plan.num_saved, len(samples))
    clean, kept_x, parts = [], [], [[] for _ in plan.eps]  # type: ignore[var-annotated]
    kept: list[list[NDArray[np.float32]]] = [[] for _ in plan.eps]
    num_flat = 0
    for start in range(0, len(samples), plan.batch_size):
        index = np.arange(start, min(start + plan.batch_size, len(samples)))
        x = samples.load(index).astype(np.float32)
        labels = samples.labels[index]
        toward = labels if plan.target is None else np.full_like(labels, plan.target)
        clean.append(probabilities(x).numpy())
        if plan.kind not in ("noise", "square"):
            slope = slopes(x, toward).numpy()
            num_flat += int((slope == 0).reshape(len(x), -1).all(axis=1).sum())
        wanted = max(0, min(num_saved - start, len(index)))
        kept_x.append(x[:wanted])
        for number, eps in enumerate(plan.eps):
            adversarial = x if eps == 0 else attack(x, toward, eps * 255, index)
            _check_budget(adversarial, x, eps, plan.norm)
            after = probabilities(adversarial).numpy()
            rounded = probabilities(np.rint(adversarial)).numpy()
            parts[number].append(robustness.outcome(x, adversarial, after, rounded, pixel_range=255.0))
            kept[number].append(adversarial[:wanted])
        if progress is not None:
            progress(int(index[-1]) + 1, len(samples))
    before = np.concatenate(clean)
    outcomes = [robustness.joined(part) for part in parts]
    rows = [
        robustness.summary(samples.labels, before, found, eps=eps, num_zero_gradients=num_flat, target=plan.target)
        for eps, found in zip(plan.eps, outcomes, strict=True)
    ]
    return Found(rows, before, outcomes, np.concatenate(kept_x), np.stack([np.concatenate(part) for part in kept]))


def _check_budget(adversarial: NDArray[np.float32], x: NDArray[np.float32], eps: float, norm: Norm) -> None:
    """The one place that holds every attack to its budget, whoever made it."""
    change = (adversarial.astype(np.float64) - x).reshape(len(x), -1)
    size = np.abs(change).max(initial=0.0) if norm == "linf" else np.linalg.norm(change, axis=1).max(initial=0.0)
    assert size <= eps * 255 * (1 + 1e-5) + ROUNDED_UP, f"an attack left its budget: {size} of {eps * 255}"
    low, high = float(adversarial.min()), float(adversarial.max())
    assert PIXELS[0] <= low <= high <= PIXELS[1], f"an attack left the pixels' range: {low} to {high}"


# Checks ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Check:
    """One of the field's sanity checks (Carlini et al. 2019, section 4)."""

    name: str
    passed: bool
    details: str


def checks(plan: Plan, target: Target, samples: Samples, found: Found, noisy: Found | None) -> list[Check]:
    """What must hold of any attack that finds what there is to be found."""
    robust = [row["robust_accuracy"] for row in found.rows]
    results: list[Check] = []
    if noisy is not None and plan.target is None:
        worst = max((a - b["robust_accuracy"] for a, b in zip(robust, noisy.rows, strict=True)), default=0.0)
        results.append(
            Check("stronger than noise of the same size", worst <= TOLERANCE, f"accuracy is {worst:+.3f} at most")
        )
    if plan.kind in (*ITERATED, "suite") and plan.target is None:
        few = take_evenly(samples, CHECKED)
        largest = max(plan.eps)
        rises = max((b - a for a, b in itertools.pairwise(robust)), default=0.0)
        results.append(Check("monotone in epsilon", rises <= TOLERANCE, f"accuracy rises by {rises:.3f} at most"))
        own = _accuracy(replace(plan, eps=(largest,)), target, few)
        single = _accuracy(replace(plan, kind="fgsm", eps=(largest,)), target, few)
        results.append(
            Check("not weaker than one step", own <= single + TOLERANCE, f"accuracy {own:.3f}, of FGSM {single:.3f}")
        )
        if plan.norm == "linf":
            chance = 1 / target.num_classes
            at_half = _accuracy(replace(plan, eps=(LARGE_EPS,)), target, few)
            results.append(
                Check(
                    f"at or below chance at eps {LARGE_EPS}", at_half <= chance + TOLERANCE, f"accuracy {at_half:.3f}"
                )
            )
        if plan.kind != "suite":
            steps = 2 * (plan.steps or NUM_STEPS[plan.kind])
            twice = _accuracy(replace(plan, eps=(largest,), steps=steps), target, few)
            gain = own - twice
            results.append(
                Check(
                    "twice the steps change little",
                    gain <= STEPS_TOLERANCE,
                    f"accuracy falls by {gain:.3f} with {steps}",
                )
            )
    return results


def take_evenly(samples: Samples, number: int) -> Samples:
    """Some samples, taken evenly over the split."""
    index = evenly_spaced(len(samples), number)
    return replace(
        samples,
        names=tuple(samples.names[i] for i in index),
        labels=samples.labels[index],
        digests=tuple(samples.digests[i] for i in index),
        groups=None,
        pixels=samples.load(index),
        files=None,
        unsized=None,
    )


def _accuracy(plan: Plan, target: Target, samples: Samples) -> float:
    return float(run_attack(replace(plan, num_saved=0), target, samples).rows[0]["robust_accuracy"])


# Results --------------------------------------------------------------------------------------------------------------


def attack(
    plan: Plan,
    target: Target,
    samples: Samples,
    *,
    classes: Sequence[str],
    folder: Path,
    source: dict[str, Any],
    scored_by: Target | None,
    talk: Talk,
) -> dict[str, Any]:
    """Attacks, checks, and writes robustness.csv, samples.csv, adversarial.npz, examples.png, curve.png, attack.json.

    Args:
        folder: where the files go, beside the attacks of the same network.
        source: what is attacked and on which samples, for attack.json.

    Returns what attack.json holds, and ``rows`` and ``folder``.
    """
    if target.note:
        talk.warn(target.note)
    found = run_attack(plan, target, samples, scored_by=scored_by, progress=talk.evaluating)
    noisy = None
    if plan.kind != "noise" and scored_by is None:
        noisy = run_attack(replace(plan, kind="noise", target=None, num_saved=0), target, samples)
    results = checks(plan, target, samples, found, noisy) if scored_by is None else []
    for check in results:
        if not check.passed:
            talk.warn(f"check failed: {check.name}: {check.details}")
    num_flat = found.rows[0]["zero_gradients"]
    if num_flat:
        hint = "" if plan.loss == "margin" else "; --loss margin has slopes where the network is sure of itself"
        talk.warn(f"{num_flat:,} of {len(samples):,} samples have no gradient at all{hint}")
    folder.mkdir(parents=True, exist_ok=True)
    replace_file(folder / "robustness.csv", csv_text(list(found.rows[0]), (list(row.values()) for row in found.rows)))
    by_sample = list(
        itertools.chain.from_iterable(
            robustness.per_sample(samples.names, samples.labels, found.clean, outcome, classes, eps=eps)
            for eps, outcome in zip(plan.eps, found.outcomes, strict=True)
        )
    )
    replace_file(folder / "samples.csv", csv_text(list(by_sample[0]), (list(row.values()) for row in by_sample)))
    num_kept = len(found.x)
    arrays = {
        "x": found.x,
        "x_adv": found.adversarial,
        "y": samples.labels[:num_kept],
        "eps": np.array(plan.eps) * 255,
    }
    replace_by(folder / "adversarial.npz", lambda path: np.savez(path, allow_pickle=False, **arrays))
    if num_kept:
        replace_file(folder / "examples.png", _examples(found, samples, classes))
    curves = _curves(folder, plan, found, noisy)
    replace_file(folder / "curve.png", plots.robustness_curves(curves))
    info = {
        "attacked": now(),
        "command": command(),
        "versions": versions(),
        **source,
        "samples": len(samples),
        "settings": {**asdict(plan), "eps": list(plan.eps), "steps": plan.steps or NUM_STEPS.get(plan.kind, 1)},
        "note": target.note,
        "checks": [asdict(check) for check in results],
        "noise": None if noisy is None else [row["robust_accuracy"] for row in noisy.rows],
    }
    replace_json(folder / "attack.json", info)
    return {"folder": str(folder), "rows": found.rows, **info}


def _examples(found: Found, samples: Samples, classes: Sequence[str]) -> bytes:
    """Clean, change and adversarial pictures side by side, at the largest budget."""
    last, shown = len(found.adversarial) - 1, range(min(NUM_EXAMPLES, len(found.x)))
    before, after = found.clean, found.outcomes[last].probabilities

    def caption(probabilities: NDArray[np.float32], i: int) -> str:
        best = int(probabilities[i].argmax())
        return f"{classes[best]} {probabilities[i, best]:.2f}"

    x, adversarial = found.x[: len(shown)], found.adversarial[last, : len(shown)]
    change = adversarial - x
    factor = 127.5 / max(float(np.abs(change).max(initial=0.0)), 1e-6)
    return plots.preview(
        [
            ("clean", x, [f"{classes[samples.labels[i]]}: {caption(before, i)}" for i in shown]),
            (f"change x {factor:.3g}", 127.5 + factor * change, ["" for _ in shown]),
            ("adversarial", adversarial, [caption(after, i) for i in shown]),
        ]
    )


def _curves(folder: Path, plan: Plan, found: Found, noisy: Found | None) -> dict[str, list[tuple[float, float]]]:
    """Accuracy by epsilon of this attack, of noise, and of the other attacks beside it in the same norm."""
    curves = {folder.name: [(row["eps"], row["robust_accuracy"]) for row in found.rows]}
    if noisy is not None:
        curves["noise"] = [(row["eps"], row["robust_accuracy"]) for row in noisy.rows]
    for other in sorted(folder.parent.glob("*/robustness.csv")):
        if other.parent == folder or other.parent.name in curves:
            continue
        try:
            rows = read_csv(other)
            settings = (other.parent / "attack.json").read_text()
        except (InputError, OSError):
            continue
        if f'"norm": "{plan.norm}"' in settings:
            curves[other.parent.name] = [(float(row["eps"]), float(row["robust_accuracy"])) for row in rows]
    return curves
