"""The cluster of processes that the variable ``TF_CONFIG`` describes, as Kubernetes, Vertex AI and Ray set it."""

import json
import os

from dlcli.errors import InputError

REMEDY = "Start one process without it: env -u TF_CONFIG dlcli …"


def refuse_cluster() -> None:
    """Refuse to be one of several workers, each of which would do the whole work alone.

    Raises:
        InputError: ``TF_CONFIG`` describes several processes, or cannot be read.
    """
    text = os.environ.get("TF_CONFIG", "")
    if not text.strip():
        return
    try:
        cluster = json.loads(text).get("cluster", {})
        num_tasks = sum(len(addresses) for addresses in cluster.values())
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise InputError(
            'TF_CONFIG: expected JSON such as {"cluster": {"worker": ["host:port"]}, "task": {"type": "worker", '
            f'"index": 0}}}}. {REMEDY}'
        ) from None
    if num_tasks > 1:
        raise InputError(
            f"TF_CONFIG: describes a cluster of {num_tasks} processes. Training by several processes is not available "
            f"yet, and each of them would train the whole recipe alone. {REMEDY}"
        )
