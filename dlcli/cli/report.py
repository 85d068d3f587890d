"""``dlcli report``."""

from pathlib import Path

import click

from dlcli.cli.options import check_output, complete_runs, complete_runs_and_studies, json_option, runs_option
from dlcli.cli.output import say, write_json


@click.command(short_help="Write a report on a run as one page.")
@click.argument("run", required=False, shell_complete=complete_runs_and_studies)
@click.argument("other", required=False, shell_complete=complete_runs)
@click.option("--card", is_flag=True, help="Write README.md instead, a model card in Hugging Face's form.")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="File to write (.html, or .md with --card). Default: report.html or README.md in the run.",
)
@click.option(
    "--force", is_flag=True, help="Replace FILE, or a report.html or README.md that somebody has written or changed."
)
@runs_option
@json_option
def report(
    run: str | None, other: str | None, card: bool, output: Path | None, force: bool, runs: Path, as_json: bool
) -> None:
    """Write a report on RUN (default: the newest run), or on RUN and OTHER, as one page that needs no other file.

    It has the score with its interval and baselines, the warnings, data, learning curves, results by class, mistakes,
    explanations, robustness, cost, how to reproduce the run, and its limits; for two runs also a paired test and the
    differences of the recipes. What is missing is named with the command that makes it. RUN may be a search or sweep,
    whose report has its result, plots, finalists and trials. The page has no scripts.

    \b
    Examples:
      dlcli report
      dlcli report digits_convnet digits_mlp -o comparison.html
      dlcli report sweep_digits
      dlcli report digits_convnet --card
    """
    from dlcli.rundir.runs import find_run
    from dlcli.workflow.trials.directory import find_any_study

    if card and other is not None:
        raise click.UsageError("--card describes one run. Leave OTHER out.")
    if output is not None:
        check_output(output, (".md",) if card else (".html",), force=force)
    study = None if run is None else find_any_study(runs, run)
    if study is not None and (card or other is not None):
        raise click.UsageError(
            f"{study.path} is a {study.kind}, for which there is no {'--card' if card else 'OTHER'}."
        )
    if study is not None:
        from dlcli.workflow.report.report import report_of_study

        path = report_of_study(study, output, force=force)
        _show(path, card=False, as_json=as_json)
        return
    found = [find_run(runs, run)] + ([] if other is None else [find_run(runs, other)])
    if card:
        from dlcli.workflow.report.model_card import write_card

        path = write_card(found[0], output, force=force)
    else:
        from dlcli.workflow.report.report import report as write_report

        path = write_report(found, output, force=force)
    _show(path, card=card, as_json=as_json)


def _show(path: Path, *, card: bool, as_json: bool) -> None:
    if as_json:
        write_json({"file": str(path)})
    else:
        say(f"report in {path}" if not card else f"model card in {path}")
