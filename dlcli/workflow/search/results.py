"""What a search reports: lines about trials, counts, and how its finalist compares with that of random search."""

from collections.abc import Mapping, Sequence
from typing import Any

from dlcli.evaluation.paired import deviation
from dlcli.workflow.search.finals import Finalist, best_trials, difference
from dlcli.workflow.trials.records import Record

MAX_ERROR = 100  # characters of an error in a line about a trial
STATUSES = ("complete", "failed", "refused")


def line_about(record: Record, metric: str, seen: Sequence[Record] = ()) -> str:
    """A line about a trial: its metric and cost, or why it has none.

    Args:
        seen: the trials so far, the best of which is named.
    """
    if record.status != "complete":
        return f"{record.status}: {(record.error or '').partition(chr(10))[0][:MAX_ERROR]}"
    cost = f"{record.cost['parameters']:,} parameters  {record.cost['multiply_adds']:,} multiply-adds"
    parent = "" if record.parent is None else f"  child of {record.parent}"
    best = best_trials(seen, metric, 1)
    leader = f"  best {best[0].metrics[metric]:.4f} (trial {best[0].trial})" if best else ""
    return f"{metric} {record.metrics[metric]:.4f}  {cost}  {record.seconds:.1f} s{parent}{leader}"


def summary(records: Sequence[Record], metric: str) -> dict[str, Any]:
    """The number of trials, that of each status, their mean time, and the best one."""
    best = best_trials(records, metric, 1)
    complete = [record.seconds for record in records if record.status == "complete"]
    return {
        "trials": len(records),
        **{status: sum(record.status == status for record in records) for status in STATUSES},
        "seconds_a_trial": sum(complete) / len(complete) if complete else None,
        "best": {"trial": best[0].trial, metric: best[0].metrics[metric]} if best else None,
    }


def described(one: Finalist, metric: str) -> str:
    """``val_accuracy 0.9722 (standard deviation 0.0014 over 3 seeds)``"""
    spread = "" if one.spread is None else f" (standard deviation {one.spread:.4f} over {len(one.values)} seeds)"
    return f"{metric} {one.mean:.4f}{spread}"


def compared(metric: str, values: Mapping[str, Sequence[float]], chosen: Mapping[str, Finalist]) -> dict[str, Any]:
    """The scores of the chosen finalists, and their difference.

    Args:
        metric: what was measured, such as ``test_accuracy``.
        values: of ``search`` and, if there is a baseline, ``random``: the metric for each seed.
        chosen: the finalists.
    """
    scores = {
        origin: {
            "trial": chosen[origin].trial,
            "values": list(each),
            "mean": sum(each) / len(each),
            "spread": deviation(each),
        }
        for origin, each in values.items()
    }
    comparison = None
    if "random" in values:
        comparison = difference(values["search"], values["random"])
        comparison["is_same"] = chosen["search"].genotype == chosen["random"].genotype
    return {"compared_by": metric, "chosen": scores, "comparison": comparison}


def conclusion(compared: Mapping[str, Any], name: str) -> str:
    """What the comparison of the chosen finalists says, as a sentence.

    Args:
        compared: the ``comparison`` of :func:`compared`.
        name: of the metric.
    """
    if compared["is_same"]:
        return "search and random search chose the same cells: no evidence that the search is better"
    text = f"difference of search to random in {name}: {compared['difference']:+.4f}"
    if compared["interval"] is None:
        return f"{text}; no evidence: one seed has no spread. Set search.final.seeds to 3 or more"
    low, high = compared["interval"]
    text += f" ({compared['level']:.0%} interval over seeds: {low:+.4f} to {high:+.4f})"
    return text if compared["is_evidence"] else f"{text}: no evidence of a difference"
