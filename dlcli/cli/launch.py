"""``dlcli launch``."""

from collections.abc import Sequence
from typing import Any

import click

from dlcli.cli.options import WholeNumberRange
from dlcli.cli.output import say
from dlcli.cli.train import command_overrides, train
from dlcli.cli.transfer import transfer

ALONE = ("dry_run", "overfit", "seeds", "folds", "extend", "top")  # options that need one process


@click.command(short_help="Train with several processes.", context_settings={"allow_interspersed_args": False})
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED)
@click.option(
    "--workers",
    type=WholeNumberRange(2, 64),
    metavar="N",
    help="Number of processes on this machine: each has a GPU of its own if there are as many, and a share of the "
    "cores otherwise.",
)
@click.option(
    "--restarts",
    type=WholeNumberRange(0, 1000),
    default=3,
    show_default=True,
    metavar="N",
    help="How often a run is resumed by all processes after one was killed, has crashed or does not respond.",
)
@click.option(
    "--min-workers",
    type=WholeNumberRange(1, 64),
    metavar="N",
    help="Restart with one process fewer for each that was lost, down to N, where a machine has gone or its memory is "
    "full; the result is then the same up to rounding. Default: always as many.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Start the processes on a Ray cluster: HOST:PORT, ray://HOST:PORT, auto, or local for one on this machine. "
    "Needs pip install 'dlcli[ray]'.",
)
@click.option(
    "--slurm",
    is_flag=True,
    help="Be the task of a Slurm job that srun has started: train with the other tasks of the job step.",
)
@click.option(
    "--port",
    type=WholeNumberRange(1024, 65_000),
    metavar="N",
    help="With --slurm: the port of the first task of each node. Default: one that depends on the job.",
)
def launch(
    command: tuple[str, ...],
    workers: int | None,
    restarts: int,
    min_workers: int | None,
    ray: str | None,
    slurm: bool,
    port: int | None,
) -> None:
    """Train one run with several processes, each of which computes a share of every batch.

    COMMAND is a dlcli train or dlcli transfer command. The result is that of several devices; the learning rate and
    the batch size are those of the recipe. If a process is lost, all are started again and resume the run. The output
    and the exit status are those of the first process, which writes the run; the output of another one is shown if it
    fails.

    \b
    Examples:
      dlcli launch --workers 2 -- train recipe.yaml
      dlcli launch --workers 4 --restarts 10 --min-workers 2 -- train recipes/digits_convnet.yaml
      dlcli launch --ray auto --workers 4 -- train recipe.yaml
      dlcli launch --workers 2 -- transfer --base resnet50 --data photos/
      srun dlcli launch --slurm -- train recipe.yaml
    """
    if slurm == (workers is not None):
        raise click.UsageError("one of --workers N (processes on this machine) and --slurm is required, not both.")
    if ray is not None and slurm:
        raise click.UsageError("--ray and --slurm cannot be combined.")
    if min_workers is not None and (workers is None or min_workers > workers):
        raise click.UsageError("--min-workers must be at most --workers.")
    if port is not None and not slurm:
        raise click.UsageError("--port is for --slurm; --workers finds free ports.")
    options = _checked_options(command)
    from dlcli.errors import InputError
    from dlcli.runtime.cluster import VARIABLE, read_cluster

    if read_cluster() is not None:
        raise InputError(f"{VARIABLE}: is set, but dlcli launch sets it itself. Unset it, or start dlcli train alone.")
    if slurm:
        _become_task(command, port)
        return
    assert workers is not None
    _check_files(options)
    numbers = (workers, workers if min_workers is None else min_workers)
    click.get_current_context().exit(_launch(command, options, numbers, restarts, ray))


def _checked_options(command: Sequence[str]) -> dict[str, Any]:
    """The options of a train or transfer command, whose errors are reported once, before any process is started."""
    verbs = {"train": train, "transfer": transfer}
    if command[0] not in verbs:
        raise click.UsageError(
            "only dlcli train and dlcli transfer can be launched, such as: -- train recipe.yaml. Received "
            f"'{command[0]}'."
        )
    root = click.get_current_context().find_root()  # whose settings, such as the names of --help, hold for all commands
    with verbs[command[0]].make_context(command[0], list(command[1:]), parent=root) as context:
        options = dict(context.params)
        alone = next((name for name in ALONE if options.get(name)), None)
        if alone is not None:
            flag = alone.replace("_", "-")
            raise click.UsageError(f"--{flag} needs one process: use dlcli {command[0]}.", ctx=context)
        if command[0] == "train" and options["resume"] is None and options["recipe"] is None:
            raise click.UsageError("no recipe given, such as recipes/digits_convnet.yaml.", ctx=context)
    return options


def _check_files(options: dict[str, Any]) -> None:
    """Check the recipe, or that the run exists; the tasks of several machines do so themselves."""
    from dlcli.recipe.load import load
    from dlcli.rundir.runs import check_name, find_run

    if options.get("resume") is not None:
        find_run(options["runs"], options["resume"])
    if options["name"] is not None:
        check_name(options["name"])
    if options.get("recipe") is not None:
        load(options["recipe"], command_overrides(options))


def _launch(
    command: Sequence[str], options: dict[str, Any], numbers: tuple[int, int], restarts: int, ray: str | None
) -> int:
    """Train with a number of processes, and with no fewer than another number after some were lost."""
    from dlcli.workflow.launch.launch import Training, launch

    workers, least = numbers

    start: Any
    if ray is not None:
        from dlcli.workflow.launch.on_ray import starter

        start = starter(ray, workers, options["device"])
    else:
        from dlcli.workflow.launch.local import starter_here

        start = starter_here(workers, options["device"])
    allow_code = ["--allow-code"] if "--allow-code" in command else []

    def to_resume(run: str) -> tuple[str, ...]:
        is_moved = command[0] == "train" and options["data"] is not None  # a run of transfer knows where its data are
        data = ["--data", options["data"]] if is_moved else []
        flags = [flag for flag, is_given in (("--json", options["as_json"]), ("--quiet", options["quiet"])) if is_given]
        return ("train", "--resume", run, "--device", options["device"], *data, *flags, *allow_code)

    return launch(
        Training(tuple(command), to_resume),
        start,
        workers=workers,
        least=least,
        restarts=restarts,
        say=lambda line: say(line, err=True),
    )


def _become_task(command: Sequence[str], port: int | None) -> None:
    """Replace this process by the training process of its task, which then gets Slurm's signals itself."""
    import os

    from dlcli.runtime.cluster import VARIABLE
    from dlcli.runtime.launched import child_environment, dlcli_command
    from dlcli.runtime.slurm import cluster_from_slurm

    config = cluster_from_slurm(os.environ, port=port)
    start = dlcli_command(command)
    os.execve(start[0], start, {**child_environment(), VARIABLE: config})
