"""What the options of ``dlcli attack`` come to: which attack, with which settings."""

from dataclasses import asdict, dataclass, replace
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
from dlcli.tasks.attack_target import AttackTarget
from dlcli.workflow.attack.request import USERS

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


def make_attack(plan: Plan, target: AttackTarget) -> Attack:
    """The attack of a plan; a minimal one is kept where it fits into the budget."""
    loss = attack_loss(plan, target)
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


def attack_loss(plan: Plan, target: AttackTarget) -> gradient.Loss:
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


def _worst_of(plan: Plan, target: AttackTarget) -> Attack:
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
