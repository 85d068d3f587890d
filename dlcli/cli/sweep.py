"""``dlcli sweep``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.output import as_recipe, say, write_json
from dlcli.cli.studies import run_study, study_options

KEYS = {"trials": "sweep.budget.trials", "workers": "sweep.workers", "seeds": "sweep.seeds"}


@click.command(short_help="Try different values of a recipe's keys.")
@study_options(
    "sweep",
    click.option("--trials", metavar="N", help="Same as --set sweep.budget.trials=N."),
    click.option("--workers", metavar="N", help="Same as --set sweep.workers=N: trials at the same time."),
    click.option("--seeds", metavar="N", help="Same as --set sweep.seeds=N: a trial is the mean of N seeds."),
)
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
    result = run_study("sweep", recipe, resume, options, KEYS)
    if options["as_json"]:
        write_json(result)
    else:
        _show(result)


def _show(result: dict[str, Any]) -> None:
    objective, best, baseline = result["objective"], result["best"], result["baseline"]
    failed = f", {result['failed']} failed" if result["failed"] else ""
    say(f"{result['directory']}: {result['trials']} trials{failed}, {result['epochs']:,} epochs")
    say(f"best {objective}: {_value(best, objective)}, trial {best['trial']}")
    for key, value in best["values"].items():
        say(f"  {key}: {as_recipe(value)}")
    if baseline is not None:
        say(f"the recipe's own values: {_value(baseline, objective)}")
    if result["importance"]:
        say("importance: " + ", ".join(f"{key} {share:.2f}" for key, share in result["importance"].items()))
    say(f"recipe: {result['directory']}/best.yaml; table: {result['directory']}/trials.csv")


def _value(record: dict[str, Any], objective: str) -> str:
    spread = "" if record["spread"] is None else f" (standard deviation {record['spread']:.4f} over seeds)"
    return f"{record[objective]:.4f}{spread}"
