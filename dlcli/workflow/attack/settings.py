"""The options of ``dlcli attack`` that say how to attack, checked before any work starts. Needs no TensorFlow."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from dlcli.errors import InputError
from dlcli.rundir.runs import check_name
from dlcli.workflow.attack.kinds import ATTACKS_BY_OPTION, ONLY_NORM, Kind

DEFAULT_EPS: Mapping[tuple[str, int], str] = {
    ("linf", 1): "0,0.05,0.1,0.15,0.2,0.25,0.3",
    ("linf", 3): "0,1/255,2/255,4/255,8/255,16/255",
    ("l2", 1): "0,0.5,1,1.5,2,3",
    ("l2", 3): "0,0.25,0.5,1,2,4",
}
"""By norm and number of channels."""
MAX_EPS = 64
LARGEST_EPS = 1_000_000


@dataclass(frozen=True)
class Settings:
    """How to attack.

    Attributes:
        kinds: the attacks.
        norm: linf or l2; None for linf, or l2 if DeepFool is the only attack.
        eps: budgets separated by commas, such as ``0,8/255``; None for those of DEFAULT_EPS.
        steps, restarts, loss, target: None for the defaults of each attack; the target is a class's name or index.
        step_size: as a fraction of eps, such as ``0.1`` or ``1/10``.
        save_samples: number of samples to save in adversarial.npz, or ``all``.
        name: of the results folder; None for one made of the settings.
        with_checks: also check the attack.
    """

    kinds: Sequence[Kind]
    norm: Literal["linf", "l2"] | None = None
    eps: str | None = None
    steps: int | None = None
    step_size: str | None = None
    restarts: int | None = None
    loss: Literal["cross-entropy", "margin"] | None = None
    target: str | None = None
    seed: int = 0
    batch_size: int = 128
    save_samples: str = "16"
    name: str | None = None
    with_checks: bool = True

    @property
    def final_norm(self) -> Literal["linf", "l2"]:
        """The norm of the perturbation."""
        return self.norm or ("l2" if list(self.kinds) == ["deepfool"] else "linf")

    def check(self) -> None:
        """Check the options as far as that needs no network.

        Raises:
            InputError: a value is not valid, or options cannot be combined.
        """
        for kind in self.kinds:
            if kind not in get_args(Kind):
                raise InputError(f"'{kind}': not an attack. Choose from {', '.join(get_args(Kind))}.")
        if self.name is not None:
            try:
                check_name(self.name, of="results folder's")
            except InputError as error:
                raise InputError(f"--name {self.name}: {error}") from None
        self._check_kinds()
        if self.eps is not None:
            self.budgets(self.eps)
        step_size = self.final_step_size
        if step_size is not None and not 0 < step_size <= 10:
            raise InputError(f"--step-size must be above 0 and at most 10. Received {self.step_size}.")
        self.num_saved  # noqa: B018 - it is checked

    def _check_kinds(self) -> None:
        norm = self.final_norm
        for kind, required in ONLY_NORM.items():
            if kind in self.kinds and norm != required:
                separately = " in a separate command" if len(self.kinds) > 1 and self.norm is None else ""
                raise InputError(
                    f"--{kind} is an {required} attack: use --norm {required}{separately}. Received {norm}."
                )
        for option, attacks in ATTACKS_BY_OPTION.items():
            if getattr(self, option) is None:
                continue
            if option == "target":
                for kind in self.kinds:
                    if kind not in attacks:
                        raise InputError(f"--{kind} cannot be targeted. Remove --target.")
            elif not any(kind in attacks for kind in self.kinds):
                listed = ", ".join(f"--{kind}" for kind in attacks)
                raise InputError(f"--{option.replace('_', '-')} is for {listed}. Received --{' --'.join(self.kinds)}.")

    @property
    def final_step_size(self) -> float | None:
        """The step size as a fraction of eps; None for the default."""
        return None if self.step_size is None else _fraction(self.step_size, "--step-size")

    @property
    def num_saved(self) -> int | None:
        """Number of samples to save; None for all."""
        if self.save_samples == "all":
            return None
        if re.fullmatch(r"[0-9]{1,9}", self.save_samples) is None:
            raise InputError(f"--save-samples: expected a number of samples or all. Received '{self.save_samples}'.")
        return int(self.save_samples)

    def budgets(self, text: str) -> tuple[float, ...]:
        """Budgets separated by commas as fractions of the pixel range, ascending.

        Raises:
            InputError: they are not valid for the norm.
        """
        values = sorted({_fraction(part, "--eps") for part in text.split(",")})
        if not math.isfinite(values[-1]) or values[-1] > LARGEST_EPS:
            raise InputError(f"--eps must be at most {LARGEST_EPS:,}. Received {values[-1]:g}.")
        if len(values) > MAX_EPS:
            raise InputError(f"--eps takes at most {MAX_EPS} budgets. Received {len(values)}.")
        if self.final_norm == "linf" and values[-1] > 1:
            raise InputError(
                f"--eps: a linf epsilon must be in [0, 1], as a fraction of the pixel range. Received {values[-1]:g}. "
                f"Write {values[-1]:g}/255 for {values[-1]:g} gray levels."
            )
        return tuple(values)

    def of_plan(self) -> dict[str, Any]:
        """The arguments of :class:`dlcli.workflow.attack.plan.Plan` that need no network."""
        return {
            "norm": self.final_norm,
            "steps": self.steps,
            "step_size": self.final_step_size,
            "restarts": self.restarts or 1,
            "loss": self.loss or "cross-entropy",
            "seed": self.seed,
            "batch_size": self.batch_size,
            "num_saved": self.num_saved,
        }


def _fraction(text: str, option: str) -> float:
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]{1,3})?)\s*(?:/\s*([0-9]*\.?[0-9]+)\s*)?", text)
    if match is None or (match[2] is not None and float(match[2]) == 0):
        raise InputError(f"{option}: expected a number such as 0.03 or 8/255. Received '{text}'.")
    return float(match[1]) / float(match[2] or 1)
