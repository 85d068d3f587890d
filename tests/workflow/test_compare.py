"""Differences between two configurations."""

from dlcli.workflow.compare import ABSENT, differences


def test_sections_and_items_of_lists_of_sections_have_keys_and_other_lists_are_values() -> None:
    one = {"model": {"blocks": [{"filters": 4}, {"filters": 8}], "dense": (16, 8), "none": {}}, "name": None}
    other = {"model": {"blocks": ({"filters": 4}, {"filters": 9}), "dense": [16], "none": {}}, "name": "a"}
    assert differences(one, other) == {
        "model.blocks.1.filters": (8, 9),
        "model.dense": ([16, 8], [16]),
        "name": (None, "a"),
    }


def test_what_only_one_side_has_is_one_difference() -> None:
    section = {"a": 1, "b": {"c": 2}}
    assert differences({"augment": None, "x": 0}, {"augment": section, "x": 0}) == {"augment": (None, section)}
    assert differences({"x": section}, {}) == {"x": (section, ABSENT)}
    assert differences({"blocks": [section]}, {"blocks": []}) == {"blocks": ([section], [])}
    assert differences({"blocks": [section, section]}, {"blocks": [section]}) == {"blocks.1": (section, ABSENT)}
    assert differences({"empty": {}}, {"empty": section}) == {"empty.a": (ABSENT, 1), "empty.b": (ABSENT, {"c": 2})}


def test_only_what_differs_is_listed_in_the_order_of_the_first() -> None:
    one = {"b": 1, "a": {"x": 1, "y": [1, 2]}, "same": {"deep": [{"z": 0}]}}
    other = {"new": 5, "a": {"x": 2, "y": (1, 2)}, "same": {"deep": [{"z": 0}]}}
    assert list(differences(one, other).items()) == [("b", (1, ABSENT)), ("a.x", (1, 2)), ("new", (ABSENT, 5))]
    assert differences(one, one) == {}


def test_a_configuration_without_keys_has_no_keys() -> None:
    assert differences({}, {"a": 1}) == {"a": (ABSENT, 1)}
