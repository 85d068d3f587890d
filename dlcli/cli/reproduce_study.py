"""``dlcli reproduce`` of a search or sweep."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dlcli.cli.output import say
from dlcli.errors import InputError

if TYPE_CHECKING:
    from dlcli.workflow.trials.directory import StudyDir


def refuse_for_study(study: "StudyDir", option: str | None) -> None:
    """Refuse an option that is for runs only; None if none was given.

    Raises:
        UsageError: one was given.
    """
    if option is not None:
        finalists = f"; its finalists are runs, in {study.finals}" if study.kind == "search" else ""
        raise click.UsageError(f"{option} is for runs, and {study.path} is a {study.kind}{finalists}.")


def train_again(study: "StudyDir", *, data: str | None, tolerance: float, device: str, quiet: bool) -> dict[str, Any]:
    """Train the trials of a search or sweep again, and compare.

    Raises:
        BadParameter: its workers cannot have such a device.
    """
    from dlcli.cli.studies import check_worker_devices
    from dlcli.cli.train import data_override
    from dlcli.runtime.console import Console
    from dlcli.workflow.reproduce.studies import reproduce_study

    check_worker_devices(device)

    return reproduce_study(
        study,
        data=data_override({"data": data}),
        tolerance=tolerance,
        device=device,
        command=["dlcli", *sys.argv[1:]],
        console=Console(quiet=quiet),
    )


def compare_with(study: "StudyDir", runs: Path, name: str, *, tolerance: float) -> dict[str, Any]:
    """Compare a search or sweep with another one, which was trained already.

    Raises:
        InputError: there is no such search or sweep, or it is the same one.
    """
    from dlcli.workflow.reproduce.studies import compare_studies
    from dlcli.workflow.trials.directory import find_study

    other = find_study(runs, name, study.kind)
    if other.path.resolve() == study.path.resolve():
        raise InputError(f"--with: must be another {study.kind} than {study.path}.")
    return compare_studies(study, other, tolerance=tolerance)


def show_study(result: dict[str, Any]) -> None:
    """Print that a search or sweep was reproduced, and where the environments differ."""
    from dlcli.workflow.reproduce.environment import describe_environment

    equals = f"{result['reproduction']}: equals {result['run']}"
    if result["verdict"] == "exact":
        say(f"{equals} bit for bit: {result['compared']}")
    elif result["verdict"] == "close":
        say(
            f"{equals} within a tolerance of {result['tolerance']:g}, not bit for bit: {result['compared']}; the "
            f"largest relative difference is {result['largest']:.2g}"
        )
        say(f"first difference: {result['first']}")
    say(f"environment: {describe_environment(result['environment'], result['unrecorded'])}")
    for note in result["notes"]:
        say(f"note: {note}")
