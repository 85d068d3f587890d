"""Sanity checks of an attack's results (Carlini et al. 2019)."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from dlcli.data.images.samples import Samples
from dlcli.tasks.attack_target import AttackTarget
from dlcli.workflow.attack.plan import ITERATED, Plan
from dlcli.workflow.attack.run import TOLERANCE, Found, run_attack
from dlcli.workflow.attack.sources import take_evenly

CHECKED = 100  # samples that the dearer checks take


LARGE_EPS = 0.5  # at which nothing can be told from an image any more


STEPS_TOLERANCE = 0.05


@dataclass(frozen=True)
class Check:
    """One of the field's sanity checks (Carlini et al. 2019, section 4)."""

    name: str
    passed: bool
    details: str


def checks(plan: Plan, target: AttackTarget, samples: Samples, found: Found, noisy: Found | None) -> list[Check]:
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


def _accuracy(plan: Plan, target: AttackTarget, samples: Samples) -> float:
    return float(run_attack(replace(plan, num_saved=0), target, samples).rows[0]["robust_accuracy"])
