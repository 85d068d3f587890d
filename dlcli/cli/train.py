"""``dlcli train``."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    WholeNumberRange,
    allow_code_option,
    complete_runs,
    devices_option,
    json_option,
    quiet_option,
    runs_option,
    sets_option,
)
from dlcli.cli.output import say, write_json, write_metrics, write_table
from dlcli.files import absolute
from dlcli.printing import escaped_line

MAX_TARGETS = 10  # whose metric is printed next to the mean of all
PRECISIONS = ("float32", "mixed_float16", "mixed_bfloat16")


_TRAINING_OPTIONS = (
    sets_option,
    click.option("--name", metavar="NAME", help="Name of the run directory. Default: the recipe's name."),
    runs_option,
    click.option("--seed", metavar="N", help="Same as --set train.seed=N."),
    click.option("--batch-size", metavar="N", help="Same as --set train.batch_size=N."),
    click.option("--limit", metavar="N", help="Same as --set data.limit=N: at most N samples per split."),
    click.option(
        "--precision",
        metavar="P",
        help="Same as --set train.precision=P: float32, mixed_float16 or mixed_bfloat16.",
        shell_complete=lambda ctx, param, incomplete: [p for p in PRECISIONS if p.startswith(incomplete)],
    ),
    click.option("--deterministic", is_flag=True, help="Same as --set train.deterministic=true."),
    click.option(
        "--seeds",
        type=WholeNumberRange(min=2),
        metavar="N",
        help="Train N runs with different seeds; report the mean and standard deviation.",
    ),
    click.option(
        "--dry-run",
        is_flag=True,
        help="Check recipe and data, build the model, show what would be trained; train nothing.",
    ),
    devices_option,
    json_option,
    quiet_option,
)


def training_options(command: Any) -> Any:
    """Add the options shared by the verbs that train a new run."""
    for option in reversed(_TRAINING_OPTIONS):
        command = option(command)
    return command


@click.command(short_help="Train a model from a recipe.")
@click.argument("recipe", required=False, type=click.Path(path_type=Path))
@click.option("--epochs", metavar="N", help="Same as --set train.epochs=N; with --extend, the new total.")
@click.option(
    "--data",
    metavar="PATH",
    help="Same as --set data.path=PATH, but relative to the current folder; with --resume or --extend, where the data "
    "were moved to.",
)
@training_options
@allow_code_option
@click.option(
    "--folds",
    type=WholeNumberRange(min=2, max=1000),
    metavar="K",
    help="Cross-validation: train K runs, each of which holds out one of K parts; report the mean and spread.",
)
@click.option(
    "--overfit",
    type=WholeNumberRange(min=1),
    metavar="N",
    help="Train on N batches only, until the loss is near zero; a network that cannot overfit them has an error.",
)
@click.option(
    "--profile",
    type=WholeNumberRange(1, 10_000),
    metavar="STEPS",
    help="Record a trace of about this many steps for TensorBoard, and report where the time goes: computing, waiting "
    "for data, or on the host.",
)
@click.option(
    "--resume",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Resume an interrupted run, exactly as if it had never stopped.",
)
@click.option(
    "--extend",
    metavar="RUN",
    shell_complete=complete_runs,
    help="Continue a finished run to the new total of --epochs.",
)
def train(recipe: Path | None, resume: str | None, extend: str | None, **options: Any) -> None:
    """Train the model that RECIPE describes, evaluate it, and save everything in a run directory.

    \b
    Examples:
      dlcli train recipes/digits_convnet.yaml
      dlcli train recipe.yaml --epochs 5 -s data.validation=0.2 --name short
      dlcli train recipe.yaml --data ~/photos --dry-run
      dlcli train recipe.yaml --seeds 3 --json
      dlcli train recipe.yaml --folds 5
      dlcli train recipe.yaml --profile 20
      dlcli train --resume runs/digits_convnet
      dlcli train --extend runs/digits_convnet --epochs 60

    Ctrl-C, SIGTERM and closing the terminal save a checkpoint before exiting; continue the run with --resume.
    """
    if resume is not None and extend is not None:
        raise click.UsageError(
            "--resume and --extend cannot be combined: --resume is for interrupted runs, --extend for finished ones."
        )
    trial = next(
        (f"--{o.replace('_', '-')}" for o in ("dry_run", "overfit", "seeds", "folds", "name") if options[o]), None
    )
    if trial is not None and (resume is not None or extend is not None):
        raise click.UsageError(f"{trial} is for a new run; it cannot be combined with --resume or --extend.")
    if extend is not None:
        _extend(recipe, extend, options)
    elif resume is not None:
        _resume(recipe, resume, options)
    else:
        _train(recipe, options)


def command_overrides(options: dict[str, Any]) -> list[Any]:
    """The overrides that all options of this command ask for."""
    from dlcli.recipe.language.overrides import Override

    overrides = training_overrides(options)
    if options["epochs"] is not None:
        overrides.append(Override("train.epochs", options["epochs"], f"--epochs {options['epochs']}"))
    data = data_override(options)
    return overrides if data is None else [*overrides, data]


def data_override(options: dict[str, Any]) -> Any:
    """The override that --data asks for; None without it."""
    from dlcli.recipe.language.overrides import Override

    if options["data"] is None:
        return None
    return Override.of_value("data.path", absolute(options["data"]), f"--data {options['data']}")


def training_overrides(options: dict[str, Any]) -> list[Any]:
    """The overrides of recipe keys that the options of `training_options` ask for."""
    from dlcli.recipe.language.overrides import Override, parse_setting

    overrides = [parse_setting(text) for text in options["sets"]]
    keys = {
        "seed": "train.seed",
        "batch_size": "train.batch_size",
        "limit": "data.limit",
        "precision": "train.precision",
    }
    for option, key in keys.items():
        if options[option] is not None:
            origin = f"--{option.replace('_', '-')} {options[option]}"
            overrides.append(Override(key, options[option], origin))
    if options["deterministic"]:
        overrides.append(Override("train.deterministic", "true", "--deterministic"))
    return overrides


def _train(recipe: Path | None, options: dict[str, Any]) -> None:
    if recipe is None:
        raise click.UsageError("no recipe given, such as recipes/digits_convnet.yaml.")
    from dlcli.recipe.load import load

    overrides = command_overrides(options)
    result = train_new(lambda more: load(recipe, [*overrides, *more]), options, takes_cluster=True)
    if result is not None:
        _show_run(result, options["as_json"])


def train_new(
    load: Callable[[Sequence[Any]], Any], options: dict[str, Any], *, takes_cluster: bool = False
) -> dict[str, Any] | None:
    """Train one new run and return its result, or do what --dry-run, --overfit or --seeds ask for and print it. A
    worker of a cluster has no result.

    Args:
        load: loads the recipe, with overrides in addition to those of the command line.
        options: the values of `training_options`, and ``overfit``.
        takes_cluster: whether processes of a cluster may train the run together.
    """
    exclusive = [
        f"--{name.replace('_', '-')}" for name in ("seeds", "folds", "dry_run", "overfit") if options.get(name)
    ]
    conflicting = [*exclusive, *(["--profile"] if options.get("profile") is not None else [])]
    if len(conflicting) > 1:
        raise click.UsageError(f"{' and '.join(conflicting)} cannot be combined.")
    from dlcli.recipe.language.overrides import Override
    from dlcli.rundir.runs import check_name
    from dlcli.runtime.slurm import warn_of_slurm
    from dlcli.runtime.startup import start_tensorflow

    if options["name"] is not None:
        check_name(options["name"])
    loaded = load([])
    if options.get("folds") is not None:
        _train_folds(load, loaded, options)
        return None
    device = start_tensorflow(options["device"], takes_cluster=takes_cluster and not exclusive)
    from dlcli.runtime.console import Console
    from dlcli.workflow.cluster import work
    from dlcli.workflow.dry_run import dry_run
    from dlcli.workflow.overfit import overfit
    from dlcli.workflow.seeds import train_seeds
    from dlcli.workflow.train import train as train_run

    console = Console(quiet=options["quiet"])
    if takes_cluster and device.members is None:
        warn_of_slurm(console.warn)
    runs, name = options["runs"], options["name"]
    if options["dry_run"]:
        _show_plan(dry_run(loaded, runs=runs, device=device, console=console), options["as_json"])
    elif options.get("overfit") is not None:
        facts = overfit(loaded, runs=runs, num_batches=options["overfit"], device=device, console=console)
        _show_overfit(facts, options["as_json"])
    elif options["seeds"] is not None:
        first = loaded.recipe.train.seed
        results = train_seeds(
            lambda seed: load([Override("train.seed", str(seed), f"--seeds, seed {seed}")]),
            range(first, first + options["seeds"]),
            runs=runs,
            name=name,
            device=device,
            console=console,
        )
        _show_seeds(results, options["as_json"])
    elif device.members is not None and not device.members.is_chief:
        work(loaded, runs=runs, device=device, console=console)
    else:
        profile = options.get("profile")
        return train_run(loaded, runs=runs, name=name, device=device, console=console, profile=profile)
    return None


def _train_folds(load: Callable[[Sequence[Any]], Any], loaded: Any, options: dict[str, Any]) -> None:
    from dlcli.recipe.language.overrides import Override
    from dlcli.recipe.support import check_folds
    from dlcli.runtime.startup import start_tensorflow

    number = options["folds"]
    check_folds(loaded)
    device = start_tensorflow(options["device"])
    from dlcli.runtime.console import Console
    from dlcli.workflow.folds import train_folds

    results = train_folds(
        lambda fold: load([Override("data.fold", f"{{number: {fold}, of: {number}}}", f"--folds, fold {fold}")]),
        number,
        runs=options["runs"],
        name=options["name"],
        device=device,
        console=Console(quiet=options["quiet"]),
    )
    _show_seeds(results, options["as_json"])
    if not options["as_json"]:
        if results["optimistic"]:
            say("each run chose its best epoch on its own fold, so that these values are slightly optimistic")
        say(f"files in {results['folder']}")


def _resume(recipe: Path | None, resume: str, options: dict[str, Any]) -> None:
    from dlcli.recipe.load import load
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.cluster import read_cluster
    from dlcli.runtime.startup import start_tensorflow

    cluster = read_cluster()
    overrides = command_overrides(options)
    if cluster is not None and not cluster.is_chief:  # which alone needs the run directory
        _work_on_resumed(options)
        return
    run = find_run(options["runs"], resume)
    given = load(recipe or run.config, overrides) if recipe is not None or overrides else None
    device = start_tensorflow(options["device"], takes_cluster=True)
    from dlcli.runtime.console import Console
    from dlcli.workflow import train as workflow

    console, profile = Console(quiet=options["quiet"]), options["profile"]
    result = workflow.resume(run, device=device, console=console, given=given, profile=profile)
    _show_run(result, options["as_json"])


def _work_on_resumed(options: dict[str, Any]) -> None:
    from dlcli.runtime.startup import start_tensorflow

    device = start_tensorflow(options["device"], takes_cluster=True)
    from dlcli.runtime.console import Console
    from dlcli.workflow.cluster import work

    work(None, runs=options["runs"], device=device, console=Console(quiet=options["quiet"]))


def _extend(recipe: Path | None, extend: str, options: dict[str, Any]) -> None:
    given = [key for key, value in options.items() if value and key not in _EXTEND_OPTIONS]
    if recipe is not None or given:
        what = "a recipe" if recipe is not None else f"--{given[0].replace('_', '-').replace('sets', 'set')}"
        raise click.UsageError(
            f"--extend uses the run's own recipe, which {what} cannot change. Train a new run instead."
        )
    total = options["epochs"] or ""
    if not (total.isascii() and total.isdigit()):
        raise click.UsageError("--extend requires --epochs N, the new total of epochs, a whole number.")
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow

    run = find_run(options["runs"], extend)
    device = start_tensorflow(options["device"])
    from dlcli.runtime.console import Console
    from dlcli.workflow import train as workflow

    data = data_override(options)
    result = workflow.extend(run, int(total), device=device, console=Console(quiet=options["quiet"]), data=data)
    _show_run(result, options["as_json"])


_EXTEND_OPTIONS = ("epochs", "data", "runs", "device", "as_json", "quiet")


# Results --------------------------------------------------------------------------------------------------------------


def _show_run(result: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(result)
        return
    write_result(result)


def write_result(result: dict[str, Any]) -> None:
    """Print what a run achieved: the best epoch, the headline metric, the worst classes, then the other metrics."""
    from dlcli.rundir.directory import RunDir
    from dlcli.workflow.headline import (
        beside_headline,
        headline,
        headline_of_targets,
        telling_metrics,
        worst_classes,
    )

    run, best = RunDir(Path(result["run"])), result["best"]
    say(f"{run.path}: best epoch {best['epoch']}, {best['metric']} {best['value']:.4f}")
    if first := headline(result):
        beside = beside_headline(result)
        more = "" if beside is None else f", {beside[0]}: {beside[1]:.4f}"
        say(f"{first[0]}: {first[1]:.4f}{more}{_of_targets(headline_of_targets(run, result))}")
    if worst := worst_classes(run, result["evaluated"]):
        say(f"lowest recall: {', '.join(f'{escaped_line(name)} ({recall:.4f})' for name, recall in worst)}")
    write_metrics(telling_metrics(run, result))


def _of_targets(values: list[tuple[str, float]]) -> str:
    """``, the mean of age 4.5 and height 12.1``"""
    shown = [f"{escaped_line(name)} {value:.4g}" for name, value in values[:MAX_TARGETS]]
    more = f", … ({len(values)} targets in per_target.csv)" if len(values) > MAX_TARGETS else ""
    return f", the mean of {', '.join(shown)}{more}" if values else ""


def _show_seeds(results: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(results)
        return
    say(f"{len(results['runs'])} runs: {', '.join(results['runs'])}")
    rows = [[name, results["mean"][name], results["spread"][name]] for name in results["mean"]]
    write_table(["metric", "mean", "standard deviation"], rows)


def _show_overfit(facts: dict[str, Any], as_json: bool) -> None:
    if as_json:
        write_json(facts)
        return
    counts = ("samples", "passes", "steps")
    values = ", ".join(f"{name} {value:.4g}" for name, value in facts.items() if name not in counts)
    say(f"overfitted: {values} on {facts['samples']} samples after {facts['steps']} steps")


def _show_plan(plan: dict[str, Any], as_json: bool) -> None:
    model = plan.pop("model")
    if as_json:
        write_json(plan)
        return
    say(model)
    for stage in plan["schedule"]:
        rates = ", ".join(f"{rate:.4g} at the {place}" for place, rate in stage["learning_rate"].items())
        say(
            f"stage {stage['name']}: epochs {stage['epochs']}, steps {stage['steps']:,}, "
            f"{stage['trainable_parameters']:,} trainable parameters; learning rate {rates} step"
        )
    shapes = ", ".join(f"{name} {shape}" for name, shape in plan["batch"].items())
    say(f"batch: {shapes}; values in [{plan['values'][0]:g}, {plan['values'][1]:g}]")
    say("nothing was trained or written")
