"""``dlcli runs remove``, and the option that chooses runs by a condition."""

import sys
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import Decorator, Utf8, WholeNumberRange, run_argument, runs_option
from dlcli.cli.output import confirm, say
from dlcli.errors import InputError

where_option: Decorator = click.option(
    "--where",
    metavar="CONDITION",
    type=Utf8(),
    help="Only runs for which a condition holds, such as 'val_accuracy > 0.9 and not tag = old'.",
)


@click.command("remove", short_help="Delete runs, searches or sweeps.")
@run_argument(required=False)
@where_option
@click.option(
    "--keep-best", type=WholeNumberRange(min=1), metavar="N", help="Delete all completed runs but the N best."
)
@click.option("--metric", metavar="NAME", help="Final metric of --keep-best; default: the headline metric.")
@runs_option
@click.option("-y", "--yes", is_flag=True, help="Do not ask for confirmation.")
def remove(
    run: str | None, where: str | None, keep_best: int | None, metric: str | None, runs: Path, yes: bool
) -> None:
    """Delete the directory of a run, search or sweep and everything in it, or those of several runs.

    With --where, the runs that fulfill a condition are deleted; with --keep-best N, the completed runs of --runs but
    the N best, or those that fulfill the condition but for the N best of them. Runs in use are kept.

    \b
    Examples:
      dlcli runs remove digits_convnet-2
      dlcli runs remove sweep_digits --yes
      dlcli runs remove --where 'status = failed'
      dlcli runs remove --keep-best 3 --where 'name ~ digits' --metric test_accuracy

    Removals that were killed are finished first.
    """
    if metric is not None and keep_best is None:
        raise click.UsageError("--metric is for --keep-best N.")
    if (run is None) == (where is None and keep_best is None):
        both = "" if run is None else ", but not both"
        raise click.UsageError(f"name a RUN, or choose runs with --where or --keep-best{both}.")
    from dlcli.workflow.runs import finish_removals

    folders = {runs} if run is None else {runs, Path(run).parent}
    finished = [folder / name for folder in folders for name in finish_removals(folder)]
    if run is None:
        _remove_several(runs, where, keep_best, metric, yes=yes)
        return
    if (path := next((path for path in (Path(run), runs / run) if path in finished), None)) and not path.exists():
        say(f"removed {path}", err=True)
        return
    _remove_all([run], runs, yes=yes)


def _remove_several(runs: Path, where: str | None, keep_best: int | None, metric: str | None, *, yes: bool) -> None:
    from dlcli.workflow.run_selection import all_but_best, select, unreadable_notes

    if not runs.is_dir():
        raise InputError(f"{runs}: no such folder. Name the folder of the runs with --runs.")
    for line in unreadable_notes(runs):
        say(line, err=True)
    chosen = select(runs, where)
    if keep_best is not None:
        kept, others = all_but_best(chosen, keep_best, metric)
        say(f"kept as the best: {', '.join(one['name'] for one in kept) or 'none'}", err=True)
        unranked = [one["name"] for one in chosen if one not in kept and one not in others]
        if unranked:
            say(f"kept, because they are not complete or lack the metric: {', '.join(unranked)}", err=True)
        chosen = others
    if not chosen:
        say(f"{runs}: nothing to remove", err=True)
        return
    _remove_all([str(runs / one["name"]) for one in chosen], runs, yes=yes)


def _remove_all(references: list[str], runs: Path, *, yes: bool) -> None:
    """Delete runs after a confirmation. Of several, those that are in use or do not read as runs are kept.

    Raises:
        InputError: a single one cannot be removed.
    """
    from dlcli.workflow.runs import find_removable
    from dlcli.workflow.runs import remove as remove_run

    found: list[Any] = []
    for reference in references:
        try:
            found.append(find_removable(runs, reference))
        except InputError as error:
            if len(references) == 1:
                raise
            say(error, err=True)
    names = ", ".join(str(one.path) for one in found)
    count = f"{len(found)} runs: " if len(found) > 1 else ""
    if not found:
        return
    if not yes and not _confirmed(f"Permanently delete {count}{names}?"):
        say(f"kept {names}", err=True)
        return
    for one in found:
        try:
            remove_run(one)
        except InputError as error:
            if len(found) == 1:
                raise
            say(error, err=True)
        else:
            say(f"removed {one.path}", err=True)


def _confirmed(question: str) -> bool:
    try:
        return confirm(question)
    except click.Abort:
        if sys.stdin.isatty():  # Ctrl-C
            raise
        raise InputError(
            "cannot ask for confirmation without a terminal. Use --yes to delete without asking."
        ) from None
