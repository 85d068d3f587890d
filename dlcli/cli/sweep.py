"""``dlcli sweep``."""

import sys
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import device_option, json_option, quiet_option, runs_option, sets_option
from dlcli.cli.output import as_recipe, say, write_json
from dlcli.cli.train import data_override


@click.command(short_help="Try different values of a recipe's keys.")
@click.argument("recipe", required=False, type=click.Path(path_type=Path))
@sets_option
@click.option("--data", metavar="PATH", help="Same as --set data.path=PATH, but relative to the current folder.")
@click.option("--trials", metavar="N", help="Same as --set sweep.budget.trials=N.")
@click.option("--workers", metavar="N", help="Same as --set sweep.workers=N: trials at the same time.")
@click.option("--seeds", metavar="N", help="Same as --set sweep.seeds=N: a trial is the mean of N seeds.")
@click.option("--name", metavar="NAME", help="Name of the directory. Default: the recipe's name.")
@runs_option
@click.option("--resume", metavar="NAME", help="Resume an interrupted sweep, from its log of trials.")
@device_option
@json_option
@quiet_option
def sweep(recipe: Path | None, resume: str | None, **options: Any) -> None:
    """Train a recipe many times with different values of some keys, as its `sweep` section says.

    Values are chosen from a grid, at random, by TPE or by ASHA, and compared on the validation split; the test split is
    not used. best.yaml in the directory is a recipe for dlcli train, trials.csv the table of all trials. Each trial is
    recorded when it ends: a sweep can be killed at any moment and resumed.

    \b
    Examples:
      dlcli sweep recipes/sweep_digits.yaml
      dlcli sweep recipe.yaml -s sweep.method=asha --trials 50 --workers 4
      dlcli sweep recipe.yaml --seeds 3 --json
      dlcli sweep --resume sweep_digits
      dlcli train runs/sweep_digits/best.yaml
    """
    if (recipe is None) == (resume is None):
        raise click.UsageError("give a recipe with a sweep section, or --resume NAME to continue a sweep.")
    changing = ("sets", "data", "trials", "workers", "seeds", "name")
    given = [key for key in changing if options[key]]
    if resume is not None and given:
        option = "--set" if given[0] == "sets" else f"--{given[0]}"
        raise click.UsageError(f"--resume continues the sweep with its own recipe, which {option} cannot change.")
    result = _sweep(recipe, options) if recipe is not None else _resume(str(resume), options)
    if options["as_json"]:
        write_json(result)
    else:
        _show(result)


def _sweep(recipe: Path, options: dict[str, Any]) -> dict[str, Any]:
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load
    from dlcli.rundir.runs import check_name, run_name

    if options["name"] is not None:
        check_name(options["name"])
    overrides = [parse_setting(text) for text in options["sets"]]
    for option, key in (("trials", "budget.trials"), ("workers", "workers"), ("seeds", "seeds")):
        if options[option] is not None:
            overrides.append(Override(f"sweep.{key}", options[option], f"--{option} {options[option]}"))
    if (data := data_override(options)) is not None:
        overrides.append(data)
    loaded = load(recipe, overrides)
    from dlcli.runtime.console import Console
    from dlcli.workflow.sweep.sweep import sweep as run

    return run(
        loaded,
        name=options["name"] or loaded.recipe.name or run_name(loaded.path),
        runs=options["runs"],
        device=options["device"],
        command=["dlcli", *sys.argv[1:]],
        console=Console(quiet=options["quiet"]),
    )


def _resume(name: str, options: dict[str, Any]) -> dict[str, Any]:
    from dlcli.runtime.console import Console
    from dlcli.workflow.sweep.sweep import resume
    from dlcli.workflow.trials.directory import find_study

    return resume(
        find_study(options["runs"], name, "sweep"),
        device=options["device"],
        command=["dlcli", *sys.argv[1:]],
        console=Console(quiet=options["quiet"]),
    )


def _show(result: dict[str, Any]) -> None:
    objective, best, baseline = result["objective"], result["best"], result["baseline"]
    failed = f", {result['failed']} failed" if result["failed"] else ""
    say(f"{result['sweep']}: {result['trials']} trials{failed}, {result['epochs']:,} epochs")
    say(f"best {objective}: {_value(best, objective)}, trial {best['trial']}")
    for key, value in best["values"].items():
        say(f"  {key}: {as_recipe(value)}")
    if baseline is not None:
        say(f"the recipe's own values: {_value(baseline, objective)}")
    if result["importance"]:
        say("importance: " + ", ".join(f"{key} {share:.2f}" for key, share in result["importance"].items()))
    say(f"recipe: {result['sweep']}/best.yaml; table: {result['sweep']}/trials.csv")


def _value(record: dict[str, Any], objective: str) -> str:
    spread = "" if record["spread"] is None else f" (standard deviation {record['spread']:.4f} over seeds)"
    return f"{record[objective]:.4f}{spread}"
