"""``dlcli attack``: adversarial examples for a classifier, what they do to its accuracy, and whether to believe it."""

import contextlib
import itertools
import json
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
from dlcli.data.images.samples import Samples
from dlcli.data.splits import evenly_spaced
from dlcli.errors import InputError
from dlcli.evaluation import robustness
from dlcli.report.plots import images as image_plots
from dlcli.report.plots import robustness as robustness_plots
from dlcli.rundir import csv_text, now, read_csv, read_json, replace_folder
from dlcli.workflow.attack_sources import USERS
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

    @property
    def num_steps(self) -> int:
        """Of one run; queries of square."""
        return self.steps or NUM_STEPS.get(self.kind, 1)

    @property
    def size_of_step(self) -> float:
        """As a proportion of eps."""
        if self.step_size is not None:
            return self.step_size
        return (1.0 if self.kind == "mi-fgsm" else 2.5) / self.num_steps

    def settings(self) -> dict[str, Any]:
        """What of it the attack makes use of, for attack.json."""
        values = {**asdict(self), "eps": list(self.eps), "steps": self.num_steps, "step_size": self.size_of_step}
        return {key: value for key, value in values.items() if key not in USERS or self.kind in USERS[key]}


def make_attack(plan: Plan, target: Target) -> Attack:
    """The attack of a plan; a minimal one is kept where it fits into the budget."""
    loss = _loss(plan, target)
    steps, size = plan.num_steps, plan.size_of_step
    common: dict[str, Any] = {"norm": plan.norm, "bounds": PIXELS}
    random: dict[str, Any] = {
        "restarts": plan.restarts,
        "seed": plan.seed,
        "succeeds": gradient.is_missed if plan.target is None else gradient.is_reached,
    }
    match plan.kind:
        case "fgsm":
            return fgsm(target.logits, loss=loss, **common)
        case "bim":
            return iterated(target.logits, loss=loss, steps=steps, step_size=size, **common)
        case "pgd":
            return iterated(target.logits, loss=loss, steps=steps, step_size=size, **random, **common)
        case "mi-fgsm":
            return iterated(target.logits, loss=loss, steps=steps, step_size=size, momentum=1.0, **common)
        case "apgd" | "apgd-dlr":
            return apgd(target.logits, loss=loss, steps=steps, **random, **common)
        case "noise":
            return noise(norm=plan.norm, bounds=PIXELS, seed=plan.seed)
        case "deepfool":
            return _within_budget(deepfool(target.logits, bounds=PIXELS, steps=steps))
        case "square":
            return square(target.logits, loss=gradient.margin, bounds=PIXELS, queries=steps, seed=plan.seed)
        case "suite":
            return _worst_of(plan, target)
    raise AssertionError(plan.kind)


def _loss(plan: Plan, target: Target) -> gradient.Loss:
    """What an attack raises; for a targeted one with the target in place of the label."""
    by_margin = plan.loss == "margin" or plan.kind in ("deepfool", "square")
    loss: gradient.Loss = gradient.margin if by_margin else gradient.cross_entropy
    if plan.kind == "apgd-dlr":
        loss = gradient.logits_ratio if target.num_classes > 2 else gradient.margin
    return loss if plan.target is None else gradient.toward(loss)


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
    """What an attack came to.

    Attributes:
        rows: of robustness.csv.
        clean: probabilities of the pictures as they are.
        outcomes: by epsilon.
        kept: positions of the samples whose pixels are kept: ``x`` and ``adversarial``.
        distances: of deepfool, for each sample that it broke the length of its change, as a multiple of the pixels'
            range, whatever the budget.
    """

    rows: list[dict[str, Any]]
    clean: NDArray[np.float32]
    outcomes: list[robustness.Outcome]
    kept: NDArray[np.int64]
    x: NDArray[np.float32]
    adversarial: NDArray[np.float32]
    distances: NDArray[np.float64] | None


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
        progress: is told how many attacks of a sample are done, of how many.

    Raises:
        InputError: the network's outputs or gradients cannot be used.
    """
    attack = make_attack(plan, target)
    judge = scored_by or target
    probabilities = gradient.compiled(lambda x: tf.nn.softmax(judge.logits(x)))
    loss = _loss(plan, target)
    slopes = gradient.compiled(lambda x, y: gradient.gradient(target.logits, loss, x, y)[1])
    saved = np.arange(len(samples)) if plan.num_saved is None else evenly_spaced(len(samples), plan.num_saved)
    clean, kept_x, parts = [], [], [[] for _ in plan.eps]  # type: ignore[var-annotated]
    kept: list[list[NDArray[np.float32]]] = [[] for _ in plan.eps]
    distances: list[NDArray[np.float64]] = []
    num_flat = num_done = 0
    for start in range(0, len(samples), plan.batch_size):
        index = np.arange(start, min(start + plan.batch_size, len(samples)))
        x = samples.load(index).astype(np.float32)
        labels = samples.labels[index]
        toward = labels if plan.target is None else np.full_like(labels, plan.target)
        before = probabilities(x).numpy()
        _check_finite(before, "outputs")
        clean.append(before)
        if plan.kind not in ("noise", "square"):
            slope = slopes(x, toward).numpy()
            _check_finite(slope, "gradients")
            is_flat = (slope == 0).reshape(len(x), -1).all(axis=1)
            num_flat += int((is_flat & (before.argmax(axis=1) == labels)).sum())
        wanted = saved[np.isin(saved, index)] - start
        kept_x.append(x[wanted])
        for number, eps in enumerate(plan.eps):
            adversarial = x if eps == 0 else attack(x, toward, eps * 255, index)
            _check_budget(adversarial, x, eps, plan.norm)
            after = probabilities(adversarial).numpy()
            rounded = probabilities(np.rint(adversarial)).numpy()
            parts[number].append(robustness.outcome(x, adversarial, after, rounded, pixel_range=255.0))
            kept[number].append(adversarial[wanted])
            num_done += len(index)
            if progress is not None:
                progress(num_done, len(samples) * len(plan.eps))
        if plan.kind == "deepfool":
            nearest = attack(x, toward, np.inf, index)
            is_broken = (before.argmax(axis=1) == labels) & (probabilities(nearest).numpy().argmax(axis=1) != labels)
            lengths = np.linalg.norm((nearest - x).reshape(len(x), -1).astype(np.float64), axis=1) / 255
            distances.append(lengths[is_broken])
    before = np.concatenate(clean)
    outcomes = [robustness.joined(part) for part in parts]
    rows = [
        robustness.summary(samples.labels, before, found, eps=eps, num_zero_gradients=num_flat, target=plan.target)
        for eps, found in zip(plan.eps, outcomes, strict=True)
    ]
    return Found(
        *(rows, before, outcomes, saved, np.concatenate(kept_x)),
        np.stack([np.concatenate(part) for part in kept]),
        np.concatenate(distances) if distances else None,
    )


def _check_finite(values: NDArray[np.float32], what: str) -> None:
    is_bad = ~np.isfinite(values).reshape(len(values), -1).all(axis=1)
    if is_bad.any():
        hint = " Attack it without gradients, with --square." if what == "gradients" else ""
        raise InputError(
            f"its {what} must be finite numbers, and are not for {is_bad.sum()} of {len(values)} samples.{hint}"
        )


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
    if plan.kind not in ("noise", "square"):
        num_flat = found.rows[0]["zero_gradients"]
        results.append(Check("every sample that is right has a gradient", num_flat == 0, f"{num_flat} have none"))
    if noisy is not None:
        under_noise = [row["robust_accuracy"] for row in noisy.rows]
        is_no_weaker = all(a <= b + TOLERANCE for a, b in zip(robust, under_noise, strict=True))
        is_stronger = robust[-1] < under_noise[-1] or under_noise[-1] == 0 or plan.eps[-1] == 0
        details = f"accuracy {robust[-1]:.3f} at the largest eps, under noise {under_noise[-1]:.3f}"
        results.append(Check("stronger than noise of the same size", is_no_weaker and is_stronger, details))
    if plan.kind in (*ITERATED, "suite") and plan.target is None:
        few = take_evenly(samples, CHECKED)
        largest = max(plan.eps)
        rises = max((b - a for a, b in itertools.pairwise(robust)), default=0.0)
        details = f"accuracy rises by {rises:.3f}" if rises > 0 else "accuracy never rises"
        results.append(Check("monotone in epsilon", rises <= TOLERANCE, details))
        own = _accuracy(replace(plan, eps=(largest,)), target, few)
        single = _accuracy(replace(plan, kind="fgsm", eps=(largest,)), target, few)
        results.append(
            Check("not weaker than one step", own <= single + TOLERANCE, f"accuracy {own:.3f}, of FGSM {single:.3f}")
        )
        chance = 1 / target.num_classes
        # in l2 as long as the change that moves every pixel by so much
        large = LARGE_EPS if plan.norm == "linf" else LARGE_EPS * float(np.prod(target.shape)) ** 0.5
        at_large = _accuracy(replace(plan, eps=(large,)), target, few)
        results.append(
            Check(f"at or below chance at eps {large:.3g}", at_large <= chance + TOLERANCE, f"accuracy {at_large:.3f}")
        )
        if plan.kind != "suite":
            steps = 2 * plan.num_steps
            twice = _accuracy(replace(plan, eps=(largest,), steps=steps), target, few)
            gain = own - twice
            results.append(
                Check(
                    "twice the steps change little",
                    gain <= STEPS_TOLERANCE,
                    f"accuracy {own:.3f}, with {steps} {twice:.3f}",
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
    parent: Path,
    name: str,
    source: dict[str, Any],
    scored_by: Target | None,
    with_checks: bool,
    talk: Talk,
) -> dict[str, Any]:
    """Attacks, checks, and writes robustness.csv, samples.csv, adversarial.npz, examples.png, curve.png, attack.json.

    Args:
        parent: of the results' folder, where those of the same network's other attacks are.
        name: of the folder; with a number where it has the results of another attack.
        source: what is attacked and on which samples, for attack.json.

    Returns what attack.json holds, and ``rows`` and ``folder``.

    Raises:
        InputError: the network cannot be attacked like that.
    """
    try:
        found, noisy, results = _run_and_check(plan, target, samples, scored_by, with_checks, talk)
    except (InputError, gradient.NoGradient) as reason:
        raise InputError(f"{source['model']}: {reason}") from None
    for check in results:
        if not check.passed:
            talk.warn(f"check failed: {check.name}: {check.details}")
    num_flat = found.rows[0]["zero_gradients"]
    if num_flat and plan.loss != "margin" and plan.kind in USERS["loss"]:
        talk.say("--loss margin has slopes where a network is sure of itself")
    info = {
        "attacked": now(),
        "command": command(),
        "versions": versions(),
        **source,
        "samples": len(samples),
        "settings": plan.settings(),
        "note": target.note,
        "checks": [asdict(check) for check in results],
        "noise": None if noisy is None else [row["robust_accuracy"] for row in noisy.rows],
        "distances": None if found.distances is None else _described(found.distances),
    }
    folder = _free_folder(parent, name, info)
    files = _files(plan, found, noisy, samples, classes, info, folder)
    replace_folder(folder, files)
    return {"folder": str(folder), "rows": found.rows, **info}


def _run_and_check(
    plan: Plan, target: Target, samples: Samples, scored_by: Target | None, with_checks: bool, talk: Talk
) -> tuple[Found, Found | None, list[Check]]:
    if target.note:
        talk.warn(target.note)
    found = run_attack(plan, target, samples, scored_by=scored_by, progress=talk.evaluating)
    if not with_checks or scored_by is not None or plan.target is not None:  # which the checks are not made for
        return found, None, []
    talk.say("checking the attack")
    noisy = None if plan.kind == "noise" else run_attack(replace(plan, kind="noise", num_saved=0), target, samples)
    return found, noisy, checks(plan, target, samples, found, noisy)


def _described(distances: NDArray[np.float64]) -> dict[str, Any]:
    found = {"broken": len(distances)}
    return found | ({"mean": float(distances.mean()), "median": float(np.median(distances))} if len(distances) else {})


def _what_was_done(info: dict[str, Any]) -> dict[str, Any]:
    return {key: info.get(key) for key in ("sha256", "split", "samples", "settings", "transfer_to", "other_sha256")}


def _free_folder(parent: Path, name: str, info: dict[str, Any]) -> Path:
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


def _files(
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
        "robustness.csv": csv_text(list(found.rows[0]), (list(row.values()) for row in found.rows)),
        "samples.csv": csv_text(list(by_sample[0]), (list(row.values()) for row in by_sample)),
        "adversarial.npz": lambda path: np.savez(path, allow_pickle=False, **arrays),
        "curve.png": robustness_plots.robustness_curves(_curves(folder, info, found, noisy), norm=plan.norm),
        "attack.json": json.dumps(info, indent=2, ensure_ascii=False) + "\n",
    }
    if len(found.kept):
        files["examples.png"] = _examples(plan, found, samples, classes)
    return files


def _examples(plan: Plan, found: Found, samples: Samples, classes: Sequence[str]) -> bytes:
    """Clean, change and adversarial pictures side by side, at the largest budget; those that were right come first."""
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
