"""Tagged sentences as JSON lines, and the errors in them."""

from pathlib import Path
from typing import Any

import pytest

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.text.tagged_json import json_sentences, read_tagged_json, tag_keys
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}


def read(path: Path, **options: Any) -> SequenceDataset:
    known = {"validation_path": None, "test_path": None, "words": "words", "tags": "tags", "encoding": "utf-8"}
    return read_tagged_json(path=path, **{**known, **COMMON, **options})


def test_words_and_tags(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"id": 1, "tokens": ["to", " Boston "], "ner": ["O", "B-CITY"]}\n\n{"tokens": [], "ner": []}\n')
    found = read(path, words="tokens", tags="ner")
    train = found.splits["train"]
    assert (found.classes, train.words, train.names) == (("B-CITY", "O"), (("to", "Boston"),), ("a.jsonl:1",))
    assert train.tags is not None
    assert train.tags[0].tolist() == [1, 0]
    assert [one.words for one in json_sentences(path, words="tokens", tags=None, encoding="utf-8")] == [
        ("to", "Boston")
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"words": ["a", "b"], "tags": ["X"]}', "there must be a tag for each word. Received 2 words and 1 tags."),
        ('{"words": "a b", "tags": ["X"]}', "'words' must be a list of texts. Received \"a b\"."),
        ('{"words": ["a"], "tags": [3]}', "'tags' must hold texts that are not empty. Received 3."),
        ('{"words": [" "], "tags": ["X"]}', "'words' must hold texts that are not empty. Received \" \"."),
        ('{"word": ["a"]}', "there must be 'words'. Received 'word'."),
        ("{", "this is not valid JSON from column 2. Correct the line."),
        ("[1]", 'a line must be a JSON object, such as {"words": […], "tags": […]}.'),
    ],
)
def test_errors(tmp_path: Path, line: str, reason: str) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(f'{{"words": ["a", "b"], "tags": ["X", "Y"]}}\n{line}\n')
    with pytest.raises(InputError) as error:
        read(path)
    assert str(error.value) == f"{path}:2: {reason}"


def test_keys_are_found() -> None:
    assert tag_keys('{"id": 7, "text": ["a b"], "tokens": ["a", "b"], "ner": ["O", "X"]}\n{}') == ("tokens", "ner")
    assert tag_keys('{"text": "a b", "label": "x"}') is None
    assert tag_keys("no JSON") is None
