"""``dlcli report --card``: a README.md in the form of Hugging Face's model cards."""

import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from dlcli.errors import InputError
from dlcli.printing import escaped_line, unicode_escaped
from dlcli.rundir.directory import RunDir
from dlcli.rundir.writing import replace_file
from dlcli.workflow.report.corrupt_files import changed_model
from dlcli.workflow.report.facts import Facts, existing, read_facts, spoken, values_of_others

MARK = re.compile(r"<!-- written by dlcli report --card, digest ([0-9a-f]{16}) -->\n")
"""By which a card that nobody has changed since is recognized: the digest is that of the text without this line."""
TO_FILL_IN = "*To be filled in by a person:* "

PIPELINES: Mapping[str, str] = {
    "classification": "image-classification",
    "multilabel": "image-classification",
    "detection": "object-detection",
    "localization": "object-detection",
    "segmentation": "image-segmentation",
    "instance_segmentation": "image-segmentation",
    "text_classification": "text-classification",
    "text_multilabel": "text-classification",
    "text_regression": "text-classification",
    "tagging": "token-classification",
    "language_model": "text-generation",
    "forecasting": "time-series-forecasting",
}
"""Hugging Face's names of tasks, for those that have one."""


def write_card(run: RunDir, output: Path | None, *, force: bool) -> Path:
    """Write the model card of a complete run.

    Args:
        output: the file. Default: README.md in the run.
        force: replace a README.md that people have written or changed.

    Returns:
        The file's path.

    Raises:
        InputError: the run has no final score, is corrupt, its model is not the one that it saved, or README.md is
            someone's own.
    """
    facts = read_facts(run)
    if facts.headline is None or facts.info["status"] != "completed":
        raise InputError(f"{run.path}: is {facts.info['status']}: a model card needs a complete run.")
    changed = changed_model(run, facts.info)
    if changed is not None:
        raise InputError(changed)
    path = output or run.card
    if output is None and not force:
        _check_own(path)
    with values_of_others([run]):
        text = "\n".join(_lines(facts)) + "\n"
    front, rest = text.split("\n---\n", 1)
    replace_file(path, f"{front}\n---\n<!-- written by dlcli report --card, digest {_digest(text)} -->\n{rest}")
    return path


def _check_own(path: Path) -> None:
    content = existing(path)
    if content is None:
        return
    written = content.decode("utf-8", "replace")
    mark = MARK.search(written)
    if mark is None or mark[1] != _digest(MARK.sub("", written, count=1)):
        raise InputError(
            f"{path}: was written or filled in by a person. Use --force to replace it, or name another file with "
            "--output."
        )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _lines(facts: Facts) -> Iterator[str]:
    yield "---"
    yield unicode_escaped(yaml.safe_dump(metadata(facts), sort_keys=False, allow_unicode=True)).rstrip()
    yield from ("---", "", f"# {facts.run.name}", "")
    metric, value = facts.headline or ("", 0.0)
    interval = facts.interval_text(metric)
    certainty = f" (95% interval {interval})" if interval else ""
    yield f"A Keras model for `{facts.info.get('task')}`, trained by dlcli."
    yield f"On the {facts.split} split its {spoken(metric)} is {value:.4f}{certainty}."
    if facts.best_baseline is not None:
        yield f"The best baseline reaches {facts.best_baseline:.4f}."
    yield from (
        "",
        "## Intended use",
        "",
        f"{TO_FILL_IN}what the model is meant for, and what it must not be used for.",
    )
    shape = "x".join(str(side) for side in facts.info["data"].get("shape") or ())
    takes = f"samples of shape {shape}" if shape else "samples"
    yield from (
        "",
        "## Use",
        "",
        f"The model takes batches of {takes}, as they are in the data: preprocessing is a part of it.",
    )
    yield from ("`dlcli predict` prints its predictions in words.", "")
    yield from ("```python", "import keras", "", 'model = keras.models.load_model("model.keras")', "```")
    yield from ("", "## Training data", "")
    data = facts.info["data"]
    counts = ", ".join(f"{count:,} {split}" for split, count in data["samples"].items())
    yield f"{counts} samples; fingerprint `{data['fingerprint'][:16]}`."
    if data.get("classes"):
        names = ", ".join(_plain(str(name)) for name in data["classes"][:50])
        yield f"Classes: {names}{' and more' if len(data['classes']) > 50 else ''}."
    yield f"{TO_FILL_IN}where the data are from, their license, and whom they show."
    yield from (
        "",
        "## Evaluation",
        "",
        f"On the {facts.split} split, {facts.metrics.get('samples', 'unknown')} samples:",
        "",
    )
    yield from ("| metric | value | 95% interval |", "|---|---:|---|")
    for name, number in _metrics(facts):
        yield f"| {spoken(name)} | {number:.4g} | {facts.interval_text(name)} |"
    if facts.baselines:
        yield from ("", f"Baselines, {spoken(metric)}:", "")
        yield from (f"- {spoken(name)}: {reached:.4f}" for name, reached in facts.baselines.items())
    yield from ("", "## Limits", "", f"{TO_FILL_IN}known weaknesses, and groups of samples on which it is worse.")
    yield from ("", "## Reproduction", "")
    versions = ", ".join(f"{name} {version}" for name, version in (facts.info.get("versions") or {}).items())
    yield f"`dlcli train config.yaml` with seed {facts.info.get('seed')}; {versions}."


def metadata(facts: Facts) -> dict[str, Any]:
    """The metadata of a card, with ``model-index`` from the evaluation."""
    task = str(facts.info.get("task"))
    pipeline = PIPELINES.get(task)
    kind = (facts.info["config"].get("data") or {}).get("kind", "data")
    results = {
        "task": {"type": pipeline or "other", "name": spoken(task)},
        "dataset": {
            "name": f"{kind} ({facts.info['data']['fingerprint'][:16]})",
            "type": str(kind),
            "split": facts.split,
        },
        "metrics": [{"type": name, "name": spoken(name), "value": number} for name, number in _metrics(facts)],
    }
    return {
        "library_name": "keras",
        **({"pipeline_tag": pipeline} if pipeline else {}),
        "tags": ["dlcli", "keras", "tensorflow"],
        "model-index": [{"name": facts.run.name, "results": [results]}],
    }


def _metrics(facts: Facts) -> Iterator[tuple[str, float]]:
    for name, value in facts.metrics.items():
        if isinstance(value, float) and not name.startswith("baseline"):  # whole numbers are counts
            yield name, value


def _plain(text: str) -> str:
    """Text of a run on one line of Markdown, with nothing that Markdown or HTML reads as its own."""
    return "".join(f"&#{ord(sign)};" if sign in "\\`*_{}[]<>()#+!|&~$" else sign for sign in escaped_line(text))
