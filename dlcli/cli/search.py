"""``dlcli search``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.output import say, write_json, write_table
from dlcli.cli.studies import run_study, study_options


@click.command(short_help="Search for the cells of a network.")
@study_options("search")
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
    result = run_study("search", recipe, resume, options, {})
    if options["as_json"]:
        write_json(result)
    else:
        _show(result)


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
