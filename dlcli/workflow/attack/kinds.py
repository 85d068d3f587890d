"""The attacks by name, and what each of them needs and takes. Needs no TensorFlow."""

from collections.abc import Mapping
from typing import Literal

Kind = Literal["fgsm", "bim", "pgd", "mi-fgsm", "deepfool", "apgd", "apgd-dlr", "square", "noise", "suite"]

ITERATED: tuple[Kind, ...] = ("bim", "pgd", "mi-fgsm", "apgd", "apgd-dlr")
"""Attacks of many steps along gradients, for which the number of steps and the monotonicity in epsilon are checked."""

WITHOUT_GRADIENTS: tuple[Kind, ...] = ("noise", "square")

SUITE: tuple[Kind, ...] = ("apgd", "apgd-dlr", "deepfool", "square")
"""The attacks of ``--suite``, of which the first that succeeds counts."""

ONLY_NORM: Mapping[str, str] = {"deepfool": "l2", "square": "linf"}
"""The norm of attacks that are defined in one norm only."""

NUM_STEPS: Mapping[Kind, int] = {
    "bim": 10,
    "pgd": 40,
    "mi-fgsm": 10,
    "apgd": 100,
    "apgd-dlr": 100,
    "deepfool": 50,
    "square": 1000,
}
"""Default number of steps; of square the number of queries."""

ATTACKS_BY_OPTION: Mapping[str, tuple[str, ...]] = {
    "steps": ("bim", "pgd", "mi-fgsm", "deepfool", "apgd", "apgd-dlr", "square"),
    "step_size": ("bim", "pgd", "mi-fgsm"),
    "restarts": ("pgd", "apgd", "apgd-dlr", "suite"),
    "loss": ("fgsm", "bim", "pgd", "mi-fgsm", "apgd", "suite"),
    "target": ("fgsm", "bim", "pgd", "mi-fgsm", "apgd", "apgd-dlr"),
}
"""The attacks that each option applies to."""
