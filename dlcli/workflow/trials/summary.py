"""A search or sweep in a few values, for a list of runs."""

import os
from typing import Any

from dlcli.errors import InputError
from dlcli.workflow.trials.directory import StudyDir
from dlcli.workflow.trials.records import TrialLog


def summary(study: StudyDir) -> dict[str, Any]:
    """Summarize a search or sweep; the ``status`` of one that cannot be read is ``corrupt``, for a ``reason``.

    Returns:
        Besides, the number of ``trials`` in its log, the ``metric`` that it optimizes and the ``best`` value of a
        trial, and for a complete search the ``headline`` metric of its finalist with its ``value``.
    """
    link = {"link": os.readlink(study.path)} if study.path.is_symlink() else {}
    try:
        info = study.read_info()
        records = TrialLog(study.trials).read()
        found = {
            "name": study.name,
            "kind": study.kind,
            "status": study.status(),
            "started": info.get("started"),
            "seed": info.get("seed"),
            "trials": sum(record.parent is None or study.kind == "search" for record in records),
            **_scores(study, info),
        }
    except InputError as error:
        reason = str(error)
    except OSError as error:
        reason = f"{error.filename or study.path}: cannot be read ({error.strerror})."
    except (KeyError, TypeError, AttributeError):
        reason = f"{study.info}: is corrupt. Restore it from a copy."
    else:
        return {**found, **link}
    return {"name": study.name, "kind": study.kind, "status": "corrupt", "reason": reason, **link}


def _scores(study: StudyDir, info: dict[str, Any]) -> dict[str, Any]:
    if study.kind == "sweep":
        metric, best = info["objective"], info.get("best")
        return {"metric": metric, "best": best[metric] if best else None, "headline": None, "value": None}
    result = info.get("result")
    if not result:
        return {"metric": info["config"]["search"]["objective"][0], "best": None, "headline": None, "value": None}
    metric, best = result["metric"], result["search"]["best"]
    return {
        "metric": metric,
        "best": best[metric] if best else None,
        "headline": result["compared_by"],
        "value": result["chosen"]["search"]["mean"],
    }
