"""The section of a report on explanations: maps or texts of the current model, their checks, and what was measured."""

import contextlib
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from dlcli.errors import InputError
from dlcli.report.page.page import Image, Section, Table
from dlcli.rundir.tables import read_csv
from dlcli.workflow.report import explanation_checks
from dlcli.workflow.report.explained_texts import marked_texts
from dlcli.workflow.report.facts import Facts, capitalized, newest_results
from dlcli.workflow.report.images import image_of

Found = Sequence[tuple[str, Mapping[str, Any]]]
"""Name and explanation.json of results, the newest first."""

MEASURED = {
    "networks": ("gradient_norms.png", "Gradient norms by steps before the end, with trained and with initial weights"),
    "gates": ("gates.png", "Gates of the recurrent layer over the steps of a sequence"),
}
"""A key of explanation.json that says what is in it: its plot, and what the plot shows."""
FIRST = "first_layer.png"
MAPS = "Maps of what speaks for and against an output"
OF_MISTAKES = "Maps of what speaks for a class, and against it, in the most confident mistakes"
MEMORY = "Rows of the memory that are written and read at each step"
FEATURES = "Patches of images that excite the filters of a stage most, beside their deconvnet projections"


def explanations(facts: Facts, max_width: int) -> Section:
    """The newest maps of the current model, and what checks say about the methods."""
    if facts.task is None or "explain" not in facts.task.verbs:
        return Section("Explanations", ["dlcli explain does not support this task."])
    every = newest_results(facts.run.explanations, "explanation.json", model=facts.info.get("model"))
    found = [pair for pair in every if not (_features_of(pair[1]) or any(key in pair[1] for key in MEASURED))]
    found = [pair for pair in found if not _is_of_mistakes(pair[1])] or found
    others = [*_features(every, facts, max_width), *_measured(every, facts, max_width)]
    name_of_run = shlex.quote(str(facts.run.path))
    if not found:
        text = "There are no explanations of what the model predicts."
        return Section("Explanations", images=others, missing=[(text, f"dlcli explain {name_of_run}")])
    of_splits = [pair for pair in found if pair[1].get("source") in facts.info["data"]["samples"]]
    checked = [pair for pair in found if (facts.run.explanations / pair[0] / "check.json").exists()]
    name, content = next(iter(checked or of_splits or found))
    lines = [f"explanations/{name}, of samples from: {content.get('source', 'unknown')}."]
    folder = facts.run.explanations / name
    is_memory = (content.get("settings") or {}).get("methods") == ["memory"]
    images = image_of(folder / "maps.png", MEMORY if is_memory else MAPS, max_width)
    images += image_of(folder / "attention.png", "Attention weights, not reasons", max_width) + others
    texts = marked_texts(folder, content)
    lines += [_meaning(facts.task)] if texts else []
    if is_memory:
        return Section("Explanations", lines, tables=_memory(folder), images=images)
    if not checked:
        can_check = "--check" in facts.task.explanation_options
        text = "The methods are not checked on this model."
        missing = [(text, f"dlcli explain {name_of_run} --check")] if can_check else []
        return Section("Explanations", lines, images=images, missing=missing, texts=texts)
    warnings = [
        capitalized(
            f"{method} {text}: its maps hardly depend on the weights and do not show what the model has learned."
        )
        for method, text in explanation_checks.verdicts(folder / "check.json")
        if "fails" in text
    ]
    tables = explanation_checks.tables(folder / "check.json")
    return Section("Explanations", lines, warnings, tables, images, texts=texts)


def maps_of_mistakes(facts: Facts, max_width: int) -> list[Image]:
    """The newest maps of the most confident mistakes of the current model; none if it has none."""
    every = newest_results(facts.run.explanations, "explanation.json", model=facts.info.get("model"))
    for name in [name for name, content in every if _is_of_mistakes(content)][:1]:
        return image_of(facts.run.explanations / name / "maps.png", OF_MISTAKES, max_width)
    return []


def _is_of_mistakes(content: Mapping[str, Any]) -> bool:
    settings = content.get("settings")
    return isinstance(settings, dict) and bool(settings.get("mistakes"))


def _meaning(task: type[Any]) -> str:
    """What the colors of tokens mean, for numbers, whose score is an error, and for everything else."""
    if task.headline == "mae":
        return "Red tokens raise the number, blue ones lower it."
    return "Red tokens speak for the output that is named above the text, blue ones against it."


def _memory(folder: Path) -> list[Table]:
    """After how many steps rows of the memory are read again."""
    with contextlib.suppress(InputError, IndexError):
        rows = read_csv(folder / "explanations.csv")
        names = [name.replace("_", " ") for name in rows[0]]
        caption = "Rows of the memory, read again some steps (lag) after they were written"
        return [Table(names, [list(row.values()) for row in rows], caption)]
    return []


def _features_of(content: Mapping[str, Any]) -> int:
    """The number of stages whose filters are shown; 0 for other explanations."""
    settings = content.get("settings")
    stages = settings.get("features") if isinstance(settings, dict) else None
    return len(stages) if isinstance(stages, dict) else 0


def _features(every: Found, facts: Facts, max_width: int) -> Iterator[Image]:
    """The newest plot of what filters have learned: of every stage if there is one, or of a stage."""
    for name, content in every:
        num_stages = _features_of(content)
        if num_stages:
            of_stages = [file for file in (facts.run.explanations / name).glob("*.png") if file.name != FIRST]
            for file in [facts.run.plots / "hierarchy.png"] if num_stages > 1 else of_stages[:1]:
                yield from image_of(file, FEATURES, max_width)
            return


def _measured(every: Found, facts: Facts, max_width: int) -> Iterator[Image]:
    """The newest plot of each measurement of a recurrent network."""
    for key, (file, alt) in MEASURED.items():
        for name in [name for name, content in every if key in content][:1]:
            yield from image_of(facts.run.explanations / name / file, alt, max_width)
