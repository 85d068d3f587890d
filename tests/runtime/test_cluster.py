"""``TF_CONFIG``: the tasks of a cluster in their order, and everything that is not a cluster of ours is refused."""

import json
from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.runtime.cluster import Cluster, read_cluster, split_address
from dlcli.runtime.startup import start_tensorflow

WORKERS = {"worker": ["a:1", "b:2"]}


def config(cluster: Any, kind: Any = "worker", index: Any = 1) -> str:
    return json.dumps({"cluster": cluster, "task": {"type": kind, "index": index}})


@pytest.mark.parametrize("value", [None, "", " ", "{}", json.dumps({"cluster": {"chief": ["a:1"]}})])
def test_one_process_is_no_cluster(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    assert read_cluster() is None


@pytest.mark.parametrize(
    ("value", "tasks", "addresses", "index"),
    [
        (config(WORKERS), ("worker 0", "worker 1"), ("a:1", "b:2"), 1),
        (
            config({**WORKERS, "chief": ["c:3"]}, "worker", "0"),
            ("chief", "worker 0", "worker 1"),
            ("c:3", "a:1", "b:2"),
            1,
        ),
        (
            config({"chief": ["c:3"], "worker": ["[::1]:1"], "ps": []}, "chief", 0),
            ("chief", "worker 0"),
            ("c:3", "[::1]:1"),
            0,
        ),
    ],
)
def test_the_chief_comes_first(
    value: str, tasks: tuple[str, ...], addresses: tuple[str, ...], index: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", value)
    cluster = read_cluster()
    assert cluster == Cluster(tasks, addresses, index)
    assert cluster.is_chief is (index == 0)
    assert cluster.describe(1) == f"{tasks[1]} ({addresses[1]})"


@pytest.mark.parametrize(("address", "host", "port"), [("a.b:22", "a.b", 22), ("[::1]:1", "::1", 1)])
def test_an_address_is_split(address: str, host: str, port: int) -> None:
    assert split_address(address) == (host, port)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("{", "expected JSON such as"),
        ("[1]", "expected JSON such as"),
        ('{"cluster": 3}', "expected JSON such as"),
        ('{"cluster": {"worker": 3}}', "expected JSON such as"),
        ('{"cluster": {"worker": "a:1,b:2"}}', "expected JSON such as"),
        ("[" * 100_000, "expected JSON such as"),
        (config({**WORKERS, "ps": ["c:3"]}), "cluster: expected tasks of the types chief and worker. Received ps."),
        (config({"chief": ["a:1", "b:1"]}), "cluster.chief: expected one address. Received 2."),
        (config({"worker": ["a:1", "b"]}), "cluster.worker.1: expected HOST:PORT.* Received b."),
        (config({"worker": ["a:1", "b:0"]}), "from 1 to 65535. Received b:0."),
        (config({"worker": ["a:1", "b:١"]}), "from 1 to 65535"),
        (config({"worker": ["a:1", "b\n:1"]}), r"expected HOST:PORT. Received b\\n:1."),
        (config({"worker": ["a:1", 5]}), "expected HOST:PORT. Received 5."),
        (config({"worker": ["a:1", "a:1"]}), "two tasks have the same address. Received a:1."),
        (json.dumps({"cluster": WORKERS}), "task: expected an object"),
        (config(WORKERS, "chief", 0), "task.type: expected worker. Received chief."),
        (config(WORKERS, ["worker"], 0), "task.type: expected worker"),
        (config(WORKERS, "worker", 2), "task.index: expected a whole number from 0 to 1. Received 2."),
        (config(WORKERS, "worker", "9" * 5000), "task.index: expected a whole number from 0 to 1"),
        (config(WORKERS, "worker", True), "task.index: expected a whole number"),
        (config(WORKERS, "worker", None), "task.index: expected a whole number"),
    ],
)
def test_broken_values_are_refused(value: str, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(InputError, match=f"TF_CONFIG: .*{message}.*env -u TF_CONFIG") as caught:
        read_cluster()
    assert "\n" not in str(caught.value)


def test_a_verb_that_does_not_divide_its_work_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config(WORKERS))
    with pytest.raises(InputError, match=r"a cluster of 2 processes\. Only dlcli train and train --resume"):
        start_tensorflow("cpu:of-a-cluster")  # a device that was not started before


def test_a_process_of_a_cluster_has_one_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TF_CONFIG", config(WORKERS))
    with pytest.raises(InputError, match="--device cpu:x3: a process of a cluster uses one device"):
        start_tensorflow("cpu:x3", takes_cluster=True)
