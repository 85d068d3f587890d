"""Conditions on runs."""

from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.workflow.run_filter import MAX_LENGTH, UNKNOWN, compare, flat, matching, parse

RUN: dict[str, Any] = {
    "name": "Digits-2",
    "accuracy": 0.95,
    "train.batch_size": 32,
    "train.ema": None,
    "deterministic": True,
    "started": "2026-01-02T10:00",
    "tag": ["paper", "old"],
    "kind": "mlp or convnet",
    "units": [32, 16],
    "empty": [],
}


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        ("accuracy>0.9", True),
        ("accuracy >= .95", True),
        ("accuracy < 95e-2", False),
        ("accuracy = 0.950", True),
        ("accuracy == 0.94", False),
        ("train.batch_size != 32", False),
        ("train.ema = null", True),
        ("train.ema != null", False),
        ("accuracy != null", True),
        ("loss = null", True),
        ("empty = null", True),
        ("tag = null", False),
        ("deterministic = true", True),
        ("name ~ digits", True),
        ("name = digits-2", False),
        ("name = Digits-2", True),
        ("name != digits-2", True),
        ("name > 3", False),
        ("started >= 2026-01-02", True),
        ("started < '2026-01-02'", False),
        ("started = 2026-01-02", True),
        ("started = 2026-01", True),
        ("started != 2026-01-02", False),
        ("started = 2026-01-03", False),
        ("started <= 2026-01-02", True),
        ("started > 2026-01-02", False),
        ("started > 2026-01-02T09:59", True),
        ("started >= 0500", True),
        ("tag = old", True),
        ("tag != old", False),
        ("tag ~ pap and not tag = new", True),
        ('kind = "mlp or convnet"', True),
        ("accuracy > 0.9 and name = x or tag = old", True),
        ("accuracy > 0.9 and (name = x or tag = new)", False),
        ("not not accuracy > 0.9", True),
        ("loss > 0", False),
        ("loss != 0", True),
        ("not loss > 0", False),
        ("not (loss > 0 and accuracy > 0.99)", True),
        ("not (loss > 0 or accuracy > 0.9)", False),
        ("not loss = 0", True),
        ("units = [32,16]", True),
        ("units = [32, 16] and accuracy > 0.9", True),
        ("units = [32, 17] or units = [16]", False),
        ("tag = [paper, old]", True),
        ("units = [32.0, 1.6e1]", True),
        ("units != [32.0, 16]", False),
        ("empty = []", True),
        ("units = 16", True),
        ("units != '[32, 16]'", False),
    ],
)
def test_conditions(condition: str, holds: bool) -> None:
    assert parse(condition).holds(RUN) is holds


@pytest.mark.parametrize(
    ("condition", "where"),
    [
        ("", "at the end"),
        ("accuracy", "at the end"),
        ("accuracy >", "at the end"),
        ("accuracy > > 1", "at '>'"),
        ("> 1", "at '>'"),
        ("accuracy > 1 accuracy < 2", "before 'accuracy'"),
        ("(accuracy > 1", "where ')' is missing"),
        ("accuracy > 1)", "before ')'"),
        ("name = 'open", "at ''open'"),
        ("__import__('os').system('ls')", "at '('"),
        ("a = 1\x1b", None),
    ],
)
def test_other_forms_are_refused_in_one_line(condition: str, where: str | None) -> None:
    if where is None:
        assert not parse(condition).holds(RUN)
        return
    with pytest.raises(InputError) as caught:
        parse(condition)
    assert f"It cannot be read {where}." in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("condition", ["(" * MAX_LENGTH, "not " * (MAX_LENGTH // 4)])
def test_a_condition_is_of_bounded_depth(condition: str) -> None:
    with pytest.raises(InputError, match="at most 50 parentheses and negations"):
        parse(condition)
    assert parse("not " * 40 + "accuracy > 0.9").holds(RUN)


def test_a_condition_is_bounded() -> None:
    with pytest.raises(InputError, match=r"at most 400 characters\. Received 401"):
        parse("a" * 401)


def test_a_name_that_no_run_has_is_an_error_and_one_that_some_lack_is_not() -> None:
    with pytest.raises(InputError, match="no run has a value named 'acuracy'; did you mean 'accuracy'"):
        matching(parse("acuracy > 0"), [RUN, {}])
    assert matching(parse("accuracy > 0"), [{}, RUN, {"accuracy": "high"}]) == [False, True, False]
    assert matching(parse("accuracy > 0"), []) == []


@pytest.mark.parametrize(
    ("condition", "message"),
    [
        ("not accuracy > 0,9", "accuracy is a number, and must be compared with one. Received '0,9'."),
        ("accuracy > nan", "accuracy is a number, and must be compared with one. Received 'nan'."),
        ("accuracy < 1e999", "accuracy is a number, and must be compared with one. Received '1e999'."),
        ("accuracy != high", "accuracy is a number, and must be compared with one. Received 'high'."),
        ("units != [32,", "units is a list of numbers, and must be compared with numbers. Received '[32,'."),
        ("units != [32, l6]", "units is a list of numbers, and must be compared with numbers. Received '[32, l6]'."),
        ("units > 5", "units is not a number, so it has no order. Compare it by =, != or ~."),
        ("name > 5", "name is not a number, so it has no order. Compare it by =, != or ~."),
        ("name ~ ''", "name ~ needs a value; what a run lacks is null. Received ''."),
        ("name != ''", "name != needs a value; what a run lacks is null. Received ''."),
        ("name != [a, b]", "name is compared with one name; join several by or. Received '[a, b]'."),
        ("not tag = paper,old", "tag is compared with one name; join several by or. Received 'paper,old'."),
        ("started > yesterday", "started is a date, such as 2026-01-31 or 2026-01-31T18:00. Received 'yesterday'."),
        ("started = 2026-13-45", "started is a date, such as 2026-01-31 or 2026-01-31T18:00. Received '2026-13-45'."),
        ("deterministic != yes", "deterministic is one of false, true. Received 'yes'."),
        ("status != complete", "status is one of completed, failed. Received 'complete'; did you mean 'completed'?"),
    ],
)
def test_what_a_value_can_never_be_is_refused(condition: str, message: str) -> None:
    with pytest.raises(InputError) as caught:
        matching(parse(condition), [{}, {**RUN, "status": "failed"}], choices={"status": ("failed", "completed")})
    assert str(caught.value) == f"--where: {message}"


def test_a_value_that_is_missing_fulfills_only_not_equal() -> None:
    assert [compare("x", None, sign, "1") for sign in ("=", "!=", "<", ">", "~")] == [False, True, None, None, False]


def test_no_condition_on_a_value_that_cannot_be_read_holds() -> None:
    values = {**RUN, "tag": UNKNOWN}
    for condition in ("tag = old", "tag != old", "not tag = old", "tag ~ o", "not tag ~ o", "tag = null"):
        assert matching(parse(condition), [values]) == [False], condition


@pytest.mark.parametrize("started", ["", 5, ["2026"], None])
def test_what_is_no_date_has_no_order(started: Any) -> None:
    for sign in ("<", ">", "<=", ">="):
        assert compare("started", started, sign, "2026-11-01") is None
    assert not compare("started", started, "=", "2026")


def test_nested_values_by_dotted_keys() -> None:
    assert dict(flat({"a": {"b": 1, "c": {"d": [2]}}, "e": 3})) == {"a.b": 1, "a.c.d": [2], "e": 3}
