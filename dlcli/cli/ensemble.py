"""``dlcli ensemble``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import complete_runs, device_option, json_option, quiet_option, runs_option
from dlcli.cli.output import say, write_json, write_table


@click.command(short_help="Average the probabilities of several runs.")
@click.argument("members", metavar="RUN…", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--name", metavar="NAME", help="Name of the new run. Default: the name of the first run with -ensemble.")
@click.option(
    "--split",
    type=click.Choice(["validation", "test"]),
    help="Split to evaluate on. Default: the one that the first run was evaluated on.",
)
@runs_option
@device_option
@json_option
@quiet_option
def ensemble(
    members: tuple[str, ...],
    name: str | None,
    split: str | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Make one model that averages the class probabilities of several runs, in a new run that all verbs can read.

    The runs are classifiers with equal classes and equal inputs; their networks may differ. The ensemble is evaluated
    once, on a split that no member was trained on, beside its members, and compared with the best of them.

    \b
    Examples:
      dlcli train recipes/digits_convnet.yaml --seeds 3
      dlcli ensemble digits_convnet-seed0 digits_convnet-seed1 digits_convnet-seed2
      dlcli ensemble photos-fold1of3 photos-fold2of3 photos-fold3of3 --split test --name photos
    """
    from dlcli.errors import InputError
    from dlcli.rundir.runs import check_name, find_run, suffixed
    from dlcli.runtime.startup import start_tensorflow

    if len(members) < 2:
        raise InputError(f"dlcli ensemble requires two or more runs. Received {members[0]}.")
    found = [find_run(runs, member) for member in members]
    if name is not None:
        check_name(name)
    started = start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.ensemble import make_ensemble

    chosen = suffixed(found[0].name, "-ensemble") if name is None else name
    result = make_ensemble(found, folder=runs, name=chosen, split=split, device=started, console=Console(quiet=quiet))
    if as_json:
        write_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    from dlcli.workflow.comparison.words import sentences

    name = Path(result["run"]).name
    metric, value = result["headline"] or ("metric", None)
    rows = [[member["name"], member["value"]] for member in result["members"]]
    write_table(["run", metric], [*rows, [name, value]])
    if result["paired"]:
        for line in sentences(result["paired"], [result["paired"]["with"], name]):
            say(line)
    say(f"{result['run']}: averages the probabilities of {len(result['members'])} runs")
