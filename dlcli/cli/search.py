"""``dlcli search``."""

import sys
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import device_option, json_option, quiet_option, runs_option, sets_option
from dlcli.cli.output import say, write_json, write_table
from dlcli.cli.train import data_override


@click.command(short_help="Search for the cells of a network.")
@click.argument("recipe", required=False, type=click.Path(path_type=Path))
@sets_option
@click.option("--data", metavar="PATH", help="Same as --set data.path=PATH, but relative to the current folder.")
@click.option("--name", metavar="NAME", help="Name of the directory. Default: the recipe's name.")
@runs_option
@click.option("--resume", metavar="NAME", help="Resume an interrupted search, from its log of trials.")
@device_option
@json_option
@quiet_option
def search(recipe: Path | None, resume: str | None, **options: Any) -> None:
    """Search for the cells of a network, by training many small ones in worker processes, as RECIPE describes.

    The best ones are trained again at full size with new seeds, beside the best of a random search of the same length.
    best.yaml in the directory is a recipe for dlcli train. Each trial is recorded when it ends: a search can be killed
    at any moment and resumed.

    \b
    Examples:
      dlcli search recipes/search_digits.yaml
      dlcli search recipe.yaml -s search.budget.trials=500 -s search.workers=4
      dlcli search --resume search_digits
      dlcli train runs/search_digits/best.yaml
    """
    if (recipe is None) == (resume is None):
        raise click.UsageError("give a recipe with a search section, or --resume NAME to continue a search.")
    given = next((f"--{key.removesuffix('s')}" for key in ("sets", "data", "name") if options[key]), None)
    if resume is not None and given is not None:
        raise click.UsageError(f"--resume continues the search with its own recipe, which {given} cannot change.")
    result = _search(recipe, options) if recipe is not None else _resume(str(resume), options)
    if options["as_json"]:
        write_json(result)
    else:
        _show(result)


def _search(recipe: Path, options: dict[str, Any]) -> dict[str, Any]:
    from dlcli.recipe.language.overrides import parse_setting
    from dlcli.recipe.load import load
    from dlcli.recipe.support import check_verb
    from dlcli.rundir.runs import check_name

    if options["name"] is not None:
        check_name(options["name"])
    data = data_override(options)
    overrides = [parse_setting(text) for text in options["sets"]]
    loaded = load(recipe, overrides if data is None else [*overrides, data])
    check_verb(loaded.recipe, loaded.locate("task"), "search")
    from dlcli.runtime.console import Console
    from dlcli.workflow.search.search import search as run

    return run(
        loaded,
        name=options["name"],
        runs=options["runs"],
        device=options["device"],
        command=["dlcli", *sys.argv[1:]],
        console=Console(quiet=options["quiet"]),
    )


def _resume(name: str, options: dict[str, Any]) -> dict[str, Any]:
    from dlcli.runtime.console import Console
    from dlcli.workflow.search.search import resume
    from dlcli.workflow.trials.directory import find_study

    return resume(
        find_study(options["runs"], name, "search"),
        device=options["device"],
        command=["dlcli", *sys.argv[1:]],
        console=Console(quiet=options["quiet"]),
    )


def _show(info: dict[str, Any]) -> None:
    """Print what was found: the trials, the finalists, and how they compare with those of random search."""
    from dlcli.workflow.search.results import conclusion

    result, directory = info["result"], info["directory"]
    metric = result["metric"]
    for origin in ("search", "random"):
        if (part := result.get(origin)) is not None:
            counts = ", ".join(f"{part[status]} {status}" for status in ("complete", "failed", "refused"))
            best = part["best"]
            found = "" if best is None else f"; best {metric} {best[metric]:.4f} (trial {best['trial']})"
            say(f"{origin}: {part['trials']} trials ({counts}){found}")
    rows = [
        [one["origin"], one["trial"], one["mean"], one["spread"], one["parameters"], one["multiply_adds"]]
        for one in result["finalists"]
    ]
    say(f"finalists, by their mean {metric} over seeds:")
    write_table(["from", "trial", "mean", "deviation", "parameters", "multiply-adds"], rows, right=range(1, 6))
    name = result["compared_by"]
    for origin, scores in result["chosen"].items():
        spread = "" if scores["spread"] is None else f" (standard deviation {scores['spread']:.4f})"
        say(f"{name} of the chosen finalist of {origin}: {scores['mean']:.4f}{spread}")
    if result["comparison"] is not None:
        say(conclusion(result["comparison"], name))
    say(f"recipe: {directory}/best.yaml")
