"""What a report says about two runs beside each other: scores, a paired test, and the differences of their recipes."""

import numpy as np
from scipy.stats import binomtest, wilcoxon

from dlcli.recipe.yaml_writer import completed
from dlcli.report.page.page import Section, Table
from dlcli.workflow.compare import differences
from dlcli.workflow.report.facts import Facts, is_number, spoken
from dlcli.workflow.report.sections import NOT_METRICS

MAX_TEXT = 200  # characters of a value of a recipe
SCORES = ("mean_iou", "f1", "iou")
"""Columns of predictions.csv that say how good the result of an image is."""
SIGNIFICANT = 0.05


def comparison(one: Facts, other: Facts) -> Section:
    """The section that compares two runs."""
    lines, tables = [], []
    rows = [
        (facts.run.name, spoken(name), value, facts.interval_text(name), facts.split)
        for facts in (one, other)
        for name, value in (facts.headline or ("no score yet", None),)
    ]
    tables.append(Table(["run", "metric", "value", "95% interval", "split"], rows))
    shared = [
        name
        for name, value in one.metrics.items()
        if name not in NOT_METRICS and is_number(value) and is_number(other.metrics.get(name))
    ]
    if shared:
        cells = [(spoken(name), one.metrics[name], other.metrics[name]) for name in shared]
        tables.append(Table(["metric", one.run.name, other.run.name], cells, "All metrics that both have"))
    if one.info["data"]["fingerprint"] != other.info["data"]["fingerprint"]:
        lines.append("The runs differ in their data, their splits, or how their samples are read.")
    lines.append(paired_test(one, other))
    recipe = differences(completed(one.info["config"]), completed(other.info["config"]))
    recipe.pop("name", None)
    changes = [(key, *(str(value)[:MAX_TEXT] for value in pair)) for key, pair in recipe.items()]
    if changes:
        tables.append(Table(["recipe", one.run.name, other.run.name], changes, "Differences of the recipes"))
    else:
        lines.append("The recipes are the same.")
    return Section("Comparison", lines, tables=tables)


def paired_test(one: Facts, other: Facts) -> str:
    """A paired test on the samples that both runs were evaluated on, as a sentence.

    Of classifiers McNemar's exact test (McNemar 1947): of the samples that only one of two gets right, each is equally
    often the right one if they are equally good, so that the number follows a binomial distribution. Of scores for
    each image, Wilcoxon's signed-rank test of their differences (Wilcoxon 1945).
    """
    first, second = (
        {row["file"]: row for row in facts.table("predictions.csv") if "file" in row} for facts in (one, other)
    )
    common = [name for name in first if name in second]
    pairs = [(first[name], second[name]) for name in common]
    names = one.run.name, other.run.name
    if pairs and all("correct" in row for pair in pairs for row in pair):
        right = [tuple(row["correct"] == "True" for row in pair) for pair in pairs]
        only_one, only_other = right.count((True, False)), right.count((False, True))
        p = float(binomtest(only_one, only_one + only_other).pvalue) if only_one + only_other else 1.0
        found = f"only {names[0]} is right on {only_one}, only {names[1]} on {only_other} (McNemar's exact test, "
        return f"On {len(common):,} common samples, {found}p = {p:.3g}). {_conclusion(p)}"
    for column in SCORES:
        if pairs and all(row.get(column) for pair in pairs for row in pair):
            scores = np.array([[float(row[column]) for row in pair] for pair in pairs])
            difference = scores[:, 0] - scores[:, 1]
            p = float(wilcoxon(difference).pvalue) if difference.any() else 1.0
            found = f"{spoken(column)} is on average {scores[:, 0].mean():.4f} and {scores[:, 1].mean():.4f}"
            return (
                f"On {len(common):,} common images, {found} (Wilcoxon signed-rank test, p = {p:.3g}). {_conclusion(p)}"
            )
    return "There is no paired test: it needs results for each sample, of samples with the same names."


def _conclusion(p: float) -> str:
    if p < SIGNIFICANT:
        return f"The difference is larger than chance explains (p < {SIGNIFICANT})."
    return "Chance may explain the difference."
