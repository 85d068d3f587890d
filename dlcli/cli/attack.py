"""``dlcli attack``."""

from pathlib import Path
from typing import Any

import click

from dlcli.cli.options import (
    WholeNumberRange,
    devices_option,
    json_option,
    quiet_option,
    run_argument,
    runs_option,
    split_option,
)
from dlcli.cli.output import say, write_json, write_table

KINDS = {
    "fgsm": "One step along the sign of the gradient (Goodfellow et al. 2015).",
    "bim": "Iterated small steps from the clean image (Kurakin et al. 2017).",
    "pgd": "Iterated small steps from random starts (Madry et al. 2018).",
    "mi-fgsm": "Iterated steps with momentum (Dong et al. 2018).",
    "deepfool": "Approximately smallest perturbation, in l2 (Moosavi-Dezfooli et al. 2016).",
    "apgd": "Iterated steps of adaptive size, on cross-entropy (Croce and Hein 2020).",
    "apgd-dlr": "Same as --apgd, on the difference of logits ratio.",
    "square": "Random squares, without gradients, in linf (Andriushchenko et al. 2020).",
    "noise": "Random noise of the same size, as a baseline.",
    "suite": "For each sample, the worst of apgd, apgd-dlr and square (in l2: deepfool); a part of AutoAttack.",
}


def _kinds(command: Any) -> Any:
    for kind in reversed(KINDS):
        command = click.option(f"--{kind}", kind.replace("-", "_"), is_flag=True, help=KINDS[kind])(command)
    return command


@click.command(short_help="Attack a classifier with adversarial examples.")
@run_argument(required=False)
@_kinds
@click.option(
    "--eps",
    metavar="E,E…",
    help="Budgets as fractions of the pixel range, such as 8/255 or 0.03. Default: by norm, for gray or color images.",
)
@click.option(
    "--norm", type=click.Choice(["linf", "l2"]), help="Norm of the perturbation. Default: linf; l2 with --deepfool."
)
@click.option(
    "--steps", type=WholeNumberRange(1, 100_000), metavar="N", help="Steps of an iterated attack; queries of --square."
)
@click.option(
    "--step-size",
    metavar="F",
    help="Step size as a fraction of eps. Default: 2.5 / steps; 1 / steps with --mi-fgsm.",
)
@click.option(
    "--restarts",
    type=WholeNumberRange(1, 1000),
    metavar="N",
    help="Random starts of --pgd, --apgd, --apgd-dlr and --suite; the worst result counts. Default: 1.",
)
@click.option(
    "--loss",
    type=click.Choice(["cross-entropy", "margin"]),
    help="Loss to maximize; use margin if the network is too confident for cross-entropy. Default: cross-entropy.",
)
@click.option(
    "--target", metavar="CLASS", help="Target class, by name or index. Default: untargeted, away from the label."
)
@click.option("--transfer-to", metavar="RUN|MODEL.keras", help="Score the adversarial examples on this other network.")
@click.option(
    "--transfer-input-range",
    metavar="LOW,HIGH",
    help="Values of black and white that the MODEL.keras of --transfer-to expects.",
)
@split_option
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="Other data with the same classes: a recipe, a folder of class folders, a .csv or an .npz.",
)
@click.option(
    "--input-range",
    metavar="LOW,HIGH",
    help="For a MODEL.keras: the values of black and white that it expects, such as 0,1 or 0,255.",
)
@click.option(
    "--logits",
    is_flag=True,
    help="For a MODEL.keras: treat its outputs as logits whatever its last layer. Default: detected from its layers.",
)
@click.option(
    "--classes", metavar="NAME,NAME…", help="For a MODEL.keras: its class names, in the order of its outputs."
)
@click.option(
    "--limit", type=WholeNumberRange(1), metavar="N", help="Attack only N samples, evenly spaced over the split."
)
@click.option(
    "--batch-size",
    type=WholeNumberRange(1, 100_000),
    default=128,
    show_default=True,
    metavar="N",
    help="Number of samples to attack at once.",
)
@click.option(
    "--seed",
    type=WholeNumberRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Seed of random starts, noise and squares.",
)
@click.option(
    "--save-samples",
    metavar="N|all",
    default="16",
    show_default=True,
    help="Number of samples to save in adversarial.npz.",
)
@click.option("--name", metavar="NAME", help="Name of the results folder. Default: attack, norm and target.")
@click.option("--no-checks", is_flag=True, help="Skip the sanity checks of the attack, which take extra time.")
@runs_option
@devices_option
@json_option
@quiet_option
def attack(run: str | None, runs: Path, device: str, as_json: bool, quiet: bool, **options: Any) -> None:
    """Attack the best model of RUN (default: the newest run) or the classifier in MODEL.keras.

    \b
    Examples:
      dlcli attack --fgsm
      dlcli attack digits_convnet --pgd --eps 8/255 --steps 40 --restarts 5
      dlcli attack digits_convnet --fgsm --bim --noise --eps 0,0.1,0.2 --json
      dlcli attack digits_convnet --pgd --target 3 --transfer-to digits_mlp
      dlcli attack model.keras --data photos/ --input-range 0,255 --classes ants,bees --fgsm

    Epsilon is a fraction of the pixel range, whatever preprocessing the network contains. Results are written to
    attacks/NAME/ in the run (for a model file, to attacks/MODEL-NAME/ in the current folder): robustness.csv,
    samples.csv, adversarial.npz, examples.png, curve.png and attack.json. Results of a different attack are never
    replaced; NAME gets a number instead. Sanity checks of the attack run automatically, and failures are reported.
    """
    from dlcli.workflow.attack.request import Request
    from dlcli.workflow.attack.settings import Settings

    request = Request(
        run=run,
        runs=runs,
        data=options["data"],
        split=options["split"],
        limit=options["limit"],
        input_range=options["input_range"],
        classes=options["classes"],
        transfer_to=options["transfer_to"],
        transfer_input_range=options["transfer_input_range"],
        has_logits=options["logits"],
        target=options["target"],
    )
    kinds = [kind for kind in KINDS if options[kind.replace("-", "_")]]
    if not kinds:
        if not request.is_file:
            request.check()  # a task that cannot be attacked needs no attack
        raise click.UsageError(f"no attack given. Choose one or more of {', '.join(f'--{kind}' for kind in KINDS)}.")
    if options["name"] is not None and len(kinds) > 1:
        raise click.UsageError("--name is for a single attack.")
    settings = Settings(
        kinds,  # type: ignore[arg-type]
        norm=options["norm"],
        eps=options["eps"],
        steps=options["steps"],
        step_size=options["step_size"],
        restarts=options["restarts"],
        loss=options["loss"],
        target=options["target"],
        seed=options["seed"],
        batch_size=options["batch_size"],
        save_samples=options["save_samples"],
        name=options["name"],
        with_checks=not options["no_checks"],
    )
    settings.check()
    request.check()
    from dlcli.runtime.startup import start_tensorflow

    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.attack.attacks import attacks

    results = []
    for kind, result in zip(kinds, attacks(request, settings, Console(quiet=quiet)), strict=True):
        results.append(result)
        if not as_json:
            _show(result, kind, settings.final_norm)
    if as_json:
        write_json(results[0] if len(results) == 1 else results)


def _show(result: dict[str, Any], kind: str, norm: str) -> None:
    rows = [
        [
            f"{row['eps']:.5g}",
            f"{row['eps'] * 255:.4g}",
            row["robust_accuracy"],
            row["success_rate"],
            row[f"mean_{norm}"],
            row["robust_accuracy_8bit"],
        ]
        for row in result["rows"]
    ]
    other = result["transfer_to"]
    scored = "" if other is None else f", crafted on {result['model']}, scored on {other}"
    say(f"{kind}, {norm}{scored}: clean accuracy {result['rows'][0]['clean_accuracy']:.4f}")
    write_table(["eps", "pixels", "robust accuracy", "success rate", f"mean {norm}", "8-bit robust accuracy"], rows)
    distances = result["distances"]
    if distances and distances["broken"]:
        say(
            f"smallest perturbations found for {distances['broken']:,} correctly classified samples: median {norm} "
            f"{distances['median']:.4f}, mean {distances['mean']:.4f}"
        )
    failed = [check["name"] for check in result["checks"] if not check["passed"]]
    if result["checks"]:
        say(
            f"checks: {len(result['checks']) - len(failed)} of {len(result['checks'])} passed"
            + (f"; failed: {', '.join(failed)}" if failed else "")
        )
    say(f"files in {result['folder']}")
