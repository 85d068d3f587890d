"""Several attacks on one network: what ``dlcli attack`` runs."""

from collections.abc import Iterator
from typing import Any

from dlcli.runtime.console import Console
from dlcli.workflow.attack.attack import attack
from dlcli.workflow.attack.inputs import load_inputs
from dlcli.workflow.attack.plan import Plan
from dlcli.workflow.attack.request import Request
from dlcli.workflow.attack.settings import DEFAULT_EPS, Settings


def attacks(request: Request, settings: Settings, console: Console) -> Iterator[dict[str, Any]]:
    """Run attacks one after another; TensorFlow must have been started.

    Yields:
        The result of each, as :func:`dlcli.workflow.attack.attack.attack` returns it.

    Raises:
        InputError: the network or the samples cannot be used.
    """
    inputs = load_inputs(request, console)
    norm, eps = settings.final_norm, settings.eps
    if eps is None:
        is_gray = inputs.target.shape[-1] == 1
        eps = DEFAULT_EPS[norm, 1 if is_gray else 3]
        console.say(f"eps: {eps}, the default for {'gray' if is_gray else 'color'} images")
    for kind in settings.kinds:
        plan = Plan(kind=kind, eps=settings.budgets(eps), target=inputs.target_class, **settings.of_plan())
        console.say(f"{kind}, {norm}: attacking {len(inputs.samples):,} samples of {inputs.name}")
        yield attack(
            plan,
            inputs.target,
            inputs.samples,
            classes=inputs.classes,
            parent=inputs.parent,
            name=inputs.folder_name(kind, norm, settings.target, request.transfer_to)
            if settings.name is None
            else f"{inputs.prefix}{settings.name}",
            source=inputs.source,
            scored_by=inputs.scored_by,
            with_checks=settings.with_checks,
            console=console,
        )
