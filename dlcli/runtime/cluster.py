"""The cluster of processes that the variable ``TF_CONFIG`` describes, as Kubernetes, Vertex AI and Ray set it."""

import json
import os
from dataclasses import dataclass
from typing import Any

from dlcli.errors import InputError
from dlcli.printing import escaped_line

VARIABLE = "TF_CONFIG"
REMEDY = "Start one process without it: env -u TF_CONFIG dlcli …"
EXAMPLE = '{"cluster": {"worker": ["host:port", "host:port"]}, "task": {"type": "worker", "index": 0}}'
TYPES = ("chief", "worker")


@dataclass(frozen=True)
class Cluster:
    """Several processes that train together, each a task of the cluster.

    Attributes:
        tasks: the name of each task, the chief's first: ``chief``, ``worker 0``, ``worker 1``, …
        addresses: of each task, ``host:port``.
        index: of this process among the tasks.
    """

    tasks: tuple[str, ...]
    addresses: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        return self.index == 0

    @property
    def size(self) -> int:
        """The number of processes."""
        return len(self.tasks)

    def describe(self, index: int) -> str:
        """A task with its address: ``worker 1 (host:port)``."""
        return f"{self.tasks[index]} ({self.addresses[index]})"


def read_cluster() -> Cluster | None:
    """The cluster that this process belongs to; None if it is alone.

    Raises:
        InputError: ``TF_CONFIG`` cannot be read, or describes processes that dlcli does not have.
    """
    text = os.environ.get(VARIABLE, "")
    if not text.strip():
        return None
    try:
        values = json.loads(text)
        jobs = values.get("cluster", {})
        names = {name: tuple(addresses) for name, addresses in jobs.items() if not isinstance(addresses, (str, dict))}
        if len(names) < len(jobs):
            raise TypeError
    except (ValueError, RecursionError, AttributeError, TypeError):
        raise InputError(f"{VARIABLE}: expected JSON such as {EXAMPLE}. {REMEDY}") from None
    if sum(len(addresses) for addresses in names.values()) <= 1:
        return None
    return _cluster(names, values.get("task"))


def _cluster(jobs: dict[str, tuple[Any, ...]], task: Any) -> Cluster:
    unknown = [name for name, addresses in jobs.items() if name not in TYPES and addresses]
    if unknown:
        raise _error("cluster", f"expected tasks of the types {' and '.join(TYPES)}", unknown[0])
    if len(jobs.get("chief", ())) > 1:
        raise _error("cluster.chief", "expected one address", len(jobs["chief"]))
    pairs = [(kind, number, address) for kind in TYPES for number, address in enumerate(jobs.get(kind, ()))]
    addresses = tuple(_checked_address(f"cluster.{kind}.{number}", address) for kind, number, address in pairs)
    if len(set(addresses)) < len(addresses):
        raise _error("cluster", "two tasks have the same address", max(addresses, key=addresses.count))
    if not isinstance(task, dict):
        raise _error("task", 'expected an object such as {"type": "worker", "index": 0}', task)
    kind, number = task.get("type"), task.get("index")
    if kind not in TYPES or not jobs.get(kind):
        raise _error("task.type", f"expected {' or '.join(t for t in TYPES if jobs.get(t))}", kind)
    if isinstance(number, str) and number.isascii() and number.isdigit():  # as some engines write it
        number = int(number[:9])
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number < len(jobs[kind]):
        raise _error("task.index", f"expected a whole number from 0 to {len(jobs[kind]) - 1}", number)
    names = tuple(kind if kind == "chief" else f"{kind} {number}" for kind, number, _ in pairs)
    index = next(i for i, pair in enumerate(pairs) if pair[:2] == (kind, number))
    return Cluster(names, addresses, index)


def _checked_address(place: str, address: Any) -> str:
    if not isinstance(address, str) or not address.isprintable() or " " in address:
        raise _error(place, "expected HOST:PORT", address)
    host, _, port = address.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()) or not 1 <= int(port[:9]) <= 65_535:
        raise _error(place, "expected HOST:PORT with a port from 1 to 65535", address)
    return address


def split_address(address: str) -> tuple[str, int]:
    """``host:port`` -> host, port; an IPv6 address is in brackets."""
    host, _, port = address.rpartition(":")
    return host.removeprefix("[").removesuffix("]"), int(port)


def _error(place: str, rule: str, received: Any) -> InputError:
    return InputError(f"{VARIABLE}: {place}: {rule}. Received {escaped_line(str(received)[:100])}. {REMEDY}")


def refuse_cluster(cluster: Cluster | None) -> None:
    """Refuse to be one of several workers in a verb that does not divide its work among them.

    Raises:
        InputError: the cluster has several processes.
    """
    if cluster is not None:
        raise InputError(
            f"{VARIABLE}: describes a cluster of {cluster.size} processes. Only dlcli train and train --resume "
            f"divide their work among several; here each would do all of it alone. {REMEDY}"
        )
