"""``dlcli find-lr``."""

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.options import (
    WholeNumberRange,
    allow_code_option,
    check_output,
    devices_option,
    json_option,
    quiet_option,
    runs_option,
    sets_option,
)
from dlcli.cli.output import say, write_json
from dlcli.cli.train import data_override
from dlcli.errors import InputError

if TYPE_CHECKING:
    from dlcli.recipe.sections.train import CommonTrain

PATH = click.Path(path_type=Path)
MAX_STEPS = 100_000


class Rate(click.ParamType[float]):
    """A learning rate: a finite number above 0."""

    name = "rate"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        try:
            rate = float(value)
        except ValueError:
            rate = math.nan
        if not (math.isfinite(rate) and rate > 0):
            self.fail(f"expected a number > 0, such as 1e-5. Received '{value}'.", param, ctx)
        return rate


@click.command(name="find-lr", short_help="Find a learning rate by a range test.")
@click.argument("recipe", type=PATH)
@click.option(
    "--from", "start", type=Rate(), default=1e-6, show_default="1e-6", metavar="RATE", help="First learning rate."
)
@click.option("--to", "stop", type=Rate(), default=10.0, show_default="10", metavar="RATE", help="Last learning rate.")
@click.option(
    "--steps",
    type=WholeNumberRange(20, MAX_STEPS),
    default=300,
    show_default=True,
    metavar="N",
    help="Number of training steps from the first learning rate to the last.",
)
@click.option("--stage", metavar="NAME", help="Stage to test, after training those before it. Default: the first.")
@click.option(
    "-o",
    "--output",
    type=PATH,
    default=Path("learning_rates.png"),
    show_default=True,
    metavar="FILE.png",
    help="Plot to write; the table has the same name with .csv.",
)
@click.option("--force", is_flag=True, help="Overwrite the plot and the table if they exist.")
@sets_option
@click.option("--data", metavar="PATH", help="Same as --set data.path=PATH, but relative to the current folder.")
@click.option("--seed", metavar="N", help="Same as --set train.seed=N.")
@runs_option
@devices_option
@allow_code_option
@json_option
@quiet_option
def find_lr(recipe: Path, start: float, stop: float, stage: str | None, output: Path, **options: Any) -> None:
    """Train with a rising learning rate, plot the loss, and suggest a rate for train.optimizer.learning_rate.

    The range test (Smith 2017) takes one step at each rate, with the data, augmentation, network, loss and optimizer of
    the recipe, until the loss diverges. Two rates are suggested: where the loss falls fastest, and a tenth of where it
    is lowest. Of a recipe with train.stages, the first one is tested, or the one that --stage names, from the weights
    that it starts with. No run is created.

    \b
    Examples:
      dlcli find-lr recipes/digits_convnet.yaml
      dlcli find-lr recipe.yaml --from 1e-5 --to 1 --steps 500 -o rates.png
      dlcli find-lr recipe.yaml --stage fine_tune
      dlcli find-lr recipe.yaml -s train.optimizer.kind=sgd --seed 1 --json
    """
    if start >= stop:
        raise click.UsageError(f"--from must be lower than --to. Received {start:g} and {stop:g}.")
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load

    overrides = [parse_setting(text) for text in options["sets"]]
    if options["seed"] is not None:
        overrides.append(Override("train.seed", options["seed"], f"--seed {options['seed']}"))
    if (data := data_override(options)) is not None:
        overrides.append(data)
    loaded = load(recipe, overrides)
    index = _index_of_stage(stage, loaded.recipe.train)
    check_output(output, (".png",), force=options["force"])
    check_output(output.with_suffix(".csv"), (".csv",), force=options["force"])
    from dlcli.runtime.startup import start_tensorflow

    device = start_tensorflow(options["device"])
    from dlcli.runtime.console import Console
    from dlcli.workflow.find_lr import find_learning_rate

    found = find_learning_rate(
        loaded,
        output,
        runs=options["runs"],
        rates=(start, stop),
        num_steps=options["steps"],
        stage=index,
        device=device,
        console=Console(quiet=options["quiet"]),
    )
    if options["as_json"]:
        write_json(found)
        return
    _show(found, stop, [each.name for each in loaded.recipe.train.stages])


def _index_of_stage(name: str | None, train: "CommonTrain") -> int:
    """The index of a stage; 0 for None.

    Raises:
        InputError: the recipe has no such stage.
    """
    from dlcli.recipe.language.suggestions import did_you_mean
    from dlcli.recipe.language.wording import listed

    names = [stage.name for stage in train.stages]
    if name is not None and name not in names:
        known = f"its stages are {listed(names, 'and')}" if names else "it has no train.stages"
        raise InputError(f"--stage {name}: no such stage in the recipe; {known}{did_you_mean(name, names)}")
    return 0 if name is None else names.index(name)


def _show(found: dict[str, Any], stop: float, stages: list[str]) -> None:
    from dlcli.recipe.language.wording import listed

    if len(stages) > 1:
        others = listed([name for name in stages if name != found["stage"]], "or")
        say(f"tested: stage {found['stage']}. For another one: --stage {others}")
    say(
        f"loss {found['initial_loss']:.4g} at first, {found['lowest_loss']:.4g} at the learning rate "
        f"{found['lowest_at']:.2g}"
    )
    if found["diverged_at"] is None:
        say(f"the loss does not diverge up to the learning rate {stop:g}", err=True)
    else:
        say(f"the loss diverges at {found['diverged_at']:.2g}")
    for name, rate in found["suggestions"].items():
        say(f"suggestion, {name.replace('_', ' ')}: {rate:.2g}")
    say(f"the recipe's learning rate: {found['own_rate']:.2g}")
    say(f"{found['plot']}, {found['table']}")
