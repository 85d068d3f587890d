"""``dlcli attack``: adversarial examples for a classifier, its robust accuracy, and sanity checks of the attack."""

from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from dlcli.attacks import gradient
from dlcli.data.images.samples import Samples
from dlcli.errors import InputError
from dlcli.rundir.runs import now
from dlcli.rundir.writing import replace_folder
from dlcli.runtime.console import Console
from dlcli.runtime.machine import environment
from dlcli.runtime.startup import started_device
from dlcli.tasks.attack_target import AttackTarget
from dlcli.temporary import remove_leftovers
from dlcli.workflow.attack.checks import Check, checks
from dlcli.workflow.attack.files import describe_distances, has_same_attack, write_files
from dlcli.workflow.attack.kinds import ATTACKS_BY_OPTION
from dlcli.workflow.attack.plan import Attacked, Plan
from dlcli.workflow.attack.run import AttackOutcome, run_attack
from dlcli.workflow.result_folder import free_folder
from dlcli.workflow.train import command


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
    """Attack, check, and write robustness.csv, samples.csv, adversarial.npz, examples.png, curve.png and attack.json.

    Args:
        parent: the folder of the results folders of all attacks on the same network.
        name: the name of the results folder; it gets a number if it has the results of a different attack.
        source: the attacked network and samples, for attack.json.

    Returns the content of attack.json, and ``rows`` and ``folder``.

    Raises:
        InputError: the network cannot be attacked this way.
    """
    try:
        result, noisy, check_results = _run_and_check(plan, target, samples, scored_by, with_checks, console)
    except (InputError, gradient.NoGradient) as reason:
        raise InputError(f"{source['model']}: {reason}") from None
    for check in check_results:
        if not check.passed:
            console.warn(f"check failed: {check.name}: {check.details}")
    num_flat = result.rows[0]["zero_gradients"]
    if num_flat and plan.loss != "margin" and plan.kind in ATTACKS_BY_OPTION["loss"]:
        console.say("try --loss margin, which has gradients where a network is very confident")
    info = {
        "attacked": now(),
        "command": command(),
        **environment(started_device()),
        **source,
        "samples": len(samples),
        "settings": plan.settings(),
        "note": target.note,
        "checks": [asdict(check) for check in check_results],
        "noise": None if noisy is None else [row["robust_accuracy"] for row in noisy.rows],
        "distances": None if result.distances is None else describe_distances(result.distances),
    }
    remove_leftovers(parent)
    folder = free_folder(parent, name, has_same=lambda folder: has_same_attack(folder, info))
    files = write_files(plan, result, noisy, samples, classes, info, folder)
    replace_folder(folder, files)
    return {"folder": str(folder), "rows": result.rows, **info}


def _run_and_check(
    plan: Plan,
    target: AttackTarget,
    samples: Samples,
    scored_by: AttackTarget | None,
    with_checks: bool,
    console: Console,
) -> tuple[AttackOutcome, AttackOutcome | None, list[Check]]:
    if target.note:
        console.warn(target.note)
    attacked = Attacked(target)
    scorer = None if scored_by is None else Attacked(scored_by)
    result = run_attack(plan, attacked, samples, scored_by=scorer, progress=console.evaluating)
    if not with_checks or scored_by is not None or plan.target is not None:  # the checks do not apply
        return result, None, []
    console.say("checking the attack")
    noisy = None if plan.kind == "noise" else run_attack(replace(plan, kind="noise", num_saved=0), attacked, samples)
    return result, noisy, checks(plan, attacked, samples, result, noisy)
