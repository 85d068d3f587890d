"""``dlcli attack``: adversarial examples for a classifier, what they do to its accuracy, and whether to believe it."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dlcli.attacks import gradient
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.rundir import now, replace_folder
from dlcli.runtime.console import Console
from dlcli.tasks.attack_target import AttackTarget
from dlcli.workflow.attack.checks import Check, checks
from dlcli.workflow.attack.files import describe_distances, free_folder, write_files
from dlcli.workflow.attack.plan import Plan
from dlcli.workflow.attack.request import USERS
from dlcli.workflow.attack.run import Found, run_attack
from dlcli.workflow.train import command, versions

# Results --------------------------------------------------------------------------------------------------------------


def attack(
    plan: Plan,
    target: AttackTarget,
    samples: Samples,
    *,
    classes: Sequence[str],
    parent: Path,
    name: str,
    source: dict[str, Any],
    scored_by: AttackTarget | None,
    with_checks: bool,
    console: Console,
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
        found, noisy, results = _run_and_check(plan, target, samples, scored_by, with_checks, console)
    except (InputError, gradient.NoGradient) as reason:
        raise InputError(f"{source['model']}: {reason}") from None
    for check in results:
        if not check.passed:
            console.warn(f"check failed: {check.name}: {check.details}")
    num_flat = found.rows[0]["zero_gradients"]
    if num_flat and plan.loss != "margin" and plan.kind in USERS["loss"]:
        console.say("--loss margin has slopes where a network is sure of itself")
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
        "distances": None if found.distances is None else describe_distances(found.distances),
    }
    folder = free_folder(parent, name, info)
    files = write_files(plan, found, noisy, samples, classes, info, folder)
    replace_folder(folder, files)
    return {"folder": str(folder), "rows": found.rows, **info}


def _run_and_check(
    plan: Plan,
    target: AttackTarget,
    samples: Samples,
    scored_by: AttackTarget | None,
    with_checks: bool,
    console: Console,
) -> tuple[Found, Found | None, list[Check]]:
    if target.note:
        console.warn(target.note)
    found = run_attack(plan, target, samples, scored_by=scored_by, progress=console.evaluating)
    if not with_checks or scored_by is not None or plan.target is not None:  # which the checks are not made for
        return found, None, []
    console.say("checking the attack")
    noisy = None if plan.kind == "noise" else run_attack(replace(plan, kind="noise", num_saved=0), target, samples)
    return found, noisy, checks(plan, target, samples, found, noisy)
