"""Differences between two configurations."""

from dlcli.workflow.compare import ABSENT, differences, flatten


def test_sections_and_lists_of_sections_are_flattened_and_other_lists_are_values() -> None:
    values = {"model": {"blocks": [{"filters": 4}, {"filters": 8}], "dense": (16, 8), "none": {}}, "name": None}
    assert flatten(values) == {
        "model.blocks.0.filters": 4,
        "model.blocks.1.filters": 8,
        "model.dense": [16, 8],
        "model.none": {},
        "name": None,
    }


def test_only_what_differs_is_listed_in_the_order_of_the_first() -> None:
    one = {"b": 1, "a": {"x": 1, "y": [1, 2]}, "same": {"deep": [{"z": 0}]}}
    other = {"new": 5, "a": {"x": 2, "y": (1, 2)}, "same": {"deep": [{"z": 0}]}}
    assert list(differences(one, other).items()) == [("b", (1, ABSENT)), ("a.x", (1, 2)), ("new", (ABSENT, 5))]
    assert differences(one, one) == {}


def test_a_configuration_without_keys_has_no_keys() -> None:
    assert differences({}, {"a": 1}) == {"a": (ABSENT, 1)}
