"""``dlcli runs``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import check_output, complete_runs, json_option, run_argument, runs_option
from dlcli.cli.output import as_recipe, say, write_json, write_markdown, write_metrics, write_table
from dlcli.cli.run_notes import find, note, tag
from dlcli.cli.run_removal import remove, where_option
from dlcli.errors import InputError
from dlcli.recipe.language.errors import shortened

MAX_CLASSES = 20  # rows of a table


@click.group(short_help="List, show, compare and remove runs.")
def runs() -> None:
    """List, show, compare and remove runs.

    \b
    Examples:
      dlcli runs list
      dlcli runs show digits_convnet
      dlcli runs diff digits_convnet digits_convnet-2
      dlcli runs compare a-seed0 a-seed1 b-seed0 b-seed1
      dlcli runs remove digits_convnet-2
      dlcli runs tag digits_convnet baseline
    """


@runs.command("list", short_help="List runs.")
@click.option(
    "--sort",
    default="started",
    show_default=True,
    metavar="ORDER",
    help="started (newest first), name, best, or a final metric, such as test_accuracy or accuracy: best first.",
)
@where_option
@click.option("--sizes", is_flag=True, help="Show the disk space of each run.")
@runs_option
@json_option
def list_(sort: str, where: str | None, sizes: bool, runs: Path, as_json: bool) -> None:
    """List runs with the metric that chose the best epoch, and the headline metric of the evaluated split.

    Searches and sweeps have a table of their own, and a "kind" in the output of --json. Why a run cannot be read, and
    where a link leads, is reported on stderr.

    \b
    Examples:
      dlcli runs list
      dlcli runs list --sort accuracy
      dlcli runs list --where 'val_accuracy > 0.9 and train.batch_size = 32'
      dlcli runs list --where 'tag = baseline or status != completed' --sizes
      dlcli runs list --runs experiments --json

    A condition of --where compares final metrics (with or without the split), keys of the recipe, name, status,
    started, evaluated, seed, epochs, best, metric, note and tag, by = != < <= > >= or ~ (contains). What a run lacks is
    null. A list fulfills = as a whole, such as [32, 16], or with any of its items.
    """
    from dlcli.rundir.runs import describe_others
    from dlcli.workflow.run_selection import select, size_of, unreadable_notes
    from dlcli.workflow.runs import ORDERS, in_order, list_all_studies, value_of

    summaries = in_order(select(runs, where), sort)
    studies = list_all_studies(runs) if where is None else []
    if sizes:
        for one in [*summaries, *studies]:
            one["bytes"] = size_of(runs / one["name"])
    if as_json:
        write_json([*summaries, *studies])
    elif not summaries and not studies:
        say(f"{runs}: no runs found{'' if where is None else ' for which the condition of --where holds'}", err=True)
    elif summaries:
        columns = ["name", "status", "started", "seed", "epochs", "metric", "best", "headline", "value"]
        rows = [
            [str(run.get("started") or "-")[:16] if c == "started" else run.get(c) for c in columns]
            for run in summaries
        ]
        if sort not in ORDERS and any(value_of(run, sort) != run.get("value") for run in summaries):
            columns.append(sort)
            rows = [[*row, value_of(run, sort)] for row, run in zip(rows, summaries, strict=True)]
        if any(run["tags"] for run in summaries):
            columns.append("tags")
            rows = [[*row, ", ".join(run["tags"]) or None] for row, run in zip(rows, summaries, strict=True)]
        if sizes:
            columns.append("MiB")
            rows = [[*row, f"{run['bytes'] / 2**20:,.1f}"] for row, run in zip(rows, summaries, strict=True)]
        write_table(columns, rows)
    if studies and not as_json:
        _show_studies(studies, is_first=not summaries)
    for run in [*summaries, *studies]:
        if "link" in run:
            say(f"{runs / run['name']}: is a link to {run['link']}", err=True)
        if "reason" in run:
            say(run["reason"], err=True)
    for line in [*unreadable_notes(runs), *describe_others(runs)]:
        say(line, err=True)


def _show_studies(studies: Sequence[Mapping[str, Any]], *, is_first: bool) -> None:
    columns = ["name", "kind", "status", "started", "seed", "trials", "metric", "best", "headline", "value"]
    rows = [[str(one.get("started") or "-")[:16] if c == "started" else one.get(c) for c in columns] for one in studies]
    if "bytes" in studies[0]:
        columns.append("MiB")
        rows = [[*row, f"{one['bytes'] / 2**20:,.1f}"] for row, one in zip(rows, studies, strict=True)]
    if not is_first:
        say()
    write_table(columns, rows)


@runs.command("show", short_help="Show one run.")
@run_argument(required=False)
@runs_option
@json_option
def show(run: str | None, runs: Path, as_json: bool) -> None:
    """Show one run (default: the newest): status, data, best epoch and final metrics.

    \b
    Examples:
      dlcli runs show
      dlcli runs show runs/digits_convnet --json
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.run_notes import read_notes
    from dlcli.workflow.runs import show as show_run

    run_dir = find_run(runs, run)
    info = {**show_run(run_dir), **read_notes(run_dir)}
    if as_json:
        write_json(info)
        return
    for key in ("run", "status", "reason", "task", "seed", "started", "finished", "device", "parameters"):
        if key != "reason" or info.get("reason"):
            say(f"{key}: {info.get(key) if info.get(key) is not None else '-'}")
    if info["tags"]:
        say(f"tags: {', '.join(info['tags'])}")
    if info["note"]:
        say(f"note: {info['note']}")
    say("samples: " + ", ".join(f"{count:,} {split}" for split, count in info["data"]["samples"].items()))
    if info.get("best"):
        say("best: epoch {epoch}, {metric} {value:.4f}".format(**info["best"]))
    if info.get("final"):
        say("final metrics:")
        write_metrics(info["final"])
        if info["attacks"]:
            say("robust accuracy under attack, by epsilon:")
            write_metrics(info["attacks"])
    elif info.get("last_epoch"):
        say(f"last epoch: {', '.join(f'{key} {value}' for key, value in info['last_epoch'].items())}")
    say(f"recipe: {info['run']}/config.yaml")


@runs.command("diff", short_help="Compare two runs.")
@click.argument("one", shell_complete=complete_runs)
@click.argument("other", shell_complete=complete_runs)
@click.option("--split", metavar="NAME", help="Evaluation to compare; test, or else one that both runs have.")
@runs_option
@json_option
def diff(one: str, other: str, split: str | None, runs: Path, as_json: bool) -> None:
    """Compare two runs: recipe keys that differ, metrics and robust accuracies side by side, and the paired difference.

    The paired difference is on the samples that both were evaluated on, with its 95% interval (bootstrap) and a test:
    McNemar's for what is right or wrong, otherwise a permutation test. Of classes, p-values are corrected for their
    number by Holm's method. A section that only one of the recipes has takes one line; --json has its keys, and the
    samples that only one of the two gets right.

    \b
    Examples:
      dlcli runs diff digits_convnet digits_convnet-2
      dlcli runs diff digits_convnet digits_mlp --split validation
      dlcli runs diff digits_convnet digits_mlp --json
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.comparison.samples import compare_on_samples
    from dlcli.workflow.runs import diff as diff_runs

    pair = find_run(runs, one), find_run(runs, other)
    if pair[0].path.resolve() == pair[1].path.resolve():
        raise InputError(f"{pair[1].path}: is named twice. Name two runs.")
    result: dict[str, Any] = {**diff_runs(*pair), "paired": compare_on_samples(*pair, split)}
    if as_json:
        write_json(result)
        return
    for title in ("recipe", "metrics"):
        if result[title]:
            rows = [
                [key, *(_in_a_line(value) if title == "recipe" else value for value in values)]
                for key, values in result[title].items()
            ]
            write_table([title, *result["runs"]], rows)
        else:
            say(f"{title}: no difference" if title == "recipe" else f"{title}: none yet")
        if title == "recipe":
            say()
    if result["attacks"]:
        say()
        write_table(["robust accuracy", *result["runs"]], [[key, *values] for key, values in result["attacks"].items()])
    say()
    if result["paired"] is None:
        say("not compared by sample: the runs have no evaluation with a row for each of the same samples")
    else:
        _show_paired(result["paired"], result["runs"])


def _show_paired(paired: dict[str, Any], names: list[str]) -> None:
    from dlcli.workflow.comparison.words import sentences

    for line in sentences(paired, names):
        say(line)
    if any(paired["unmatched"]):
        of_one, of_other = paired["unmatched"]
        say(f"not compared: {of_one:,} samples of {names[0]} and {of_other:,} of {names[1]}, which the other lacks")
    if "right" in paired:
        right = paired["right"]
        say(
            f"right: both {right['both']:,}, only {names[0]} {right['only_one']:,}, only {names[1]} "
            f"{right['only_other']:,}, neither {right['neither']:,}"
        )
    differing = [row for row in paired.get("classes", ()) if row["one"] != row["other"]]
    if differing:
        say()
        differing.sort(key=lambda row: (row["p"], -abs(row["one"] - row["other"])))
        cells = [[row[key] for key in ("class", "samples", "one", "other", "p", "p_corrected")] for row in differing]
        write_table(["recall of class", "samples", *names, "p", "p corrected"], cells[:MAX_CLASSES])
        if len(cells) > MAX_CLASSES:
            say(f"… {len(cells) - MAX_CLASSES:,} more classes: --json has all")


@runs.command("compare", short_help="Compare settings over seeds.")
@click.argument("names", metavar="RUN…", nargs=-1, required=True, shell_complete=complete_runs)
@click.option("--metric", metavar="NAME", help="Final metric, such as test_accuracy; default: the headline metric.")
@click.option("--markdown", is_flag=True, help="Print a Markdown table.")
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="Write a plot of every setting's values, with their mean and its 95% interval.",
)
@click.option("--force", is_flag=True, help="Overwrite the plot if it exists.")
@runs_option
@json_option
def compare(
    names: tuple[str, ...],
    metric: str | None,
    markdown: bool,
    plot: Path | None,
    force: bool,
    runs: Path,
    as_json: bool,
) -> None:
    """Compare settings: runs whose recipes differ in nothing but the seed are one setting, with a mean and a spread.

    Each setting is compared with the best one by Welch's t test, with the 95% interval of the difference, and the
    difference that so many seeds would usually find. The runs may have different recipes, but need one metric.

    \b
    Examples:
      dlcli train a.yaml --seeds 3
      dlcli train b.yaml --seeds 3
      dlcli runs compare a-seed0 a-seed1 a-seed2 b-seed0 b-seed1 b-seed2
      dlcli runs compare runs/a-seed* runs/b-seed* --plot seeds.png
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.comparison.settings import compare_settings, write_plot
    from dlcli.workflow.comparison.words import behind, sentence

    if plot is not None:
        check_output(plot, (".png",), force=force)
    result = compare_settings([find_run(runs, name) for name in names], metric)
    if len(result["data"]) > 1:
        say(f"note: the runs differ in their data or splits, such as {' and '.join(result['data'][:2])}", err=True)
    if plot is not None:
        write_plot(plot, result)
    if as_json:
        write_json(result)
        return
    header = ["setting", "runs", f"mean {result['metric']}", "standard deviation", "behind the best", "95% interval"]
    rows: list[list[Any]] = []
    for setting in result["settings"]:
        value, interval = behind(result["metric"], setting["behind"]) if "behind" in setting else (None, None)
        bounds = None if interval is None else "{:.4f} to {:.4f}".format(*interval)
        rows.append([setting["name"], len(setting["runs"]), setting["mean"], setting["deviation"], value, bounds])
    if markdown:
        text = [
            ["-" if cell is None else f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row]
            for row in rows
        ]
        write_markdown(header, text, num_text_columns=1)
        return
    write_table(header, rows)
    best = result["settings"][0]["name"]
    for setting in result["settings"][1:]:
        found = setting["behind"]
        over = f"over {len(setting['runs'])} and {len(result['settings'][0]['runs'])} seeds"
        say(sentence(result["metric"], found, (setting["name"], best), over))


def _in_a_line(value: Any) -> str:
    """A value of a recipe; a section or a list is shortened, text such as a path is not."""
    return value if isinstance(value, str) else shortened(as_recipe(value))


for command in (remove, tag, note, find):
    runs.add_command(command)
