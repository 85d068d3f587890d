"""In what the machines and programs of two results differ, as far as run.json records it."""

from collections.abc import Mapping
from typing import Any

from dlcli.recipe.language.errors import shortened
from dlcli.workflow.compare import differences

PARTS = ("device", "versions", "machine")
"""The keys of run.json that say where and by which programs a run was trained."""

Changes = dict[str, tuple[Any, Any]]


def environment_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Changes:
    """The differing entries of two run.json, such as ``versions.tensorflow``, with both values.

    Only what both record is compared; see :func:`unrecorded`.
    """
    changes: Changes = {}
    for part in PARTS:
        if part in old and part in new:
            changes |= differences(old[part], new[part], part)
    return {key.removeprefix("machine."): values for key, values in changes.items()}


def unrecorded(old: Mapping[str, Any]) -> list[str]:
    """The keys of run.json that a run of an earlier version lacks."""
    return [part for part in PARTS if part not in old]


def may_differ(old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
    """Whether results may differ by rounding: in another environment, or on a GPU, whose sums have no fixed order."""
    return bool(environment_changes(old, new) or unrecorded(old)) or "CPU" not in str(new.get("device", ""))


def in_environment(found: dict[str, Any], old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """A verdict of :func:`.tables.verdict_of` with the changes of the ``environment`` and what is ``unrecorded``.
    Numbers that are close but not equal are a reproduction only if :func:`may_differ`.

    Args:
        old, new: run.json, or what else records the environment of the result and of the one that was computed again.
    """
    if found["verdict"] == "close" and not may_differ(old, new):
        found = {**found, "verdict": "different", "reproduced": False}
    changes = {key: list(values) for key, values in environment_changes(old, new).items()}
    return {**found, "environment": changes, "unrecorded": unrecorded(old)}


def describe_environment(changes: Mapping[str, tuple[Any, Any]], lacking: list[str]) -> str:
    """Such as ``versions.tensorflow was 2.19.0 and is 2.21.0``; what differs, and what the old run does not record."""
    parts = [
        f"{shortened(key)} was {_shown(old, new)} and is {_shown(new, old)}" for key, (old, new) in changes.items()
    ]
    if not parts:
        parts = ["equal"] if not lacking else ["what both record is equal"]
    if lacking:
        parts.append(f"not recorded by the old run: {', '.join(lacking)}")
    return "; ".join(parts)


def _shown(value: Any, other: Any) -> str:
    """A value in a line; of lists of words, such as the flags of processors, only those that the other lacks."""
    if isinstance(value, str) and isinstance(other, str) and " " in value and " " in other and len(value) > 40:
        own = [word for word in value.split() if word not in other.split()]
        return f"… {shortened(' '.join(own))}" if own else "…"
    return shortened(str(value))
