"""The attack and its settings that the options of ``dlcli attack`` ask for."""

from collections.abc import Callable
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
from dlcli.workflow.attack.kinds import ATTACKS_BY_OPTION, NUM_STEPS, ONLY_NORM, SUITE, Kind

PIXELS = (0.0, 255.0)  # bounds of adversarial images


ROUNDING_ERROR = 1e-4  # of pixels in [0, 255]: how far float32 rounding can exceed a budget


@dataclass(frozen=True)
class Plan:
    """An attack and its settings.

    Attributes:
        kind: the attack.
        eps: budgets as fractions of the pixel range, ascending.
        steps, step_size, restarts: of iterated attacks; None for the defaults of the kind. The step size is a fraction
            of eps.
        loss: the loss to maximize: cross-entropy or margin.
        target: the target class; None for an untargeted attack.
        num_saved: number of samples to save in adversarial.npz; None for all.
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
        """The steps of one restart; the queries of square."""
        return self.steps or NUM_STEPS.get(self.kind, 1)

    @property
    def size_of_step(self) -> float:
        """The step size as a fraction of eps."""
        if self.step_size is not None:
            return self.step_size
        return (1.0 if self.kind == "mi-fgsm" else 2.5) / self.num_steps

    def settings(self) -> dict[str, Any]:
        """The settings that the attack uses, for attack.json."""
        values = {**asdict(self), "eps": list(self.eps), "steps": self.num_steps, "step_size": self.size_of_step}
        return {
            key: value
            for key, value in values.items()
            if key not in ATTACKS_BY_OPTION or self.kind in ATTACKS_BY_OPTION[key]
        }


class Attacked:
    """A network under attack: what is computed with it is traced once, for all budgets and samples.

    Attributes:
        target: the network.
        probabilities: pixels float32 ``[b, height, width, channels]`` -> float32 ``[b, classes]``.
    """

    def __init__(self, target: AttackTarget) -> None:
        self.target = target
        self.probabilities = gradient.compiled(lambda x: tf.nn.softmax(target.logits(x)))
        self._attacks: dict[Plan, Attack] = {}
        self._gradients: dict[gradient.Loss, Callable[..., Any]] = {}

    def attack(self, plan: Plan) -> Attack:
        """The attack of a plan."""
        key = replace(plan, eps=(), num_saved=None, batch_size=0)  # without what does not change it
        if key not in self._attacks:
            self._attacks[key] = make_attack(plan, self.target)
        return self._attacks[key]

    def gradients(self, plan: Plan) -> Callable[..., Any]:
        """The gradient of a plan's loss: pixels, labels or targets int32 ``[b]`` -> the shape of the pixels."""
        loss = attack_loss(plan, self.target)  # the same function for all untargeted attacks that maximize it
        if loss not in self._gradients:
            self._gradients[loss] = gradient.compiled(lambda x, y: gradient.gradient(self.target.logits, loss, x, y)[1])
        return self._gradients[loss]


def make_attack(plan: Plan, target: AttackTarget) -> Attack:
    """Make the attack of a plan; a minimal attack counts only where it stays within the budget."""
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
    """The loss that an attack maximizes; a targeted attack lowers the loss of the target instead."""
    by_margin = plan.loss == "margin" or plan.kind in ("deepfool", "square")
    loss: gradient.Loss = gradient.margin if by_margin else gradient.cross_entropy
    if plan.kind == "apgd-dlr":
        loss = gradient.logits_ratio if target.num_classes > 2 else gradient.margin
    return loss if plan.target is None else gradient.toward(loss)


def _within_budget(find: gradient.MinimalAttack) -> Attack:
    """Turn a minimal attack into one with a budget: a sample whose perturbation is too large stays unchanged."""
    cache: list[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.float32]]] = []

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        if not (cache and np.array_equal(cache[0][0], x) and np.array_equal(cache[0][1], label)):
            cache[:] = [(x.copy(), label.copy(), find(x, label))]  # the same for every epsilon
        found = cache[0][2]
        is_within = np.linalg.norm((found - x).reshape(len(x), -1), axis=1) <= eps
        return np.where(is_within.reshape(-1, *[1] * (x.ndim - 1)), found, x)

    return attack


def _worst_of(plan: Plan, target: AttackTarget) -> Attack:
    """For each sample, the first of several attacks to succeed, as in AutoAttack (Croce and Hein 2020)."""
    kinds = [kind for kind in SUITE if ONLY_NORM.get(kind, plan.norm) == plan.norm]
    attacks = [make_attack(replace(plan, kind=kind, steps=None, step_size=None), target) for kind in kinds]
    predict = gradient.compiled(lambda x: tf.argmax(target.logits(x), axis=1))

    def attack(
        x: NDArray[np.float32], label: NDArray[np.int32], eps: float, index: NDArray[np.int64]
    ) -> NDArray[np.float32]:
        worst = x.copy()
        for one in attacks:
            robust = np.flatnonzero(predict(worst).numpy() == label)
            if not len(robust):
                break
            worst[robust] = one(x[robust], label[robust], eps, index[robust])
        return worst

    return attack
