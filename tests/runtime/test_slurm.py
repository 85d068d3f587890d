"""``TF_CONFIG`` from Slurm's variables: host lists and counts against cases that are written out, and refusals."""

import json

import pytest

from dlcli.errors import InputError
from dlcli.runtime.slurm import cluster_from_slurm, expand_counts, expand_hosts, warn_of_slurm

STEP = {
    "SLURM_STEP_NODELIST": "gpu[08-09],big",
    "SLURM_STEP_TASKS_PER_NODE": "2(x2),1",
    "SLURM_PROCID": "3",
    "SLURM_NODEID": "1",
    "SLURM_LOCALID": "1",
    "SLURM_JOB_ID": "10",
}


@pytest.mark.parametrize(
    ("text", "hosts"),
    [
        ("node1", ["node1"]),
        ("node1,node2", ["node1", "node2"]),
        ("node[1-3]", ["node1", "node2", "node3"]),
        ("node[01-03,7]", ["node01", "node02", "node03", "node7"]),
        ("node[01-03,7],login", ["node01", "node02", "node03", "node7", "login"]),
        ("node[098-101]", ["node098", "node099", "node100", "node101"]),
        ("node[9-11]", ["node9", "node10", "node11"]),
        ("a[1-2]b", ["a1b", "a2b"]),
        ("r[1-2]n[03-04]", ["r1n03", "r1n04", "r2n03", "r2n04"]),
        ("a-[1,3].b.org,c-2.b.org", ["a-1.b.org", "a-3.b.org", "c-2.b.org"]),
        ("[1-2]", ["1", "2"]),
        (" node[5] ", ["node5"]),
    ],
)
def test_a_list_of_hosts_is_expanded(text: str, hosts: list[str]) -> None:
    assert expand_hosts(text, "SLURM_STEP_NODELIST") == hosts


@pytest.mark.parametrize(
    "text",
    [
        *("", ",", "a,,b", "a,", "a[", "a[]", "a[1", "a]1", "a[[1]]", "a[3-1]", "a[x]", "a[1-]", "a b", "a\nb", "é"),
        *("a[1-1000000]", "a[1-200][1-200]", "a[٣]"),
    ],
)
def test_other_texts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"SLURM_STEP_NODELIST: expected .*Received .*") as caught:
        expand_hosts(text, "SLURM_STEP_NODELIST")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "counts"), [("1", [1]), ("2(x3),1", [2, 2, 2, 1]), ("4,1(x2)", [4, 1, 1]), ("1(x1)", [1])]
)
def test_counts_are_expanded(text: str, counts: list[int]) -> None:
    assert expand_counts(text, "SLURM_STEP_TASKS_PER_NODE") == counts


@pytest.mark.parametrize("text", ["", "x", "0", "1(x", "2(3)", "-1", "9999(x9999)", "1,,2"])
def test_other_counts_are_refused(text: str) -> None:
    with pytest.raises(InputError, match=r"^TASKS: expected "):
        expand_counts(text, "TASKS")


def test_each_task_is_a_worker_of_the_cluster() -> None:
    assert json.loads(cluster_from_slurm(STEP)) == {
        "cluster": {"worker": ["gpu08:12370", "gpu08:12371", "gpu09:12370", "gpu09:12371", "big:12370"]},
        "task": {"type": "worker", "index": 3},
    }
    job = {key.replace("SLURM_STEP_", "SLURM_"): value for key, value in STEP.items()}  # as older versions name them
    assert json.loads(cluster_from_slurm(job, port=5000))["cluster"]["worker"][3] == "gpu09:5001"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURM_STEP_NODELIST": None}, "--slurm: the variable SLURM_STEP_NODELIST is not set.* srun dlcli launch"),
        ({"SLURM_PROCID": None}, "--slurm: the variable SLURM_PROCID is not set"),
        ({"SLURM_PROCID": "5"}, "SLURM_PROCID: expected a whole number from 0 to 4. Received 5."),
        ({"SLURM_PROCID": "1\n"}, r"SLURM_PROCID: expected a whole number from 0 to 4. Received 1\\n."),
        ({"SLURM_STEP_TASKS_PER_NODE": "2(x2)"}, "SLURM_STEP_TASKS_PER_NODE: expected 3 numbers"),
        ({"SLURM_LOCALID": "0"}, "task 3 is number 0 on node 1, .*--distribution=block"),
    ],
)
def test_steps_that_are_no_cluster_are_refused(changes: dict[str, str | None], message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        cluster_from_slurm({key: value for key, value in {**STEP, **changes}.items() if value is not None})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("number", "num_lines"), [(None, 0), ("1", 0), ("x", 0), ("4", 1)])
def test_tasks_that_train_alone_are_warned(number: str | None, num_lines: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SLURM_STEP_NUM_TASKS", raising=False)
    if number is not None:
        monkeypatch.setenv("SLURM_STEP_NUM_TASKS", number)
    lines: list[str] = []
    warn_of_slurm(lines.append)
    assert len(lines) == num_lines
