"""``TF_CONFIG`` from the variables that Slurm's ``srun`` sets in each task of a job step."""

import json
import os
import re
from collections.abc import Callable, Mapping

from dlcli.errors import InputError
from dlcli.printing import escaped_line

MAX_TASKS = 10_000
FIRST_PORT, NUM_PORTS = 12_000, 20_000  # below those that Linux gives to outgoing connections

NODES = ("SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST")
COUNTS = ("SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
IN_STEP = "Start it with srun in a job, such as: srun dlcli launch --slurm -- train recipe.yaml"


def cluster_from_slurm(environment: Mapping[str, str], *, port: int | None = None) -> str:
    """The value of ``TF_CONFIG`` for this task of a job step; each task is a worker, the first one the chief.

    Args:
        environment: with the variables of ``srun``.
        port: of the first task of each node, the following ones have the next ports; None for one that depends on the
            job, so that jobs that share a node do not collide.

    Raises:
        InputError: a variable is missing or cannot be read, or the tasks are not in the order of the nodes.
    """
    node_variable, nodes_text = _first(environment, NODES)
    count_variable, counts_text = _first(environment, COUNTS)
    nodes = expand_hosts(nodes_text, node_variable)
    counts = expand_counts(counts_text, count_variable)
    if len(counts) != len(nodes):
        raise InputError(
            f"{count_variable}: expected {len(nodes)} numbers, one for each node of {node_variable}. "
            f"Received {len(counts)}: {escaped_line(counts_text[:100])}."
        )
    places = [(node, local) for node, count in enumerate(counts) for local in range(count)]
    task = _number(environment, "SLURM_PROCID", len(places) - 1)
    place = _number(environment, "SLURM_NODEID", len(nodes) - 1), _number(environment, "SLURM_LOCALID", MAX_TASKS)
    if places[task] != place:
        raise InputError(
            f"SLURM_PROCID: task {task} is number {place[1]} on node {place[0]}, but dlcli needs the tasks in the "
            "order of the nodes. Use: srun --distribution=block"
        )
    first = port if port is not None else FIRST_PORT + _job_number(environment) * 37 % NUM_PORTS
    addresses = [f"{nodes[node]}:{first + local}" for node, local in places]
    return json.dumps({"cluster": {"worker": addresses}, "task": {"type": "worker", "index": task}})


def expand_hosts(text: str, place: str) -> list[str]:
    """The hosts of a list in Slurm's notation: ``node[01-03,7],login`` -> node01, node02, node03, node7, login.

    Numbers keep the width that the first of a range has. A name may have several brackets.

    Args:
        place: the variable, for errors.

    Raises:
        InputError: the text is no such list, or has more than 10,000 hosts.
    """
    hosts: list[str] = []
    for part in re.split(r",(?![^\[]*\])", text.strip()):  # at commas outside of brackets
        hosts += _expand(part, text, place)
        if len(hosts) > MAX_TASKS:
            raise _unreadable(place, text, f"expected at most {MAX_TASKS:,} hosts")
    return hosts


def _expand(part: str, text: str, place: str) -> list[str]:
    """The hosts of one name with brackets, which are expanded from left to right."""
    match = re.fullmatch(r"([\w.-]*)(?:\[([0-9,-]+)\])?(.*)", part, re.ASCII)
    if match is None or not part:
        raise _unreadable(place, text)
    head, ranges, tail = match.groups()
    if ranges is None:
        if tail or not head:
            raise _unreadable(place, text)
        return [head]
    numbers = [number for bounds in ranges.split(",") for number in _numbers(bounds, text, place)]
    tails = _expand(tail, text, place) if tail else [""]
    if len(numbers) * len(tails) > MAX_TASKS:
        raise _unreadable(place, text, f"expected at most {MAX_TASKS:,} hosts")
    return [f"{head}{number}{rest}" for number in numbers for rest in tails]


def _numbers(bounds: str, text: str, place: str) -> list[str]:
    """``01-03`` -> 01, 02, 03; ``7`` -> 7."""
    match = re.fullmatch(r"([0-9]{1,9})(?:-([0-9]{1,9}))?", bounds)
    if match is None:
        raise _unreadable(place, text)
    first, last = match[1], match[2] or match[1]
    if not 0 <= int(last) - int(first) < MAX_TASKS:
        raise _unreadable(place, text)
    return [f"{number:0{len(first)}d}" for number in range(int(first), int(last) + 1)]


def expand_counts(text: str, place: str) -> list[int]:
    """The numbers of tasks of each node in Slurm's notation: ``2(x3),1`` -> 2, 2, 2, 1.

    Raises:
        InputError: the text is no such list, or has more than 10,000 tasks.
    """
    counts: list[int] = []
    for part in text.strip().split(","):
        match = re.fullmatch(r"([0-9]{1,5})(?:\(x([0-9]{1,5})\))?", part)
        if match is None or not int(match[1]):
            raise InputError(f"{place}: expected a list such as 2(x3),1. Received {escaped_line(text[:100])}.")
        counts += [int(match[1])] * int(match[2] or 1)
        if sum(counts) > MAX_TASKS:
            raise InputError(f"{place}: expected at most {MAX_TASKS:,} tasks. Received {escaped_line(text[:100])}.")
    return counts


def _first(environment: Mapping[str, str], names: tuple[str, ...]) -> tuple[str, str]:
    """The first of some variables that is set, and its value."""
    for name in names:
        if environment.get(name, "").strip():
            return name, environment[name]
    raise InputError(f"--slurm: the variable {names[0]} is not set: this process is not a task of Slurm. {IN_STEP}")


def _number(environment: Mapping[str, str], name: str, largest: int) -> int:
    text = environment.get(name)
    if text is None:
        raise InputError(f"--slurm: the variable {name} is not set: this process is not a task of Slurm. {IN_STEP}")
    if not re.fullmatch(r"[0-9]{1,9}", text) or int(text) > largest:
        raise InputError(f"{name}: expected a whole number from 0 to {largest}. Received {escaped_line(text[:100])}.")
    return int(text)


def _job_number(environment: Mapping[str, str]) -> int:
    text = environment.get("SLURM_JOB_ID", "")
    return int(text) if re.fullmatch(r"[0-9]{1,12}", text) else 0


def _unreadable(place: str, text: str, rule: str = "expected a list of hosts such as node[01-03,7]") -> InputError:
    return InputError(f"{place}: {rule}. Received {escaped_line(text[:100])}.")


def warn_of_slurm(warn: Callable[[str], None]) -> None:
    """Warn if this process is one of several tasks of a job step, each of which would train a run of its own."""
    number = os.environ.get("SLURM_STEP_NUM_TASKS", "")  # srun sets it, a batch script alone does not have it
    if re.fullmatch(r"[0-9]{1,9}", number) and int(number) > 1:
        warn(
            f"each of the {int(number):,} tasks of this Slurm job step trains a run of its own. To train one run "
            "together: srun dlcli launch --slurm -- train …"
        )
