"""``dlcli reproduce``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    NumberRange,
    WholeNumberRange,
    allow_code_option,
    complete_runs_and_studies,
    devices_option,
    json_option,
    quiet_option,
    runs_option,
)
from dlcli.cli.output import say, write_json
from dlcli.cli.reproduce_study import compare_with, refuse_for_study, show_study, train_again
from dlcli.errors import CheckFailed, InputError

TOLERANCE = 0.01


@click.command(short_help="Train a run, a search or a sweep again and compare.")
@click.argument("run", shell_complete=complete_runs_and_studies)
@click.option(
    "--epochs-only",
    type=WholeNumberRange(min=1),
    metavar="N",
    help="Train and compare the first N epochs only, with the schedule of all.",
)
@click.option(
    "--data",
    metavar="PATH",
    help="Where the data were moved to, relative to the current folder; they must be the same.",
)
@click.option(
    "--with",
    "other",
    metavar="RUN",
    shell_complete=complete_runs_and_studies,
    help="Compare with this run, trained already, such as on another machine; train nothing.",
)
@click.option(
    "--evaluation",
    metavar="NAME",
    help="Compute evaluation/NAME/ of the run again, such as test, and compare; train nothing.",
)
@click.option(
    "--attack",
    metavar="NAME",
    help="Run the attack in attacks/NAME/ of the run again, such as pgd, and compare; train nothing.",
)
@click.option(
    "--tolerance",
    type=NumberRange(min=0, max=1),
    default=TOLERANCE,
    show_default=True,
    metavar="X",
    help="Largest relative difference that is accepted where device, versions, cores or threads differ.",
)
@runs_option
@devices_option
@json_option
@quiet_option
@allow_code_option
def reproduce(
    run: str,
    epochs_only: int | None,
    data: str | None,
    other: str | None,
    evaluation: str | None,
    attack: str | None,
    tolerance: float,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Train RUN again from its config.yaml, seed and data, and say whether the result is the same.

    The new run, RUN-reproduced, is written beside the old one. The results are equal bit for bit (weights and
    metrics.csv), or equal within --tolerance where device, versions, cores or threads differ, which are named, or
    different: the first epoch and column that differ are named, and the exit status is 1. Data that have changed are
    named, and nothing is trained.

    RUN may be a search or a sweep: every trial in its logs is trained again, and so are the finalists of a search; then
    trials and winner are compared. That takes as long as the first time.

    \b
    Examples:
      dlcli reproduce digits_convnet
      dlcli reproduce digits_convnet --epochs-only 2
      dlcli reproduce runs/flowers --data ~/photos --json
      dlcli reproduce flowers --with other_machine/runs/flowers
      dlcli reproduce digits_convnet --evaluation test
      dlcli reproduce digits_convnet --attack pgd
      dlcli reproduce search_digits
    """
    given = {"--epochs-only": epochs_only, "--data": data, "--with": other}
    results = {"--evaluation": evaluation, "--attack": attack}
    _check_options([option for option, value in {**results, **given}.items() if value is not None])
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.trials.directory import find_any_study

    if (study := find_any_study(runs, run)) is not None:
        of_run = {"--epochs-only": epochs_only, **results}
        refuse_for_study(study, next((option for option, value in of_run.items() if value is not None), None))
        if other is not None:
            found = compare_with(study, runs, other, tolerance=tolerance)
        else:
            found = train_again(study, data=data, tolerance=tolerance, device=device, quiet=quiet)
        _finish(found, as_json)
        return
    run_dir = find_run(runs, run)
    with_run = None if other is None else find_run(runs, other)
    if with_run is not None and with_run.path.resolve() == run_dir.path.resolve():
        raise InputError(f"--with: must be another run than {run_dir.path}.")
    from dlcli.cli.train import data_override
    from dlcli.runtime.startup import start_tensorflow

    started = start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.reproduce import results as again
    from dlcli.workflow.reproduce import training

    console = Console(quiet=quiet)
    if evaluation is not None:
        result = again.reproduce_evaluation(run_dir, evaluation, tolerance=tolerance, console=console)
    elif attack is not None:
        result = again.reproduce_attack(run_dir, attack, runs=runs, tolerance=tolerance, console=console)
    elif with_run is not None:
        result = training.compare_trained(run_dir, with_run, epochs=epochs_only, tolerance=tolerance)
    else:
        result = training.reproduce(
            run_dir,
            runs=run_dir.path.parent,
            epochs=epochs_only,
            data=data_override({"data": data}),
            tolerance=tolerance,
            device=started,
            console=console,
        )
    _finish(result, as_json)


def _check_options(given: list[str]) -> None:
    """Refuse options that cannot be combined: --epochs-only goes with --data or --with."""
    others = [option for option in given if option != "--epochs-only"]
    if len(others) > 1:
        raise click.UsageError(f"{others[0]} and {others[1]} cannot be combined.")
    if len(given) > len(others) and others and others[0] in ("--evaluation", "--attack"):
        raise click.UsageError(f"--epochs-only and {others[0]} cannot be combined: {others[0]} trains nothing.")


def _finish(result: dict[str, Any], as_json: bool) -> None:
    """Print the verdict.

    Raises:
        CheckFailed: the result was not reproduced.
    """
    if as_json:
        write_json(result)
    elif "of" in result:
        _show_results(result)
    elif "compared" in result:
        show_study(result)
    elif "environment" in result:
        _show(result)
    if not result["reproduced"]:
        raise CheckFailed(
            f"{result.get('of', result['run'])}: not reproduced: {result.get('differs') or _difference(result)}"
        )


def _show(result: dict[str, Any]) -> None:
    from dlcli.workflow.reproduce.environment import describe_environment

    epochs = f"{result['epochs']} {'epoch' if result['epochs'] == 1 else 'epochs'} of metrics.csv"
    if result["verdict"] == "exact":
        weights = f"the weights (SHA-256 {result['weights'][0][:16]}…), " if result["weights"] else ""
        final = " and the final metrics" if result["weights"] else ""
        say(f"{result['reproduction']}: equals {result['run']} bit for bit: {weights}{epochs}{final}")
    elif result["verdict"] == "close":
        say(
            f"{result['reproduction']}: equals {result['run']} within a tolerance of {result['tolerance']:g}, not bit "
            f"for bit: {epochs}; the largest relative difference is {result['largest']:.2g}"
        )
        say(f"first difference: {result['first'] or 'the weights'}")
    say(f"environment: {describe_environment(result['environment'], result['unrecorded'])}")
    for note in result["notes"]:
        say(f"note: {note}")


def _show_results(result: dict[str, Any]) -> None:
    from dlcli.workflow.reproduce.environment import describe_environment

    if result["verdict"] == "exact":
        say(f"{result['of']}: the same bit for bit: {result['compared']}")
    elif result["verdict"] == "close":
        say(f"{result['of']}: the same within the tolerance, not bit for bit: {result['compared']}")
        say(f"largest relative difference: {result['largest']:.2g}; first difference: {result['first']}")
    say(f"environment: {describe_environment(result['environment'], result['unrecorded'])}")


def _difference(result: dict[str, Any]) -> str:
    if result["first"] is None:
        return "metrics.csv is equal, but the weights of the models differ"
    beyond = result["beyond"]
    more = f"; first beyond the tolerance: {beyond}" if beyond != result["first"] else ""
    return f"first difference: {result['first']}{more if beyond else ''}"
