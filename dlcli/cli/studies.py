"""What ``dlcli search`` and ``dlcli sweep`` have in common: their options, the recipe, and resuming."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dlcli.cli.options import (
    Decorator,
    check_device,
    complete_names,
    json_option,
    quiet_option,
    runs_option,
    sets_option,
)
from dlcli.cli.train import data_override

if TYPE_CHECKING:
    from dlcli.recipe.load import LoadedRecipe

Kind = Literal["search", "sweep"]


def check_worker_devices(value: str) -> str:
    """Refuse devices that workers cannot have.

    Raises:
        BadParameter: it is not a device, or one that is divided.
    """
    from dlcli.runtime.devices import parse_device

    check_device(value, takes_several=True)
    if parse_device(value).num_virtual > 1:
        raise click.BadParameter(f"each worker uses one CPU or GPU. Received '{value}'.")
    return value


worker_devices_option: Decorator = click.option(
    "--device",
    default="auto",
    show_default=True,
    metavar="auto|cpu|gpu:N|gpu:N,M|gpu:all",
    help="""Devices of the workers, each of which uses one: with gpu:0,1 or gpu:all they take these GPUs in turn. auto
    uses all GPUs if there are any; gpu:N fails if it is not available.""",
    callback=lambda ctx, param, value: check_worker_devices(value),
    shell_complete=lambda ctx, param, incomplete: [
        d for d in ("auto", "cpu", "gpu", "gpu:all") if d.startswith(incomplete)
    ],
)


def study_options(kind: Kind, *own: Decorator) -> Decorator:
    """Adds the argument RECIPE and the options of a verb.

    Args:
        own: the options that only this verb has.
    """
    decorators: Sequence[Decorator] = (
        click.argument("recipe", required=False, type=click.Path(path_type=Path)),
        sets_option,
        click.option(
            "--data", metavar="PATH", help="Same as --set data.path=PATH, but relative to the current folder."
        ),
        *own,
        click.option("--name", metavar="NAME", help="Name of the directory. Default: the recipe's name."),
        runs_option,
        click.option(
            "--resume",
            metavar="NAME",
            help=f"Resume an interrupted {kind}, from its log of trials.",
            shell_complete=lambda ctx, param, incomplete: complete_names(ctx, incomplete, (kind,)),
        ),
        click.option(
            "--ray",
            metavar="ADDRESS",
            help="Run the trials on a Ray cluster: HOST:PORT, ray://HOST:PORT, auto or local. Default: processes.",
        ),
        worker_devices_option,
        json_option,
        quiet_option,
    )

    def decorate(command: Any) -> Any:
        for decorator in reversed(decorators):
            command = decorator(command)
        return command

    return decorate


def run_study(
    kind: Kind, recipe: Path | None, resume: str | None, options: dict[str, Any], keys: Mapping[str, str]
) -> dict[str, Any]:
    """Run a new search or sweep, or resume one; returns its result.

    Args:
        keys: the options of the verb that set a key of the recipe, and this key.

    Raises:
        UsageError: neither a recipe nor a name to resume is given, or both.
        InputError: the recipe or its data cannot be used.
    """
    if (recipe is None) == (resume is None):
        raise click.UsageError(f"give a recipe with a {kind} section, or --resume NAME to continue a {kind}.")
    given = next((key for key in ("sets", "data", *keys, "name") if options[key]), None)
    if resume is not None and given is not None:
        option = f"--{given.removesuffix('s') if given == 'sets' else given}"
        raise click.UsageError(f"--resume continues the {kind} with its own recipe, which {option} cannot change.")
    if recipe is None:
        return _resumed(kind, str(resume), options)
    from dlcli.rundir.runs import check_name, run_name

    if options["name"] is not None:
        check_name(options["name"])
    loaded = _loaded(recipe, options, keys)
    from dlcli.recipe.support import check_verb
    from dlcli.workflow.studies import work_of
    from dlcli.workflow.trials.work import start

    if kind == "search":
        check_verb(loaded.recipe, loaded.locate("task"), kind)
    name = options["name"] or loaded.recipe.name or run_name(loaded.path)
    return start(work_of(kind, loaded), name=name, runs=options["runs"], **_how(options))


def _loaded(recipe: Path, options: dict[str, Any], keys: Mapping[str, str]) -> "LoadedRecipe":
    from dlcli.recipe.language.overrides import Override, parse_setting
    from dlcli.recipe.load import load

    overrides = [parse_setting(text) for text in options["sets"]]
    for option, key in keys.items():
        if options[option] is not None:
            overrides.append(Override(key, options[option], f"--{option} {options[option]}"))
    if (data := data_override(options)) is not None:
        overrides.append(data)
    return load(recipe, overrides)


def _resumed(kind: Kind, name: str, options: dict[str, Any]) -> dict[str, Any]:
    from dlcli.workflow.studies import work_of
    from dlcli.workflow.trials.directory import find_study
    from dlcli.workflow.trials.work import resume

    study = find_study(options["runs"], name, kind)
    return resume(study, lambda loaded: work_of(kind, loaded), **_how(options))


def _how(options: dict[str, Any]) -> dict[str, Any]:
    """The device, the command for the record, and the console."""
    from dlcli.runtime.console import Console

    command = ["dlcli", *sys.argv[1:]]
    return {
        "device": options["device"],
        "ray": options["ray"],
        "command": command,
        "console": Console(quiet=options["quiet"]),
    }
