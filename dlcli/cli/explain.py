"""``dlcli explain``."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import click

from dlcli.cli.options import (
    Utf8,
    WholeNumberRange,
    check_run,
    device_option,
    json_option,
    quiet_option,
    run_argument,
    runs_option,
    split_option,
)
from dlcli.cli.output import say, write_json, write_marked, write_table
from dlcli.cli.paths import expanded
from dlcli.errors import InputError
from dlcli.printing import escaped_line

METHODS = (
    *("auto", "gradient", "smoothgrad", "integrated", "gradcam", "gradcam++", "occlusion", "guided"),
    *("gradient-x-input", "leave-one-out"),
)
MOST_STEPS = 100_000
MOST_DIGITS = 9  # of the number of a filter


@click.command(short_help="Show what a model's predictions are due to.")
@run_argument(required=True)
@click.argument("paths", nargs=-1, metavar="[PATH]...")
@click.option("--text", "texts", type=Utf8(), multiple=True, help="Text to explain; repeatable (text models).")
@click.option(
    "--method",
    "methods",
    type=click.Choice(METHODS),
    multiple=True,
    metavar="NAME",
    help="Method of attribution; repeatable. For images gradient, smoothgrad, integrated, gradcam, gradcam++, "
    "occlusion or guided; for sequences integrated, gradient-x-input or leave-one-out. Default: auto, which is "
    "integrated and occlusion for images of up to 64 pixels, gradcam and occlusion for larger ones, and integrated "
    "among others for sequences.",
)
@click.option(
    "--class",
    "class_name",
    type=Utf8(),
    default="predicted",
    show_default=True,
    metavar="NAME|predicted|label",
    help="Class to explain, by name or index; label is for images of a split.",
)
@click.option(
    "--target",
    "targets",
    type=Utf8(),
    multiple=True,
    metavar="NAME",
    help="What to explain of localization: class, left, top, right or bottom; of image regression, the name of a "
    "number; of a forecast, a step ahead, such as 12. Repeatable. Default: all of them; of a forecast the first and "
    "the last step.",
)
@click.option(
    "--object",
    "object_number",
    type=WholeNumberRange(1),
    metavar="N",
    help="Object to explain of a detector, counted in falling order of the scores. Default: 1, the best.",
)
@click.option(
    "--layer",
    type=Utf8(),
    metavar="NAME",
    help="Layer whose feature maps Grad-CAM weights, such as stage3. Default: the last with more than one position.",
)
@click.option(
    "--baseline",
    type=click.Choice(["black", "mean", "blur"]),
    help="Image that integrated gradients start from, and that fills an occluded window. Default: black.",
)
@click.option(
    "--steps",
    metavar="auto|N",
    default="auto",
    show_default=True,
    help="Steps of integrated gradients; auto doubles them until the maps are complete within 1%.",
)
@split_option
@click.option(
    "--limit",
    type=WholeNumberRange(1),
    metavar="N",
    help="Explain only N images, evenly spaced. Default: all of the PATHs, 16 of a split.",
)
@click.option(
    "--check",
    is_flag=True,
    help="Check the methods, too, on samples of a split: randomized weights, insertion and deletion, for images grid "
    "pointing, for classes of texts predictions that change when tokens are hidden.",
)
@click.option(
    "--mistakes",
    is_flag=True,
    help="Explain the most confident mistakes of the split, for the class that was predicted, in place of evenly "
    "spaced images (image classification).",
)
@click.option(
    "--features",
    type=Utf8(),
    metavar="STAGE|all",
    help="Show what the filters of a stage, such as stage2, have learned instead of explaining outputs: the nine "
    "images that excite each most, cut by its receptive field, and their deconvnet projections.",
)
@click.option(
    "--filters", metavar="N,N...", help="Filters that --features shows, such as 0,5. Default: 8 of the stage."
)
@click.option("--maximize", is_flag=True, help="Make images, too, that maximize the filters of --features.")
@click.option(
    "--gradient-norms",
    is_flag=True,
    help="Show how far gradients reach back in a recurrent network instead: their norm by steps before the end, with "
    "trained and with initial weights.",
)
@click.option(
    "--gates",
    is_flag=True,
    help="Draw the gates of the first LSTM or GRU layer over the steps of a sequence instead, with the inputs and the "
    "state: what it keeps, writes and shows.",
)
@click.option(
    "--beside",
    "others",
    type=Utf8(),
    multiple=True,
    metavar="RUN",
    help="Another run for the plot of --gradient-norms; repeatable.",
)
@click.option("--name", metavar="NAME", help="Name of the results folder. Default: the methods, or the stage.")
@runs_option
@device_option
@json_option
@quiet_option
def explain(
    run: str,
    paths: tuple[str, ...],
    texts: tuple[str, ...],
    methods: tuple[str, ...],
    class_name: str,
    targets: tuple[str, ...],
    object_number: int | None,
    layer: str | None,
    baseline: Literal["black", "mean", "blur"] | None,
    steps: str,
    split: str | None,
    limit: int | None,
    check: bool,
    mistakes: bool,
    features: str | None,
    filters: str | None,
    maximize: bool,
    gradient_norms: bool,
    gates: bool,
    others: tuple[str, ...],
    name: str | None,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Show what the predictions of the best model of RUN are due to: what speaks for a class, and what against it.

    Each PATH is an image, a folder of images, an .npz file, or - for an image's bytes on stdin; for text models a file
    as for predict. Without a PATH, samples of the test split are explained.

    \b
    Examples:
      dlcli explain digits_convnet
      dlcli explain runs/flowers photos/rose.jpg
      dlcli explain runs/flowers photos/ --method gradcam --layer stage3 --class tulip
      dlcli explain digits_convnet scan.png --method integrated --steps 200 --baseline blur
      dlcli explain digits_convnet --check --method integrated --method guided
      dlcli explain digits_convnet --split validation --class label --limit 50 --json
      dlcli explain runs/flowers --mistakes --limit 8
      dlcli explain digits_convnet --features stage2 --filters 0,5 --maximize
      dlcli explain runs/flowers --features all
      dlcli explain reviews --text "a dull and lifeless mess"
      dlcli explain reviews --check
      dlcli explain translator --text "good morning"
      dlcli explain localize_shapes --target left --target right
      dlcli explain detect_scenes street.jpg --class person --object 2
      dlcli explain beijing_pm25 --target 6 --target 12 --check
      dlcli explain adding_lstm --gradient-norms --beside adding_simple --beside adding_gru
      dlcli explain adding_lstm --gates

    Maps have a value for each pixel of the network's input: positive where the image speaks for the class, negative
    where it speaks against it. Results are written to explanations/NAME/ in the run: explanations.csv, maps.npz,
    maps.png and explanation.json, with --check also check.json. Results of a different request are never replaced;
    NAME gets a number instead. For texts, tokens.csv and explanations.html have a value for each token. With
    --features, the files are explanations.csv, filters.csv, explanation.json, an .npz and a .png for each stage,
    and first_layer.png; all draws plots/hierarchy.png in the run, too.
    """
    from dlcli.rundir.runs import check_name, find_run
    from dlcli.runtime.startup import start_tensorflow

    if "" in paths:
        raise click.UsageError("A PATH must not be empty. Use . for the current folder.")
    if any(not text.strip() for text in texts):
        raise click.UsageError("--text must not be empty: a text without words has nothing to explain.")
    if (paths or texts) and split is not None:
        given = "--text" if texts else "paths"
        raise click.UsageError(f"--split is for samples of the run's own data. Leave it or the {given} out.")
    if mistakes and paths:
        raise click.UsageError("--mistakes are those in a split, whose labels are known. Leave the paths out.")
    num_steps = _steps(steps)
    if gradient_norms and gates:
        raise click.UsageError("--gradient-norms cannot be combined with --gates.")
    if gradient_norms or gates:
        option = "--gates" if gates else "--gradient-norms"
        _refuse_beside_measurements(option, paths, texts, methods, features, check=check, mistakes=mistakes)
    if others and not gradient_norms:
        raise click.UsageError("--beside is for --gradient-norms.")
    if features is not None:
        _refuse_beside_features(
            methods, class_name, targets, object_number, layer, baseline, num_steps, check, mistakes
        )
        _check_stage(features)
    elif filters is not None or maximize:
        raise click.UsageError(f"{'--maximize' if maximize else '--filters'} is for --features.")
    numbers = _filters(filters)
    if name is not None:
        try:
            check_name(name, of="results folder's")
        except InputError as error:
            raise InputError(f"--name {name}: {error}") from None
    files = expanded(paths)
    run_dir = find_run(runs, run)
    _check_support(
        check_run(run_dir, "explain"),
        str(run_dir.path),
        methods,
        {
            "--baseline": baseline is not None,
            "--check": check,
            "--class": class_name != "predicted",
            "--features": features is not None,
            "--gates": gates,
            "--gradient-norms": gradient_norms,
            "--layer": layer is not None,
            "--mistakes": mistakes,
            "--object": object_number is not None,
            "--steps": num_steps is not None,
            "--target": bool(targets),
            "--text": bool(texts),
        },
    )
    others_dirs = [find_run(runs, other) for other in others]
    for other in others_dirs:
        recipe_of_other = check_run(other, "explain")
        if "--gradient-norms" not in recipe_of_other.explanation_options:
            raise InputError(
                f"--beside {other.path}: has no gradient norms over time: its task is {recipe_of_other.task}. Name a "
                "run with a recurrent network."
            )
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.explain import ExplanationRequest
    from dlcli.workflow.explain import explain as explain_run

    request = ExplanationRequest(
        paths=files,
        texts=texts,
        methods=methods or ("auto",),
        target=class_name,
        outputs=targets,
        object_number=object_number or 1,
        layer=layer,
        baseline=baseline,
        steps=num_steps,
        split=split,
        limit=limit,
        check=check,
        mistakes=mistakes,
        features=features,
        filters=numbers,
        maximize=maximize,
    )
    if gradient_norms:
        _show_gradient_norms([run_dir, *others_dirs], request, name=name, console=Console(quiet=quiet), as_json=as_json)
        return
    if gates:
        _show_gates(run_dir, request, name=name, console=Console(quiet=quiet), as_json=as_json)
        return
    results = explain_run(run_dir, request, name=name, console=Console(quiet=quiet))
    if as_json:
        write_json(results)
        return
    if results["texts"]:
        _show_texts(results["texts"])
    elif results["tables"]:
        _show_tables(results["tables"])
    elif features is None:
        _show(results["explanations"], results["shown"])
    else:
        _show_features(results["explanations"])
    if results["check"] is not None:
        say()
        _show_check(results["check"])
    say(f"files in {results['folder']}")


def _check_support(recipe: Any, place: str, methods: Sequence[str], options: Mapping[str, bool]) -> None:
    """Refuse a method or an option that the run's task does not support."""
    from dlcli.recipe.support import check_explanation

    check_explanation(recipe, place, methods, {option for option, is_given in options.items() if is_given})


def _refuse_beside_measurements(
    option: str,
    paths: Sequence[str],
    texts: Sequence[str],
    methods: Sequence[str],
    features: str | None,
    *,
    check: bool,
    mistakes: bool,
) -> None:
    """Refuse what explains outputs or filters."""
    given: dict[str, Any] = {"a PATH": paths, "--text": texts, "--method": methods, "--features": features}
    given |= {"--check": check, "--mistakes": mistakes}
    for other, value in given.items():
        if value:
            raise click.UsageError(f"{option} cannot be combined with {other}.")


def _show_gradient_norms(runs: Sequence[Any], request: Any, *, name: str | None, console: Any, as_json: bool) -> None:
    """Measure the gradient norms of runs, and print a row for each."""
    from dlcli.workflow.gradient_norms import explain_gradient_norms

    results = explain_gradient_norms(runs, request, name=name, console=console)
    if as_json:
        write_json(results)
        return
    keys = ["run", "layer", "steps", "ratio_trained", "ratio_initial"]
    if any(row["ratio_forget_bias_0"] is not None for row in results["networks"]):
        keys.append("ratio_forget_bias_0")
    cells = [["" if row[key] is None else row[key] for key in keys] for row in results["networks"]]
    write_table([key.replace("_", " ") for key in keys], cells)
    say("ratio: of the gradient norm, for each step back in time; below 1 it vanishes")
    say(f"files in {results['folder']}")


def _show_gates(run: Any, request: Any, *, name: str | None, console: Any, as_json: bool) -> None:
    """Compute the gates of a run's sequences, and print a row for each gate."""
    from dlcli.workflow.gates import explain_gates

    results = explain_gates(run, request, name=name, console=console)
    if as_json:
        write_json(results)
        return
    keys = ("gate", "mean", "open", "closed", "varies")
    write_table(["layer", *keys], [[results["layer"], *(row[key] for key in keys)] for row in results["gates"]])
    say("open, closed: share of values above 0.9 and below 0.1; varies: mean standard deviation over the steps")
    say(f"files in {results['folder']}")


def _steps(text: str) -> int | None:
    """The number of steps; None for auto."""
    if text == "auto":
        return None
    if not (text.isascii() and text.isdigit() and 0 < int(text) <= MOST_STEPS):
        raise InputError(f"--steps: expected auto or a whole number from 1 to {MOST_STEPS:,}. Received {text}.")
    return int(text)


def _refuse_beside_features(
    methods: Sequence[str],
    class_name: str,
    targets: Sequence[str],
    object_number: int | None,
    layer: str | None,
    baseline: str | None,
    steps: int | None,
    check: bool,
    mistakes: bool,
) -> None:
    """Refuse an option that explains outputs."""
    given = {
        "--method": bool(methods),
        "--class": class_name != "predicted",
        "--target": bool(targets),
        "--object": object_number is not None,
        "--layer": layer is not None,
        "--baseline": baseline is not None,
        "--steps": steps is not None,
        "--check": check,
        "--mistakes": mistakes,
    }
    for option, is_given in given.items():
        if is_given:
            raise click.UsageError(f"{option} explains outputs and cannot be combined with --features.")


def _check_stage(name: str) -> None:
    """Refuse the number of a filter in place of a stage.

    Raises:
        click.UsageError: it is a number.
    """
    if name.isascii() and name.isdigit():
        raise click.UsageError(
            f"--features {name}: names a stage or layer, and --filters the numbers of its filters, such as --features "
            f"stage2 --filters {name[:MOST_DIGITS]}."
        )


def _filters(text: str | None) -> tuple[int, ...]:
    """Numbers of filters that are separated by commas; none for None."""
    if text is None:
        return ()
    parts = [part.strip() for part in text.split(",")]
    if not all(part.isascii() and part.isdigit() and len(part) < MOST_DIGITS for part in parts):
        raise InputError(f"--filters: expected whole numbers separated by commas, such as 0,5. Received {text}.")
    return tuple(map(int, parts))


def _show_features(rows: Sequence[Mapping[str, Any]]) -> None:
    """A row for each filter: the image that excites it most."""
    header = ["stage", "filter", "largest activation", "file", "label", "patch"]
    cells = [
        [row["stage"], row["filter"], row["activation"], row["file"], row["label"], f"{row['height']} x {row['width']}"]
        for row in rows
        if row["rank"] == 1
    ]
    write_table(header, cells)


def _show(rows: Sequence[Mapping[str, Any]], shown: Sequence[str]) -> None:
    """A row for each explanation, with the columns that the task shows."""
    write_table([name.replace("_", " ") for name in shown], [[_cell(row, name) for name in shown] for row in rows])


def _cell(row: Mapping[str, Any], name: str) -> Any:
    if name == "method":
        return " ".join(filter(None, [row["method"], row.get("layer")]))
    if name == "completeness_error" and row[name] is not None:
        return f"{row[name]:.2%}"
    return "" if row[name] is None else row[name]


def _show_texts(texts: Sequence[Mapping[str, Any]]) -> None:
    """Each text with its tokens in colors, where the terminal has them, and what its values are."""
    for text in texts:
        say(escaped_line(text["title"]))
        write_marked(text["tokens"], separator=text["separator"])
        say(f"  {escaped_line(text['note'])}")


def _show_tables(tables: Mapping[str, Sequence[Mapping[str, Any]]]) -> None:
    """Each table below its title."""
    for title, rows in tables.items():
        say(f"{title}:")
        write_table([name.replace("_", " ") for name in rows[0]], [list(row.values()) for row in rows])


def _show_turned(check: Mapping[str, Any]) -> None:
    """A row for each method, and for what knows nothing of the network."""
    methods = check["randomization"]["methods"]
    cells = [
        [
            name,
            *(_statistic(methods.get(name, {}).get(part)) for part in ("head", "all")),
            _statistic(share),
            _statistic(check["difference_from_log_odds"].get(name)),
            methods.get(name, {}).get("verdict", "naive"),
        ]
        for name, share in check["turned"].items()
    ]
    write_table(["checked", "random head", "random weights", "turned", "beyond log-odds", ""], cells)
    say(
        f"turned: share of {check['texts']:,} predictions that change when the top fifth of a text's tokens are made "
        "unknown; mean ± standard error"
    )


def _show_check(check: Mapping[str, Any]) -> None:
    """A row for each method and for each map that knows nothing of the network."""
    if "turned" in check:
        _show_turned(check)
        return
    methods, grid = check["randomization"]["methods"], check.get("grid_pointing")
    noun = next(key for key in ("images", "texts", "sentences", "series", "forecasts") if key in check)
    measured: list[Mapping[str, Any]] = []
    header = ["checked", "random head", "random weights"]
    if check["insertion"]:
        header += ["insertion", "deletion"]
        measured += [check["insertion"], check["deletion"]]
    if check["insertion"] and grid:
        header += ["mass in quarter", "quarter"]
        measured += [grid["mass"], grid["quarter"]]
    cells = []
    for name in dict.fromkeys([*methods, *check["insertion"]]):
        found = methods.get(name, {})
        values = [found.get("head"), found.get("all"), *(of_check.get(name) for of_check in measured)]
        weak = f" ({found['weak']})" if found.get("weak") else ""
        cells.append([name, *map(_statistic, values), found.get("verdict", "naive") + weak])
    write_table([*header, ""], cells)
    if measured and noun != "images":
        parts = "tokens" if noun in ("texts", "sentences") else "values"
        say(f"insertion is high and deletion low where the first {parts} decide: area below the {check['measured']}")
    mosaics = f", {grid['mosaics']} mosaics of four" if measured and grid else ""
    one = noun if noun == "series" else noun.removesuffix("s")
    say(f"{check[noun]:,} {one if check[noun] == 1 else noun}{mosaics}; mean ± standard error")
    for kind, reason in check.get("not_made", {}).items():
        say(f"no {kind}: {reason}")


def _statistic(found: Mapping[str, Any] | None) -> str:
    if found is None:
        return "-"
    error = found["standard_error"]
    return f"{found['mean']:.3f}" + ("" if error is None else f" ±{error:.3f}")
