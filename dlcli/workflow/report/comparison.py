"""What a report says about two runs beside each other: scores, a paired test, and the differences of their recipes."""

from dlcli.recipe.yaml_writer import completed
from dlcli.report.page.page import Section, Table
from dlcli.workflow.compare import differences
from dlcli.workflow.comparison.samples import compare_on_samples
from dlcli.workflow.comparison.words import sentences
from dlcli.workflow.report.facts import Facts, capitalized, is_number, spoken
from dlcli.workflow.report.sections import NOT_METRICS

MAX_TEXT = 200  # characters of a value of a recipe


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
    lines += paired_test(one, other)
    recipe = differences(completed(one.info["config"]), completed(other.info["config"]))
    recipe.pop("name", None)
    changes = [(key, *(str(value)[:MAX_TEXT] for value in pair)) for key, pair in recipe.items()]
    if changes:
        tables.append(Table(["recipe", one.run.name, other.run.name], changes, "Differences of the recipes"))
    else:
        lines.append("The recipes are the same.")
    return Section("Comparison", lines, tables=tables)


def paired_test(one: Facts, other: Facts) -> list[str]:
    """What a paired comparison on the samples that both runs were evaluated on says, as sentences."""
    found = compare_on_samples(one.run, other.run)
    if found is None:
        return ["There is no paired test: it needs results for each sample, of samples with the same names."]
    return [capitalized(f"{line.removesuffix('.')}.") for line in sentences(found, (one.run.name, other.run.name))]
