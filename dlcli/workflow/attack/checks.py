"""Sanity checks of an attack's results (Carlini et al. 2019)."""

import itertools
from dataclasses import dataclass, replace

import numpy as np

from dlcli.data.images.samples import Samples
from dlcli.workflow.attack.inputs import take_evenly
from dlcli.workflow.attack.kinds import ITERATED, WITHOUT_GRADIENTS
from dlcli.workflow.attack.plan import Attacked, Plan
from dlcli.workflow.attack.run import TOLERANCE, AttackOutcome, run_attack

NUM_CHECKED = 100  # samples that the more expensive checks use
LARGE_EPS = 0.5  # destroys all information in an image
STEPS_TOLERANCE = 0.05  # of accuracy, when the steps are doubled


@dataclass(frozen=True)
class Check:
    """One of the field's sanity checks (Carlini et al. 2019, section 4)."""

    name: str
    passed: bool
    details: str


def checks(
    plan: Plan, attacked: Attacked, samples: Samples, result: AttackOutcome, noisy: AttackOutcome | None
) -> list[Check]:
    """Check properties that hold for every attack that is strong enough."""
    robust = [row["robust_accuracy"] for row in result.rows]
    results: list[Check] = []
    if plan.kind not in WITHOUT_GRADIENTS:
        num_flat = result.rows[0]["zero_gradients"]
        results.append(Check("correctly classified samples have gradients", num_flat == 0, f"{num_flat} have none"))
    if noisy is not None:
        under_noise = [row["robust_accuracy"] for row in noisy.rows]
        is_no_weaker = all(a <= b + TOLERANCE for a, b in zip(robust, under_noise, strict=True))
        is_stronger = robust[-1] < under_noise[-1] or under_noise[-1] == 0 or plan.eps[-1] == 0
        details = f"accuracy {robust[-1]:.3f} at the largest eps, under noise {under_noise[-1]:.3f}"
        results.append(Check("stronger than noise of the same size", is_no_weaker and is_stronger, details))
    if plan.kind in (*ITERATED, "suite") and plan.target is None:
        few = take_evenly(samples, NUM_CHECKED)
        largest = max(plan.eps)
        rises = max((b - a for a, b in itertools.pairwise(robust)), default=0.0)
        details = f"accuracy rises by {rises:.3f}" if rises > 0 else "accuracy never rises"
        results.append(Check("monotone in epsilon", rises <= TOLERANCE, details))
        accuracy = _accuracy(replace(plan, eps=(largest,)), attacked, few)
        single = _accuracy(replace(plan, kind="fgsm", eps=(largest,)), attacked, few)
        results.append(
            Check(
                "not weaker than one step",
                accuracy <= single + TOLERANCE,
                f"accuracy {accuracy:.3f}, with FGSM {single:.3f}",
            )
        )
        chance = 1 / attacked.target.num_classes
        # in l2, the length of a perturbation that changes every pixel by this much
        large = LARGE_EPS if plan.norm == "linf" else LARGE_EPS * float(np.prod(attacked.target.shape)) ** 0.5
        at_large = _accuracy(replace(plan, eps=(large,)), attacked, few)
        results.append(
            Check(f"at or below chance at eps {large:.3g}", at_large <= chance + TOLERANCE, f"accuracy {at_large:.3f}")
        )
        if plan.kind != "suite":
            steps = 2 * plan.num_steps
            twice = _accuracy(replace(plan, eps=(largest,), steps=steps), attacked, few)
            gain = accuracy - twice
            results.append(
                Check(
                    "little gain from twice the steps",
                    gain <= STEPS_TOLERANCE,
                    f"accuracy {accuracy:.3f}, with {steps} steps {twice:.3f}",
                )
            )
    return results


def _accuracy(plan: Plan, attacked: Attacked, samples: Samples) -> float:
    return float(run_attack(replace(plan, num_saved=0), attacked, samples).rows[0]["robust_accuracy"])
