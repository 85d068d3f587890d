"""``dlcli report``: one or two runs, or a search or sweep, as a self-contained page. Needs no TensorFlow."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from dlcli import __version__
from dlcli.errors import InputError
from dlcli.report.page.page import Section, render
from dlcli.rundir.directory import RunDir
from dlcli.rundir.runs import now
from dlcli.rundir.writing import replace_file
from dlcli.workflow.report.comparison import comparison
from dlcli.workflow.report.facts import Facts, existing, read_facts, values_of_others
from dlcli.workflow.report.sections import sections_of
from dlcli.workflow.report.study import sections_of_study
from dlcli.workflow.trials.directory import StudyDir

MAX_BYTES = 2**20
"""Of the page for each run."""
MARK = b'<meta name="generator" content="dlcli report">'
"""By which a report is recognized, so that no other file is replaced."""
WIDTHS = (1200, 900, 700, 500, 350)
"""Of images in pixels: the largest with which the page is within its limit."""


def report(runs: Sequence[RunDir], output: Path | None, *, force: bool = False) -> Path:
    """Write the report of one run, or of two beside each other.

    Args:
        output: the file. Default: report.html in the run, or ``report-NAME.html`` with the name of the second one in
            the first.
        force: replace a file at the default place that somebody else has written.

    Returns:
        The file's path.

    Raises:
        InputError: a run is corrupt, the runs are of different tasks, the file is someone's own, or the page would be
            larger than its limit.
    """
    facts = [read_facts(run) for run in runs]
    _check(facts)
    if output is None and not force:
        path = _default(runs)
        _check_own(path)
    with values_of_others(runs):
        page = _page(facts)
    path = output or _default(runs)
    replace_file(path, page)
    return path


def _default(runs: Sequence[RunDir]) -> Path:
    return runs[0].report if len(runs) == 1 else runs[0].report_beside(runs[1].name)


def _check(facts: Sequence[Facts]) -> None:
    """Refuse to compare a run with itself, or runs of different tasks."""
    if len(facts) == 1:
        return
    one, other = facts
    if one.run.path.resolve() == other.run.path.resolve():
        raise InputError(f"{other.run.path}: is the same run as {one.run.path}. Name two different runs.")
    if one.info.get("task") != other.info.get("task"):
        raise InputError(
            f"{other.run.path}: is a run of task: {other.info.get('task')}, {one.run.path} one of task: "
            f"{one.info.get('task')}. Compare runs of the same task."
        )


def _check_own(path: Path) -> None:
    """Refuse to replace a file that somebody else has written."""
    content = existing(path)
    if content is not None and MARK not in content:
        raise InputError(
            f"{path}: was not written by dlcli report. Use --force to replace it, or name another file with --output."
        )


def report_of_study(study: StudyDir, output: Path | None, *, force: bool = False) -> Path:
    """Write the report of a search or sweep.

    Args, returns and raises as :func:`report`; the default place is report.html in its directory.
    """
    if output is None and not force:
        _check_own(study.report)
    task = study.read_info()["config"].get("task")
    page = _within_limit(
        f"Report on {study.kind} {study.name}", str(task), lambda width: sections_of_study(study, max_width=width)
    )
    path = output or study.report
    replace_file(path, page)
    return path


def _page(facts: Sequence[Facts]) -> str:
    """The page of one or two runs."""

    def sections(width: int) -> list[Section]:
        found: list[Section] = [] if len(facts) == 1 else [comparison(*facts)]
        for each in facts:
            own = sections_of(each, max_width=width)
            prefix = "" if len(facts) == 1 else f"{each.run.name}: "
            found += [replace(section, title=f"{prefix}{section.title}") for section in own]
        return found

    names = " and ".join(each.run.name for each in facts)
    return _within_limit(f"Report on {names}", str(facts[0].info.get("task")), sections, num_pages=len(facts))


def _within_limit(title: str, task: str, sections: Callable[[int], list[Section]], *, num_pages: int = 1) -> str:
    """The page with the widest images within the limit.

    Args:
        sections: of the page, by the width of its images.
        num_pages: by which the limit is multiplied.

    Raises:
        InputError: it is larger with small images, too.
    """
    limit = MAX_BYTES * num_pages
    subtitle = f"task: {task} · written {now()[:16]} UTC by dlcli {__version__}"
    for width in WIDTHS:
        page = render(title, subtitle, sections(width))
        if len(page.encode()) <= limit:
            return page
    raise InputError(f"the report would be larger than {limit // 2**20} MiB, even with small images.")
