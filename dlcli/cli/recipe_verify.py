"""``dlcli recipe verify``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    NumberRange,
    allow_code_option,
    device_option,
    json_option,
    quiet_option,
    runs_option,
    sets_option,
)
from dlcli.cli.output import say, write_json, write_table
from dlcli.cli.train import data_override, training_overrides
from dlcli.cli.train import train as train_command
from dlcli.errors import CheckFailed, InputError, Interrupted
from dlcli.recipe.language.errors import shortened

REPEATED = ("epochs", "data", "sets", "seed", "batch_size", "limit", "precision", "deterministic")
"""The options of ``dlcli train`` that the command in a header may have: those that say what is trained."""


@click.command("verify", short_help="Check the figures in a recipe's header.")
@click.argument("recipes", metavar="RECIPE...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--data", metavar="PATH", help="Data of the command, in place of those that the header names.")
@sets_option
@click.option(
    "--minutes",
    type=NumberRange(min=0, min_open=True),
    metavar="M",
    help="Verify the quickest recipes, whose time adds up to M minutes by their headers; skip the others.",
)
@runs_option
@device_option
@json_option
@quiet_option
@allow_code_option
def verify(
    recipes: tuple[Path, ...],
    data: str | None,
    sets: tuple[str, ...],
    minutes: float | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run the command in the header of each RECIPE with its seeds, and compare the figures that the header claims.

    A figure is equal to the last digit that is written, or close (Welch's t test sees no difference between the two
    means over seeds), or different: then the exit status is 1. Of several recipes, those whose data are not here or
    whose command is not dlcli train are skipped, and named.

    \b
    Examples:
      dlcli recipe verify recipes/digits_mlp.yaml
      dlcli recipe verify recipes/names_lstm.yaml --data names/
      dlcli recipe verify recipes/*.yaml --minutes 60

    The header is the comment at the beginning, with the fields Command, Time and Reaches:

    \b
      # Command: dlcli train recipes/digits_mlp.yaml
      # Time:    1 s of training on two CPU cores
      # Reaches: test_accuracy 0.9739 (standard deviation 0.0032 over seeds 0, 1, 2)
    """
    planned, skipped = _plan(recipes, data, sets, minutes)
    results: list[dict[str, Any]] = []
    for path, header, load in planned:
        try:
            result = _verify(path, header, load, runs=runs, device=device, quiet=quiet)
        except InputError as error:  # such as data that cannot be downloaded
            if len(recipes) == 1:
                raise
            skipped.append((path, str(error).splitlines()[0]))
            continue
        results.append(result)
        if not as_json:
            _show(result)
    results += [{"recipe": str(path), "skipped": reason} for path, reason in skipped]
    if as_json:
        write_json(results)
    else:
        for path, reason in skipped:
            say(f"skipped {path}: {reason}")
    wrong = [one["recipe"] for one in results if one.get("verdict") == "different"]
    if wrong:
        raise CheckFailed(f"not what the header says: {', '.join(wrong)}")


def _plan(
    recipes: Sequence[Path], data: str | None, sets: Sequence[str], minutes: float | None
) -> tuple[list[tuple[Path, Any, Any]], list[tuple[Path, str]]]:
    """What is verified, the quickest first, and what is skipped, with the reason.

    Raises:
        InputError: the only recipe cannot be verified.
    """
    from dlcli.recipe.header import read_header

    planned, skipped = [], []
    for path in recipes:
        try:
            header = read_header(path)
            load = _loader(path, header, data, sets)
            load(header.seeds[0]).check_data_path()
        except InputError as error:
            if len(recipes) == 1:
                raise
            skipped.append((path, str(error).splitlines()[0]))
        else:
            planned.append((path, header, load))
    planned.sort(key=lambda plan: plan[1].seconds or 0.0)
    left = float("inf") if minutes is None else 60 * minutes
    kept = []
    for plan in planned:
        seconds = (plan[1].seconds or 0.0) * len(plan[1].seeds)
        if seconds > left:
            skipped.append((plan[0], f"takes about {seconds / 60:.0f} min, more than is left of --minutes"))
        else:
            left -= seconds
            kept.append(plan)
    return kept, skipped


def _loader(path: Path, header: Any, data: str | None, sets: Sequence[str]) -> Any:
    """A function that loads the recipe with the options of the header's command, for a seed.

    Raises:
        InputError: the command does not train this recipe, or has other options.
    """
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load

    arguments = header.command
    if {"-h", "--help"}.intersection(arguments):
        raise InputError(f"{header.place}: the command trains nothing.")
    if "--allow-code" in arguments:  # which only the user may give: the header may be a stranger's
        raise InputError(f"{header.place}: the command must not have --allow-code. Give it to dlcli recipe verify.")
    try:
        options = train_command.make_context("dlcli train", list(arguments)).params
    except click.UsageError as error:
        raise InputError(f"{header.place}: the command is not valid: {shortened(error.format_message())}") from None
    if options["recipe"] is None or options["recipe"].name != path.name:
        raise InputError(f"{header.place}: the command must train {path.name}. Received {options['recipe']}.")
    plain = train_command.make_context("dlcli train", [str(path)]).params
    other = [key for key in options if key not in ("recipe", *REPEATED) and options[key] != plain[key]]
    if other:
        raise InputError(f"{header.place}: the command must say what is trained only. Remove --{other[0]}.")
    overrides = training_overrides(options)
    if options["epochs"] is not None:
        overrides.append(Override("train.epochs", options["epochs"], f"--epochs {options['epochs']}"))
    place = data_override({"data": data if data is not None else options["data"]})
    overrides += [] if place is None else [place]
    overrides += [parse_setting(text) for text in sets]

    def with_seed(seed: int) -> Any:
        return load(path, [*overrides, Override("train.seed", str(seed), f"seed {seed} of the header")])

    return with_seed


def _verify(path: Path, header: Any, load: Any, *, runs: Path, device: str, quiet: bool) -> dict[str, Any]:
    from dlcli.runtime.startup import start_tensorflow

    started = start_tensorflow(device)
    from dlcli.rundir.directory import RunDir
    from dlcli.runtime.console import Console
    from dlcli.workflow.seeds import train_seeds
    from dlcli.workflow.verify import compare_figures

    console = Console(quiet=quiet)
    done: list[str] = []
    finals: list[dict[str, float]] = []
    for seed in header.seeds:
        try:
            done += train_seeds(load, [seed], runs=runs, name=None, device=started, console=console)["runs"]
        except Interrupted as stop:
            hint = "\nThe header is not verified: the same command starts over, with all seeds."
            raise Interrupted(f"{stop}{hint}", stop.signal_number) from None
        finals.append(RunDir(Path(done[-1])).read_info()["final"])
        if any(figure.metric not in finals[0] for figure in header.figures):
            break  # more seeds do not help
    figures = compare_figures(header, finals)
    verdicts = [figure["verdict"] for figure in figures]
    verdict = next((one for one in ("different", "close") if one in verdicts), "equal")
    return {"recipe": str(path), "verdict": verdict, "figures": figures, "runs": done, "metrics": list(finals[0])}


def _show(result: dict[str, Any]) -> None:
    say(f"{result['recipe']}: {result['verdict']}")
    rows = []
    for figure in result["figures"]:
        pairs = [figure["claimed"], figure["received"] or [None, None]]
        rows.append([figure["metric"], *pairs[0], *pairs[1], figure["verdict"]])
    write_table(["metric", "header", "deviation", "received", "deviation", "verdict"], rows)
    missing = [figure["metric"] for figure in result["figures"] if figure["received"] is None]
    if missing:
        say(f"no such metric: {', '.join(missing)}. The run has: {', '.join(result['metrics'])}.")
