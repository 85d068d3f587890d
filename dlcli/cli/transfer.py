"""``dlcli transfer``."""

import re
import shlex
import sys
from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import complete_runs
from dlcli.cli.output import say, write_json, write_matrix
from dlcli.cli.train import train_new, training_options, training_overrides, write_result

AUGMENTS = ("none", "flip", "light", "strong")
MAX_MATRIX = 12  # maximum number of classes of a confusion matrix that is printed
PLOTS_OF_ERRORS = ("mistakes", "boxes", "errors", "overlays", "detections")  # a run has the one of its task


def _complete_base(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from typing import get_args

    from dlcli.recipe.sections.image_model import ApplicationName

    bases = [*get_args(ApplicationName), *(f"run:{name}" for name in complete_runs(ctx, param, ""))]
    return [base for base in bases if base.startswith(incomplete)]


TASKS = (
    *("classification", "localization", "detection", "instance_segmentation", "segmentation"),
    *("multilabel", "image_regression"),
)


@click.command(short_help="Train a new head on a pretrained network, then fine-tune.")
@click.option(
    "--base",
    required=True,
    metavar="NETWORK|run:NAME|FILE.keras",
    help="Pretrained network: one of keras.applications, such as resnet50; your own run; or a saved classifier.",
    shell_complete=_complete_base,
)
@click.option(
    "--base-option",
    "base_options",
    multiple=True,
    metavar="KEY=VALUE",
    help="Argument of the network: alpha, depth_multiplier or minimalistic; repeatable.",
)
@click.option(
    "--task",
    type=click.Choice(TASKS),
    default="classification",
    show_default=True,
    metavar="TASK",
    help="Task of the new head: classification, localization (a class and a box), detection (any number of boxes), "
    "instance_segmentation (boxes and masks), segmentation (a class for each pixel), multilabel or image_regression.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Folder of class folders, a .csv or .npz file. Default: the current folder if it holds class folders, else "
    "the bundled digits. For localization and detection: a Pascal VOC, COCO or YOLO folder, a COCO .json, a .csv "
    "or .npz file; default: synthetic images. For segmentation and instance segmentation: a folder of images and "
    "one of masks, for the latter also COCO or YOLO; for several labels and numbers: a .csv, or the folder that "
    "contains it; default: synthetic scenes.",
)
@click.option(
    "--weights",
    metavar="imagenet|none|PATH",
    help="Weights of the base: imagenet (downloaded), a file (.weights.h5, .h5 or .keras), or none for random "
    "initialization. Default: imagenet.",
)
@click.option(
    "--head",
    metavar="linear|N,N…",
    default="linear",
    show_default=True,
    help="New head: linear, or the units of dense layers.",
)
@click.option("--dropout", metavar="P", help="Dropout rate before the output layer and after each dense layer.")
@click.option(
    "--pooling",
    type=click.Choice(["average", "max"]),
    help="Global pooling of the base's last feature maps. Default: average.",
)
@click.option("--image-size", metavar="N|HxW", help="Image size. Default: the size that the base was trained on.")
@click.option(
    "--epochs",
    metavar="N",
    help="Epochs of training the head with the base frozen. Default: 40; 15 for localization, 5 for segmentation, 3 "
    "for detection and instance segmentation.",
)
@click.option(
    "--learning-rate",
    metavar="R",
    help="Initial learning rate of the head. Default: 0.003; 0.001 for localization, detection and instance "
    "segmentation.",
)
@click.option(
    "--unfreeze",
    metavar="N|STAGE|all|none",
    help="Part of the base to fine-tune: the deepest N layers with weights, a stage such as stage4 and everything "
    "after it, all, or none. Default: last_stage; all for boxes and masks.",
)
@click.option(
    "--fine-tune-epochs",
    metavar="N",
    help="Epochs of fine-tuning; 0 for none. Default: 5; 30 for localization, 24 for detection and instance "
    "segmentation, 20 for segmentation.",
)
@click.option(
    "--fine-tune-learning-rate",
    metavar="R",
    help="Initial learning rate of fine-tuning. Default: 0.00001; 0.0003 for localization, 0.0005 for "
    "segmentation and instance segmentation, 0.001 for detection.",
)
@click.option(
    "--rate-decay",
    metavar="F",
    help="In fine-tuning, train each stage of the base at F times the learning rate of the next stage.",
)
@click.option(
    "--augment",
    type=click.Choice(AUGMENTS),
    help="Random augmentation of the images in fine-tuning; for boxes and masks, in both "
    "stages. Default: light; none for the bundled digits and for numbers, which flips and shifts may change.",
)
@click.option(
    "--top",
    type=click.Choice(["imagenet"]),
    help="Train nothing; make a run of the pretrained network with its 1,000 classes.",
)
@click.option(
    "--class-index",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --top: class names, in the format of Keras's imagenet_class_index.json. Default: that file, downloaded.",
)
@training_options
def transfer(base: str, **options: Any) -> None:
    """Put a new head on a pretrained network, train the head, then fine-tune the deepest layers.

    Images are scaled until they cover the network's size, then center-cropped (-s data.resize=stretch keeps their
    margins). A saved BASE that does not scale pixels itself needs their range: -s 'model.input_range=[0, 1]'.

    \b
    Examples:
      dlcli transfer --base resnet50 --data photos/
      dlcli transfer --base mobilenetv2 --base-option alpha=0.35 --unfreeze none
      dlcli transfer --base vgg16 --weights vgg16.h5 --head 256 --dropout 0.5
      dlcli transfer --base run:flowers --data other_flowers/
      dlcli transfer --base resnet50 --top imagenet
      dlcli transfer --base mobilenetv2 --task localization --data voc/
      dlcli transfer --base mobilenetv2 --task detection --data fruit/
      dlcli transfer --base resnet50 --task multilabel --data photos/tags.csv
      dlcli transfer --base mobilenetv2 --task segmentation --data photos/
      dlcli transfer --base mobilenetv2 --task instance_segmentation --data pedestrians/

    Stage 1 trains the head on the frozen base, whose features are computed once and cached in RUNS/.features. Stage 2
    also trains the deepest layers, at a low learning rate; batch normalization stays frozen. The run's config.yaml is
    the complete recipe: edit it and train it with `dlcli train`. Resume an interrupted run with `dlcli train --resume`.
    """
    if options["top"] is not None:
        _make_pretrained_run(base, options)
        return
    if options["class_index"] is not None:
        raise click.UsageError("--class-index is for --top imagenet.")
    from dlcli.runtime.cluster import read_cluster
    from dlcli.workflow.transfer import DEFAULTS, find_base, find_data, make_plan, transfer_recipe

    _check_base_options(base, options)
    has_backbone = DEFAULTS[options["task"]].network is not None
    network = "model.backbone" if has_backbone else "model"
    for option in ("dropout", "pooling"):
        if options[option] is not None and has_backbone:
            raise click.UsageError(
                f"--{option} is for a head on whole images; the head of --task {options['task']} is on feature maps."
            )
    base_network = find_base(base, runs=options["runs"], device=options["device"], takes_cluster=True)
    data, data_line = find_data(options["data"], base_network, task=options["task"])
    plan = make_plan(
        task=options["task"],
        head=options["head"],
        unfreeze=options["unfreeze"],
        fine_tune_epochs=options["fine_tune_epochs"],
        augment=options["augment"],
        is_digits=data["kind"] == "digits",
    )
    overrides = _overrides(options, network=network, is_tuned=plan.unfreeze != "none" and plan.fine_tune_epochs > 0)
    cluster = read_cluster()
    if not options["quiet"] and (cluster is None or cluster.is_chief):
        say(data_line, err=True)

    def load(more: Any) -> Any:
        return transfer_recipe(base_network, data, plan, [*overrides, *more], command=_command())

    result = train_new(load, options, takes_cluster=True)
    if result is None:
        return
    if options["as_json"]:
        write_json(result)
        return
    _show(result)


# Options --------------------------------------------------------------------------------------------------------------


def _check_base_options(base: str, options: dict[str, Any]) -> None:
    if base.startswith("run:") or base.endswith(".keras"):
        for option, flag in (("weights", "weights"), ("base_options", "base-option"), ("pooling", "pooling")):
            if options[option]:
                raise click.UsageError(f"--{flag} is for networks of keras.applications.")


def _overrides(options: dict[str, Any], *, is_tuned: bool, network: str = "model") -> list[Any]:
    """The overrides of recipe keys that the options ask for; ``network`` is the key of the base."""
    from dlcli.errors import InputError
    from dlcli.recipe.language.overrides import Override

    overrides = []
    for text in options["base_options"]:
        key, equals, value = text.partition("=")
        if not equals or re.fullmatch(r"[a-z_]+", key) is None:
            raise InputError(f"--base-option {text}: expected KEY=VALUE, such as alpha=0.35.")
        overrides.append(Override(f"{network}.{key}", value, f"--base-option {text}"))
    weights = options["weights"]
    if weights is not None:
        is_word = weights in ("imagenet", "none") or weights.startswith("run:")
        value = weights if is_word else str(Path(weights).expanduser().absolute())
        overrides.append(Override.of_value(f"{network}.weights", value, f"--weights {weights}"))
    size = options["image_size"]
    if size is not None:
        sides = re.fullmatch(r"([0-9]{1,5})(?:x([0-9]{1,5}))?", size)
        if sides is None:
            raise InputError(f"--image-size {size}: expected a number of pixels, or HEIGHTxWIDTH.")
        height, width = sides[1], sides[2] or sides[1]
        overrides.append(Override("data.image_size", f"[{int(height)}, {int(width)}]", f"--image-size {size}"))
    keys = {
        "dropout": "model.dropout",
        "pooling": "model.head",
        "epochs": "train.stages.0.epochs",
        "learning_rate": "train.stages.0.learning_rate",
        "fine_tune_learning_rate": "train.stages.1.learning_rate",
        "rate_decay": "train.stages.1.rate_decay",
    }
    for option, key in keys.items():
        if options[option] is None:
            continue
        flag = f"--{option.replace('_', '-')}"
        if key.startswith("train.stages.1") and not is_tuned:
            raise click.UsageError(f"{flag} is for fine-tuning, but nothing is fine-tuned.")
        overrides.append(Override(key, options[option], f"{flag} {options[option]}"))
    return [*overrides, *training_overrides(options)]


def _command() -> str:
    """The command line of this process."""
    return shlex.join(["dlcli", *sys.argv[1:]])


# Results --------------------------------------------------------------------------------------------------------------


def _show(result: dict[str, Any]) -> None:
    from dlcli.rundir.directory import RunDir
    from dlcli.rundir.reading import MAX_METRICS_BYTES, read_json

    run = RunDir(Path(result["run"]))
    write_result(result)
    split = result["evaluated"]
    classes = run.read_classes()
    matrix = read_json(run.evaluation(split) / "metrics.json", MAX_METRICS_BYTES).get("confusion_matrix")
    if matrix is not None and 1 < len(classes) <= MAX_MATRIX:
        say(f"confusion matrix of {split} (rows: label; columns: prediction)")
        write_matrix(matrix, [*classes, "background"] if len(matrix) > len(classes) else classes)
    for name in PLOTS_OF_ERRORS:
        if (run.plots / f"{name}.png").exists():
            say(f"{name}: {run.plots / name}.png")


_TOP_OPTIONS = (
    *("base", "base_options", "weights", "top", "class_index"),
    *("sets", "name", "runs", "device", "as_json", "quiet"),
)


def _make_pretrained_run(base: str, options: dict[str, Any]) -> None:
    from dlcli.errors import InputError

    context = click.get_current_context()
    for parameter in context.command.params:
        name = str(parameter.name)
        is_given = context.get_parameter_source(name) == click.core.ParameterSource.COMMANDLINE
        if is_given and name not in _TOP_OPTIONS:
            raise click.UsageError(f"{parameter.opts[-1]} is for training; with --top imagenet nothing is trained.")
    if base.startswith("run:") or base.endswith(".keras"):
        raise click.UsageError("--top is for networks of keras.applications.")
    from dlcli.workflow.transfer import find_base, top_recipe

    base_network = find_base(base, runs=options["runs"], device=options["device"])
    if options["weights"] == "none":
        raise InputError("--weights none: --top imagenet requires the pretrained weights.")
    from dlcli.rundir.runs import check_name
    from dlcli.runtime.startup import start_tensorflow

    if options["name"] is not None:
        check_name(options["name"])
    loaded = top_recipe(base_network, _overrides(options, is_tuned=False), command=_command())
    device = start_tensorflow(options["device"])
    from dlcli.runtime.console import Console
    from dlcli.workflow.pretrained_classifier import make_pretrained_run

    result = make_pretrained_run(
        loaded,
        class_index=options["class_index"],
        runs=options["runs"],
        name=options["name"],
        device=device,
        console=Console(quiet=options["quiet"]),
    )
    if options["as_json"]:
        write_json(result)
        return
    num_classes = len(result["data"]["classes"])
    say(f"{result['run']}: {base_network.name} with {num_classes:,} classes, {result['parameters']:,} parameters")
