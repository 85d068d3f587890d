"""Tagged sentences in CoNLL-U and in columns, and the errors in them."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from dlcli.data.sequences.dataset import SequenceDataset
from dlcli.data.text.tagged import read_columns, read_conllu, read_words
from dlcli.data.text.vocabulary import encode_words, fit_words
from dlcli.errors import InputError

COMMON: dict[str, Any] = {"validation": 0.0, "test": 0.0, "split_seed": 0, "limit": None, "allow_leakage": False}


def word(number: str, form: str, upos: str, xpos: str = "x") -> str:
    return "\t".join([number, form, "_", upos, xpos, "_", "0", "root", "_", "_"])


CONLLU = "\n".join(
    [
        *(
            "# text = I can't go",
            word("1", "I", "PRON", "PRP"),
            word("2-3", "can't", "_"),
            word("2", "ca", "AUX", "MD"),
        ),
        *(word("3", "n't", "PART", "RB"), word("3.1", "empty", "VERB"), word("4", "go", "VERB", "VB"), ""),
        *(word("1", "Stop", "VERB", "VB"), "", ""),
    ]
)
COLUMNS = "I\tPRON\nca\tAUX\nn't\tPART\ngo\tVERB\n\n\nStop x y VERB\r\n"


def from_conllu(path: Path, **options: Any) -> SequenceDataset:
    known = {"validation_path": None, "test_path": None, "column": "upos", "encoding": "utf-8"}
    return read_conllu(path=path, **{**known, **COMMON, **options})


def from_columns(path: Path, **options: Any) -> SequenceDataset:
    known = {"validation_path": None, "test_path": None, "encoding": "utf-8"}
    return read_columns(path=path, **{**known, **COMMON, **options})


def sentences(dataset: SequenceDataset, split: str = "train") -> list[list[tuple[str, str]]]:
    samples = dataset.splits[split]
    assert samples.words is not None
    assert samples.tags is not None
    return [
        [(form, dataset.classes[tag]) for form, tag in zip(words, samples.tags[i], strict=True)]
        for i, words in enumerate(samples.words)
    ]


def error(read: Callable[..., Any], path: Path, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, **options)
    return str(error.value).replace(f"{path.parent}/", "").splitlines()


def test_both_formats_give_the_same_sentences(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(CONLLU)
    (tmp_path / "a.txt").write_text(COLUMNS)
    expected = [[("I", "PRON"), ("ca", "AUX"), ("n't", "PART"), ("go", "VERB")], [("Stop", "VERB")]]
    datasets = [from_conllu(tmp_path / "a.conllu"), from_columns(tmp_path / "a.txt")]
    for dataset in datasets:
        assert sentences(dataset) == expected
        assert [row["label"] for row in dataset.split_rows()] == ["PRON AUX PART VERB", "VERB"]
    assert datasets[0].splits["train"].names == ("a.conllu:2", "a.conllu:9")
    assert datasets[1].splits["train"].names == ("a.txt:1", "a.txt:7")
    assert datasets[0].fingerprint() != from_conllu(tmp_path / "a.conllu", column="xpos").fingerprint()
    assert sentences(from_conllu(tmp_path / "a.conllu", column="xpos"))[0][1] == ("ca", "MD")


def test_marks_of_documents_are_no_sentences(tmp_path: Path) -> None:
    mark = "-DOCSTART- -X- -X- O\n\n"
    (tmp_path / "a.txt").write_text(f"{mark}Stop VERB\n\n-DOCSTART-\n\nI PRON\n")
    assert sentences(from_columns(tmp_path / "a.txt")) == [[("Stop", "VERB")], [("I", "PRON")]]


def test_a_tag_missing_from_train_is_warned_of_and_kept(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a\tX\nb\tY\n")
    (tmp_path / "b.txt").write_text("c\tZ\n")
    dataset = from_columns(tmp_path / "a.txt", test_path=tmp_path / "b.txt", test=None)
    assert dataset.classes == ("X", "Y", "Z")
    assert tuple(map(str, dataset.warnings)) == ("train has no 'Z', which cannot be learned.",)
    trained = from_columns(tmp_path / "a.txt", classes=("Y", "X"))
    assert trained.classes == ("Y", "X")
    assert error(from_columns, tmp_path / "b.txt", classes=("Y", "X"))[0].startswith(
        "b.txt: every class must be one of the trained model's. Received 'Z':"
    )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1\tI\tPRON\n", ["a.conllu:1: a word must have 10 columns, separated by tabs. Received 3."]),
        (word("one", "I", "PRON") + "\n", ["a.conllu:1: the first column must be the word's number. Received 'one'."]),
        (
            word("1", "", "X") + "\n" + word("2", "a", ""),
            [
                "a.conllu:1: the word and its tag must not be empty.",
                "a.conllu:2: the word and its tag must not be empty.",
            ],
        ),
        (
            "\n".join([word("1", "a", "X"), word("2", "b", "Y"), word("1", "c", "X")]),
            ["a.conllu:3: the words of a sentence must be numbered from 1: 3 is next, or an empty line. Received 1."],
        ),
        (
            word("1", "a\0", "X"),
            ["a.conllu:1: the file of sentences must be text. Received a null character: it may be UTF-16."],
        ),
        ("# nothing\n\n", ["a.conllu: there must be sentences to train on. Received none."]),
        (word("1", "I", "PRON"), ["a.conllu: there must be at least two tags. Received 'PRON'."]),
    ],
)
def test_errors_of_conllu(tmp_path: Path, text: str, expected: list[str]) -> None:
    (tmp_path / "a.conllu").write_text(text)
    assert error(from_conllu, tmp_path / "a.conllu") == expected


def test_errors_of_columns(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("a X\nalone\n\tX\nb\t\n")
    assert error(from_columns, tmp_path / "a.txt") == [
        "a.txt:2: a line must have a word and a tag. Received 'alone'.",
        "a.txt:3: the word and its tag must not be empty.",
        "a.txt:4: the word and its tag must not be empty.",
    ]
    assert error(from_columns, tmp_path / "none.txt") == [
        "none.txt: no such file. Give the file that contains the texts."
    ]


def test_sentences_to_tag(tmp_path: Path) -> None:
    (tmp_path / "a.conllu").write_text(CONLLU)
    (tmp_path / "a.txt").write_text("I go\n\n Stop  now\n")
    assert read_words(tmp_path / "a.conllu", encoding="utf-8")[1] == [("I", "ca", "n't", "go"), ("Stop",)]
    assert read_words(tmp_path / "a.txt", encoding="utf-8")[1] == [("I", "go"), (), ("Stop", "now")]


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("EU NNP B-ORG\nsays VBZ O\n\nNo DT O\n", [("EU", "says"), ("No",)]),
        ("-DOCSTART- -X- O\n\nEU B-ORG\n", [("EU",)]),
        ("EU\tX\nsays\tY\n", [("EU", "says")]),  # tabs, and tags that the model does not know
        ("EU\nsays\n\nNo\n", [("EU", "says"), ("No",)]),
        ("EU\nsays\n", [("EU",), ("says",)]),  # two sentences of one word: nothing shows another form
        ("EU says O\nNo one goes\n", [("EU", "says", "O"), ("No", "one", "goes")]),
        ("", []),
    ],
)
def test_columns_are_recognized_for_a_model_of_columns(
    tmp_path: Path, text: str, sentences: list[tuple[str, ...]]
) -> None:
    (tmp_path / "a.txt").write_text(text)
    assert read_words(tmp_path / "a.txt", encoding="utf-8", tags=("O", "B-ORG"))[1] == sentences


def test_words_are_found_as_spelled_or_lowercased() -> None:
    text = [("The", "cat"), ("the", "Écu"), ("the", "[UNK]")]
    plain = fit_words(text, lower=False, max_vocabulary=9, min_count=1)
    assert plain.tokens == ("the", "The", "cat", "Écu")
    small = fit_words(text, lower=True, max_vocabulary=9, min_count=1)
    assert small.tokens == ("the", "cat", "écu")
    found = encode_words([("THE", "Cat", "ÉCU", "dog"), ()], small, max_length=9)
    assert [found[i].tolist() for i in range(2)] == [[2, 3, 4, 1], [1]]
    assert encode_words([("the", "cat")], small, max_length=1)[0].tolist() == [2]


@pytest.mark.parametrize("lower", [False, True])
def test_the_saved_model_finds_the_same_words(lower: bool) -> None:
    import keras
    import tensorflow as tf

    from dlcli.models.sequences.text_input import one_at_least, word_ids

    text = [("The", "cat"), ("the", "Écu", "!"), ("the", "cat", "!", "Écu")]
    vocabulary = fit_words(text, lower=lower, max_vocabulary=9, min_count=1)
    inputs = keras.Input((None,), dtype="string")
    ids = word_ids(inputs, forms=vocabulary.forms, token_of_form=vocabulary.token_of_form, max_length=3)
    sentences = [("THE", "cat", "Écu", "cut"), ("écu",), ()]
    batch = tf.constant([[*sentence, *[""] * (4 - len(sentence))] for sentence in sentences])
    found = np.asarray(keras.Model(inputs, one_at_least(ids))(batch))
    expected = encode_words(sentences, vocabulary, max_length=3)
    for i, row in enumerate(found):
        length = int(expected.lengths[i])
        assert row[:length].tolist() == expected[i].tolist()
        assert not row[length:].any()


def test_a_folder_has_a_file_for_each_split(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (tmp_path / f"ner-{name}.txt").write_text("a X\nb Y\n\nb Y\n" if name == "train" else "b X\na Y\n")
    (tmp_path / "README.md").write_text("about it")
    dataset = read_columns(path=tmp_path, validation_path=None, test_path=None, encoding="utf-8", **COMMON)
    assert {split: len(part) for split, part in dataset.splits.items()} == {"train": 2, "validation": 1}
