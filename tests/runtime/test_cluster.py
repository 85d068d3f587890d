"""``TF_CONFIG``: a cluster of one process is accepted, one of several or a broken one is refused."""

import json

import pytest

from dlcli.errors import InputError
from dlcli.runtime.cluster import refuse_cluster
from dlcli.runtime.startup import start_tensorflow

WORKERS = {"cluster": {"chief": ["a:1"], "worker": ["b:1", "c:1"]}, "task": {"type": "worker", "index": 0}}


@pytest.mark.parametrize("value", [None, "", " ", "{}", json.dumps({"cluster": {"chief": ["a:1"]}})])
def test_one_process_is_accepted(value: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if value is not None:
        monkeypatch.setenv("TF_CONFIG", value)
    refuse_cluster()


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (json.dumps(WORKERS), "describes a cluster of 3 processes"),
        ("{", "expected JSON such as"),
        ("[1]", "expected JSON such as"),
        ('{"cluster": 3}', "expected JSON such as"),
        ('{"cluster": {"worker": 3}}', "expected JSON such as"),
        ("[" * 100_000, "expected JSON such as"),
    ],
)
def test_several_processes_and_broken_values_are_refused(
    value: str, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TF_CONFIG", value)
    with pytest.raises(InputError, match=f"TF_CONFIG: {message}.*env -u TF_CONFIG"):
        start_tensorflow("cpu:of-a-cluster")  # a device that was not started before
