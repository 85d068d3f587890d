"""The first cell in which two tables differ, and the first by more than a tolerance."""

import math

import pytest

from dlcli.workflow.reproduce.environment import describe_environment, environment_changes, in_environment, unrecorded
from dlcli.workflow.reproduce.tables import compare_tables, relative_difference

OLD = [
    {"epoch": "1", "seconds": "0.1", "loss": "2.0", "accuracy": "0.5"},
    {"epoch": "2", "seconds": "0.2", "loss": "1.0", "accuracy": "0.8"},
]


def with_cell(row: int, column: str, value: str) -> list[dict[str, str]]:
    return [{**cells, column: value} if number == row else cells for number, cells in enumerate(OLD)]


def test_equal_tables_but_for_their_times() -> None:
    found = compare_tables(OLD, with_cell(1, "seconds", "9"), key="epoch", tolerance=0)
    assert (found.is_equal, found.is_close, found.largest, found.num_rows) == (True, True, 0.0, 2)


def test_the_first_difference_and_the_first_beyond_the_tolerance() -> None:
    new = [{**OLD[0], "loss": "2.002"}, {**OLD[1], "accuracy": "0.4"}]
    found = compare_tables(OLD, new, key="epoch", tolerance=0.01)
    assert not found.is_equal
    assert not found.is_close
    assert str(found.first) == "epoch 1, column loss: was 2.0 and is 2.002"
    assert str(found.beyond) == "epoch 2, column accuracy: was 0.8 and is 0.4"
    assert found.largest == pytest.approx(0.5)
    assert compare_tables(OLD, new, key="epoch", tolerance=0.5).is_close


@pytest.mark.parametrize(("old", "new", "text"), [(OLD, OLD[:1], "missing from"), (OLD[:1], OLD, "only in")])
def test_a_row_more_or_less_is_a_difference(old: list[dict[str, str]], new: list[dict[str, str]], text: str) -> None:
    found = compare_tables(old, new, key="epoch", tolerance=1)
    assert not found.is_close
    assert str(found.first) == f"epoch 2 is {text} the reproduction"


def test_a_column_more_is_a_difference() -> None:
    assert str(compare_tables([{}], [{"f1": 0.5}], key="", tolerance=1).beyond) == "f1: was missing and is 0.5"


def test_a_gradient_norm_is_equal_or_says_nothing() -> None:
    found = compare_tables([{"gradient_norm": 1.0}], [{"gradient_norm": 2.0}], key="", tolerance=0.01)
    assert (found.is_equal, found.is_close) == (False, True)


def test_relative_differences() -> None:
    assert relative_difference("1.0", 1) == 0
    assert relative_difference(2.0, 1.0) == 0.5
    assert relative_difference(0.001, 0.002) == pytest.approx(0.1)  # relative to 0.01
    for other in ("cat", None, "nan", "inf"):
        assert relative_difference("1", other) == math.inf


def test_environments_are_compared_in_what_both_record() -> None:
    old = {"device": "CPU", "versions": {"tensorflow": "2.20.0", "numpy": "2"}}
    new = {"device": "CPU", "versions": {"tensorflow": "2.21.0", "numpy": "2"}, "machine": {"cores": 2}}
    changes = environment_changes(old, new)
    assert changes == {"versions.tensorflow": ("2.20.0", "2.21.0")}
    text = "versions.tensorflow was 2.20.0 and is 2.21.0; not recorded by the old run: machine"
    assert describe_environment(changes, unrecorded(old)) == text
    assert describe_environment({}, unrecorded(new)) == "equal"
    close = {"verdict": "close", "reproduced": True}
    assert in_environment(close, new, new)["verdict"] == "different"
    assert not in_environment(close, new, new)["reproduced"]
    for one in (old, {}, {**new, "device": "GPU"}):  # another version, nothing recorded, another device
        assert in_environment(close, one, new)["reproduced"]
    on_gpu = {**new, "device": "GPU"}
    assert in_environment(close, on_gpu, on_gpu)["reproduced"]
    assert in_environment({"verdict": "exact", "reproduced": True}, new, new)["reproduced"]
    several = {**new, "machine": {"cores": 8, "threads": {"intra_op": 4}}}
    assert environment_changes(new, several) == {"cores": (2, 8), "threads": ("(absent)", {"intra_op": 4})}


def test_of_flags_only_those_are_shown_that_differ() -> None:
    common = "avx avx2 avx512f avx512bw avx512dq avx512vl fma f16c sse sse2"
    text = describe_environment({"cpu_flags": (common, f"{common} amx_bf16")}, [])
    assert text == "cpu_flags was … and is … amx_bf16"
