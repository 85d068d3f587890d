"""``dlcli runs tag``, ``note`` and ``find``."""

from pathlib import Path

import click

from dlcli.cli.options import Utf8, json_option, run_argument, runs_option
from dlcli.cli.output import say, write_json, write_table
from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened

MAX_VALUES = 3  # that are shown of a run that is found


@click.command("tag", short_help="Tag a run.")
@run_argument(required=True)
@click.argument("tags", metavar="[TAG]…", nargs=-1, type=Utf8())
@click.option("--remove", is_flag=True, help="Remove the tags instead.")
@runs_option
@json_option
def tag(run: str, tags: tuple[str, ...], remove: bool, runs: Path, as_json: bool) -> None:
    """Add tags to RUN, and show those it has; they are kept in notes.json of the run.

    \b
    Examples:
      dlcli runs tag digits_convnet baseline paper
      dlcli runs tag digits_convnet paper --remove
      dlcli runs list --where 'tag = baseline'
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.run_notes import change_tags

    if remove and not tags:
        raise click.UsageError("--remove requires the tags to remove.")
    run_dir = find_run(runs, run)
    now = change_tags(run_dir, tags, is_removed=remove)
    if as_json:
        write_json({"run": str(run_dir.path), "tags": now})
    else:
        say(f"{run_dir.path}: {', '.join(now) or 'no tags'}")


@click.command("note", short_help="Write a note on a run.")
@run_argument(required=True)
@click.argument("text", required=False, type=Utf8())
@runs_option
@json_option
def note(run: str, text: str | None, runs: Path, as_json: bool) -> None:
    """Replace the note on RUN by TEXT, and show it; an empty TEXT removes it.

    \b
    Examples:
      dlcli runs note digits_convnet "the baseline of section 3"
      dlcli runs note digits_convnet
      dlcli runs note digits_convnet ""
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.run_notes import change_note, read_notes

    run_dir = find_run(runs, run)
    if text is not None:
        change_note(run_dir, text)
    now = read_notes(run_dir)["note"]
    if as_json:
        write_json({"run": str(run_dir.path), "note": now})
    else:
        say(f"{run_dir.path}: {now or 'no note'}")


@click.command("find", short_help="Find runs by text.")
@click.argument("text", type=Utf8())
@runs_option
@json_option
def find(text: str, runs: Path, as_json: bool) -> None:
    """Find the runs whose name, tags, note or recipe contain TEXT, whatever its case.

    A value of the recipe is searched as "key: value".

    \b
    Examples:
      dlcli runs find baseline
      dlcli runs find "optimizer.kind: sgd"
      dlcli runs find mnist.npz --json
    """
    from dlcli.workflow.run_selection import find as find_runs
    from dlcli.workflow.run_selection import unreadable_notes

    if not text.strip():
        raise InputError("TEXT must not be empty. List all runs with: dlcli runs list")
    found = find_runs(runs, text)
    if as_json:
        write_json(found)
    elif not found:
        say(f"{runs}: no run contains '{shortened(text)}'", err=True)
    else:
        rows = []
        for one in found:
            values = [f"{key}: {shortened(str(value))}" for key, value in one["found"].items()]
            more = f"; … ({len(values)} values)" if len(values) > MAX_VALUES else ""
            rows.append([one["name"], "; ".join(values[:MAX_VALUES]) + more])
        write_table(["name", "found"], rows)
    for line in unreadable_notes(runs):
        say(line, err=True)
