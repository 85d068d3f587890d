"""Entities of tags: those of seqeval, illegal transitions by hand, and the baseline of most frequent tags."""

from collections.abc import Sequence

import numpy as np
import pytest
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities

from dlcli.evaluation import entities
from dlcli.evaluation.tag_baseline import most_frequent_tags

BIO = ("O", "B-PER", "I-PER", "B-LOC", "I-LOC")
BIOES = (*BIO, "E-PER", "S-PER", "E-LOC", "S-LOC")


def random_tags(tags: Sequence[str], seed: int) -> list[list[str]]:
    rng = np.random.default_rng(seed)
    return [[tags[k] for k in rng.integers(0, len(tags), rng.integers(1, 12))] for _ in range(200)]


@pytest.mark.parametrize("tags", [BIO, BIOES], ids=["BIO", "BIOES"])
def test_entities_and_their_metrics_are_those_of_seqeval(tags: Sequence[str]) -> None:
    labels, predicted = random_tags(tags, 0), random_tags(tags, 0)
    rng = np.random.default_rng(1)
    for sentence in predicted:  # nearly right, so that some entities agree
        sentence[rng.integers(len(sentence))] = tags[rng.integers(len(tags))]
    for sentence in (*labels, *predicted):
        assert entities.entities(sentence) == [(kind, start, end + 1) for kind, start, end in get_entities(sentence)]
    expected = classification_report(labels, predicted, output_dict=True, zero_division=0)
    found = entities.metrics(labels, predicted)
    assert found["entity_precision"] == pytest.approx(expected["micro avg"]["precision"], abs=1e-12)
    assert found["entity_recall"] == pytest.approx(expected["micro avg"]["recall"], abs=1e-12)
    assert found["entity_f1"] == pytest.approx(expected["micro avg"]["f1-score"], abs=1e-12)
    assert found["macro_entity_f1"] == pytest.approx(expected["macro avg"]["f1-score"], abs=1e-12)
    assert found["entities"] == expected["micro avg"]["support"]
    assert 0 < found["entity_f1"] < 1
    for row in entities.per_entity(labels, predicted):
        of_kind = expected[row["entity"]]
        assert [row["precision"], row["recall"], row["f1"], row["entities"]] == pytest.approx(
            [of_kind[key] for key in ("precision", "recall", "f1-score", "support")], abs=1e-12
        )


def test_bilou_is_bioes_with_other_letters() -> None:
    bioes = random_tags(BIOES, 2)
    bilou = [[tag.replace("E-", "L-").replace("S-", "U-") for tag in sentence] for sentence in bioes]
    assert list(map(entities.entities, bilou)) == list(map(entities.entities, bioes))


@pytest.mark.parametrize(
    ("tags", "of_bio", "of_bioes"),
    [
        ("O B-A I-A O", 0, 1),  # with marked ends, I-A must be continued
        ("B-A E-A S-B O", 0, 0),
        ("O I-A", 1, 2),
        ("B-A I-B", 1, 2),  # the second entity is not begun, nor ended
        ("B-A B-A", 0, 2),
        ("B-A O I-A", 1, 3),
        ("S-A I-A E-A", 1, 1),
    ],
)
def test_illegal_transitions_are_counted(tags: str, of_bio: int, of_bioes: int) -> None:
    assert entities.count_illegal(tags.split(), ends_are_marked=False) == of_bio
    assert entities.count_illegal(tags.split(), ends_are_marked=True) == of_bioes


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        (BIO, True),
        (BIOES, True),
        (("U-A", "O"), True),
        (("B-a-b", "I-a-b"), True),
        (("O",), False),
        (("I-A", "O"), False),  # nothing begins an entity
        (("NOUN", "VERB"), False),
        (("B-A", "X"), False),
        (("B-", "O"), False),
    ],
)
def test_the_tags_of_entities_are_recognized(tags: Sequence[str], expected: bool) -> None:
    assert entities.marks_entities(tags) is expected


def test_nothing_found_is_zero() -> None:
    found = entities.metrics([["O", "B-A"]], [["O", "O"]])
    assert (found["entity_precision"], found["entity_recall"], found["entity_f1"]) == (0.0, 0.0, 0.0)
    assert entities.metrics([["O"]], [["O"]])["macro_entity_f1"] == 0.0


def test_the_baseline_is_the_most_frequent_tag_of_a_word() -> None:
    words = [("a", "b"), ("a", "c"), ("a",)]
    tags = np.array([0, 2, 1, 2, 1])
    assert most_frequent_tags(words, tags, [("a", "b"), ("new",)]).tolist() == [1, 2, 2]  # of all tags, 1 and 2 tie
