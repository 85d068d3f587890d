"""Names of results folders, and the class that a targeted attack aims at."""

from typing import Any

import pytest

from dlcli.errors import InputError
from dlcli.workflow.attack.inputs import AttackInputs, _class_index

CLASSES = ("ants", "bees", "0")


@pytest.mark.parametrize(("text", "index"), [("ants", 0), ("1", 1), ("0", 2)])
def test_a_class_by_name_or_else_by_number(text: str, index: int) -> None:
    assert _class_index(text, CLASSES) == index


@pytest.mark.parametrize(
    ("text", "hint"),
    [("ant", "ants"), ("3", "the classes are ants, bees, 0"), ("²", "the classes"), ("-1", "the classes")],
)
def test_unknown_classes(text: str, hint: str) -> None:
    with pytest.raises(InputError, match=f"^--target {text}: not a class of the network.*{hint}"):
        _class_index(text, CLASSES)


@pytest.mark.parametrize(
    ("settings", "name"),
    [
        (("pgd", "linf", None, None), "pgd"),
        (("pgd", "l2", "bees", None), "pgd-l2-to-bees"),
        (("deepfool", "l2", None, None), "deepfool"),  # l2 is the only norm it has
        (("fgsm", "linf", None, "runs/other.keras"), "fgsm-on-other"),
        (("fgsm", "linf", "../ä b", None), "fgsm-to-..___b"),
    ],
)
def test_folder_names_state_what_is_not_the_default(settings: Any, name: str) -> None:
    nothing: Any = None
    inputs = AttackInputs(*[nothing] * 6, prefix="model-", target_class=None, scored_by=None)
    assert inputs.folder_name(*settings) == f"model-{name}"
    assert "/" not in name
    assert len(inputs.folder_name("pgd", "l2", "x" * 300, None)) <= len("model-") + 80
