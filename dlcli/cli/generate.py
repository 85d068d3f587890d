"""``dlcli generate``."""

from pathlib import Path

import click

from dlcli.cli.options import (
    NumberRange,
    Utf8,
    WholeNumberRange,
    check_run,
    device_option,
    json_option,
    quiet_option,
    run_argument,
    runs_option,
)
from dlcli.cli.output import say, write_json


@click.command(short_help="Generate text with a language model.")
@run_argument(required=False)
@click.option(
    "--prompt",
    type=Utf8(),
    default="",
    metavar="TEXT",
    help="Text to continue. Default: none; the model starts by itself.",
)
@click.option(
    "--class", "label", metavar="NAME", help="Class of the text, for a model trained on texts of several classes."
)
@click.option(
    "--length",
    type=WholeNumberRange(1, 100_000),
    default=500,
    show_default=True,
    metavar="N",
    help="Maximum number of tokens to generate.",
)
@click.option(
    "--temperature",
    type=NumberRange(0, 100),
    default=1.0,
    show_default=True,
    metavar="T",
    help="Sampling temperature: below 1 favors likely tokens, above 1 unlikely ones; 0 always takes the most probable.",
)
@click.option("--top-k", type=WholeNumberRange(min=1), metavar="K", help="Sample from the K most probable tokens only.")
@click.option(
    "--samples",
    "num_samples",
    type=WholeNumberRange(1, 1000),
    default=1,
    show_default=True,
    metavar="N",
    help="Number of texts to generate.",
)
@click.option(
    "--seed",
    type=WholeNumberRange(0, 2**32 - 1),
    default=0,
    show_default=True,
    metavar="N",
    help="Random seed; a different seed gives a different text.",
)
@runs_option
@device_option
@json_option
@quiet_option
def generate(
    run: str | None,
    prompt: str,
    label: str | None,
    length: int,
    temperature: float,
    top_k: int | None,
    num_samples: int,
    seed: int,
    runs: Path,
    device: str,
    as_json: bool,
    quiet: bool,
) -> None:
    """Generate text, token by token, with the language model of RUN (default: the newest run).

    \b
    Examples:
      dlcli generate shakespeare --prompt "ROMEO:" --temperature 0.8
      dlcli generate shakespeare --length 2000 --seed 7 > page.txt
      dlcli generate surnames --class Italian --samples 10
      dlcli generate surnames --class Russian --prompt Ab --top-k 5 --json

    The same seed gives the same text.
    """
    from dlcli.rundir.runs import find_run
    from dlcli.runtime.startup import start_tensorflow

    if temperature != temperature:
        raise click.UsageError("--temperature must be a number.")
    run_dir = find_run(runs, run)
    check_run(run_dir, "generate")
    start_tensorflow(device)
    from dlcli.runtime.console import Console
    from dlcli.workflow.generate import GenerationRequest
    from dlcli.workflow.generate import generate as generate_from_run

    request = GenerationRequest(prompt, label, length, temperature, top_k, num_samples, seed)
    results = generate_from_run(run_dir, request, console=Console(quiet=quiet))
    if as_json:
        write_json(results)
        return
    samples = results["samples"]
    are_long = any("\n" in sample["text"] for sample in samples) and len(samples) > 1
    for number, sample in enumerate(samples, start=1):
        if are_long:
            say(f"--- {number}")
        say(sample["text"])
