"""Text from outside as it is shown: nothing that a terminal obeys, nothing that reorders what is read."""

import json
import unicodedata

import pytest
import yaml

from dlcli.printing import describe_bad_json, escaped, escaped_line, json_text
from dlcli.recipe.language.yaml_reader import read_yaml
from dlcli.recipe.yaml_writer import to_yaml

UNSAFE = [
    *map(chr, {*range(0x20), *range(0x7F, 0xA0)} - {0x09, 0x0A}),
    *"\u061c\u200e\u200f\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ud800\udc9b\udfff",
]
SAFE = "plain é 日本 می\u200cخواهم 👩\u200d🚀 a\u00a0b"


@pytest.mark.parametrize("character", UNSAFE, ids=ascii)
def test_every_unsafe_character_is_escaped(character: str) -> None:
    text = f"a{character}b"
    assert escaped(text) == escaped_line(text) == f"a{ascii(character)[1:-1]}b"
    document = json_text({text: [text]})
    assert character not in document
    assert json.loads(document) == {text: [text]}


def test_other_text_is_unchanged() -> None:
    assert escaped(SAFE) == escaped_line(SAFE) == SAFE
    assert json_text({"a": SAFE}, indent=None) == f'{{"a": "{SAFE}"}}'
    assert escaped("two\n\tlines") == "two\n\tlines"
    assert escaped_line("two\n\tlines") == "two\\n\\tlines"


@pytest.mark.parametrize("character", [c for c in UNSAFE if not 0xD800 <= ord(c) < 0xE000], ids=ascii)
def test_a_recipe_that_is_written_has_escapes_and_reads_back_the_same(character: str) -> None:
    values = {"data": {"path": f"a{character}b", "classes": (f"{character}", "two\nlines")}, f"key{character}": 1}
    text = to_yaml(values)
    assert character not in text
    assert yaml.safe_load(text)["data"]["path"] == f"a{character}b"
    if unicodedata.category(character) != "Cc":  # which recipes refuse
        tree = read_yaml(text, "recipe.yaml")
        assert tree.values["data"]["path"] == f"a{character}b"
        assert not tree.diagnostics


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1,\n "b" 2}', "it is not valid JSON from line 2, column 6"),
        (b"\xff", "it has bytes that are not UTF-8"),
        (b"[" * 100_000, "its lists or objects are nested too deeply"),
        (b"1" * 5000, "it has a number with too many digits"),
    ],
)
def test_what_is_wrong_with_json(content: bytes, expected: str) -> None:
    with pytest.raises((ValueError, RecursionError)) as error:
        json.loads(content)
    assert describe_bad_json(error.value) == expected
