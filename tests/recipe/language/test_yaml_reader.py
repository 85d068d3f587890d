"""Reading YAML: scalars, places, and what is refused before the schema is applied."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dlcli.errors import InputError
from dlcli.recipe.language.yaml_reader import (
    MAX_BYTES,
    MAX_DEPTH,
    MAX_VALUES,
    UNREADABLE,
    Tree,
    decode,
    plain_scalar,
    read_bytes,
    read_yaml,
)


def messages(tree: Tree) -> list[str]:
    return [str(diagnostic) for diagnostic in tree.diagnostics]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("1E3", 1000.0),
        (".5", 0.5),
        ("-.5", -0.5),
        ("5.", 5.0),
        ("+1.5e+2", 150.0),
        ("1.0e-05", 1e-5),
        ("30", 30),
        ("-7", -7),
        ("+7", 7),
        ("010", 10),
        ("0o17", 15),
        ("0xFF", 255),
        ("9223372036854775807", 2**63 - 1),
        ("true", True),
        ("FALSE", False),
        ("null", None),
        ("~", None),
        ("", None),
        (".inf", float("inf")),
        ("-.INF", float("-inf")),
    ],
)
def test_scalars_that_are_not_text(text: str, value: Any) -> None:
    assert plain_scalar(text) == value
    assert type(plain_scalar(text)) is type(value)


@pytest.mark.parametrize(
    "text",
    [
        *("no", "yes", "on", "off", "y", "n", "True1", "tRUE", "nULL", "inf", "nan", "+.nan"),
        *("1_000", "0b11", "0o8", "0xG", "1:30", "2026-11-23", "1e", "1e-3.5", ".", "-", "+", "8/255", "1,5"),
    ],
)
def test_scalars_that_are_text(text: str) -> None:
    assert plain_scalar(text) == text


@pytest.mark.parametrize("text", ["9223372036854775808", "-9223372036854775808", "9" * 5000, "0x" + "f" * 5000])
def test_whole_numbers_are_bounded(text: str) -> None:
    with pytest.raises(ValueError, match="whole numbers are at most 9223372036854775807"):
        plain_scalar(text)


def test_not_a_number() -> None:
    value = plain_scalar(".nan")
    assert isinstance(value, float)
    assert value != value


def test_quoted_scalars_are_text() -> None:
    assert read_yaml("['1', \"true\", |\n  3\n]", "f").diagnostics  # a block scalar is not allowed in brackets
    assert read_yaml("- '1'\n- \"true\"\n- |\n  3\n- >-\n  ~\n", "f").values == ("1", "true", "3\n", "~")


def test_values_and_places() -> None:
    tree = read_yaml('a: 1\nb:\n  - {c: "x", d: [2, 3.5]}\n  -   null\n', "f.yaml")
    assert tree.complete
    assert tree.diagnostics == []
    assert tree.values == {"a": 1, "b": ({"c": "x", "d": (2, 3.5)}, None)}
    places = {path: (str(mark.key), str(mark.value)) for path, mark in tree.marks.items()}
    assert places == {
        (): ("f.yaml:1:1", "f.yaml:1:1"),
        ("a",): ("f.yaml:1:1", "f.yaml:1:4"),
        ("b",): ("f.yaml:2:1", "f.yaml:3:3"),
        ("b", 0): ("f.yaml:3:5", "f.yaml:3:5"),
        ("b", 0, "c"): ("f.yaml:3:6", "f.yaml:3:9"),
        ("b", 0, "d"): ("f.yaml:3:14", "f.yaml:3:17"),
        ("b", 0, "d", 0): ("f.yaml:3:18", "f.yaml:3:18"),
        ("b", 0, "d", 1): ("f.yaml:3:21", "f.yaml:3:21"),
        ("b", 1): ("f.yaml:4:7", "f.yaml:4:7"),
    }


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
def test_line_ends(end: str) -> None:
    tree = read_yaml(f"a: 1{end}b: 2{end}", "f")
    assert tree.values == {"a": 1, "b": 2}
    assert str(tree.marks["b",].value) == "f:2:4"


def test_columns_count_characters() -> None:
    tree = read_yaml("größe: {😀: 1, b: 2}", "f")
    assert str(tree.marks["größe", "b"].value) == "f:1:18"


def test_depth_is_bounded_exactly() -> None:
    assert read_yaml("[" * MAX_DEPTH + "]" * MAX_DEPTH, "f").complete
    deeper = read_yaml("[" * (MAX_DEPTH + 2) + "]" * (MAX_DEPTH + 2), "f")
    assert messages(deeper) == [f"f:1:{MAX_DEPTH + 2}: a recipe is at most 20 levels deep"]


@pytest.mark.parametrize("text", ["[" * 100_000, "{a: " * 50_000, "- " * 50_000, "? " * 50_000, "a: &a [*a, *a]\n" * 9])
def test_bombs_give_an_error(text: str) -> None:
    assert read_yaml(text, "f").diagnostics


def test_number_of_values_is_bounded() -> None:
    tree = read_yaml("[" + "1," * MAX_VALUES + "]", "f")
    assert messages(tree) == [f"f:1:{2 * MAX_VALUES}: a recipe has at most 20,000 keys and values"]


def test_aliases_are_not_expanded() -> None:
    tree = read_yaml("a: &x [1, 2]\nb: *x\n", "f")
    assert tree.values == {"a": (1, 2), "b": UNREADABLE}
    assert len(tree.diagnostics) == 2


def test_the_first_of_two_equal_keys_is_used() -> None:
    tree = read_yaml("a: 1\na: {b: 2}\n", "f")
    assert tree.values == {"a": 1}
    assert messages(tree) == ["f:2:1: duplicate key 'a' (first on line 1)"]


@settings(derandomize=True, deadline=None, max_examples=settings().max_examples * 300 // 100)
@given(st.text(alphabet=st.sampled_from("ab1 :-#[]{},'\"&*!|>%@`\t\n\\x0~?=<.\x85\u2028é"), max_size=40))
@example('"\\UFFFFFFFF"')
@example("%YAML " + "9" * 5000 + ".1\n---\na")
@example("a: |9999999\n x")
@example("&\n")
def test_any_text_gives_values_or_errors(text: str) -> None:
    tree = read_yaml(text, "f")
    assert tree.complete or tree.diagnostics
    assert all("\n" not in message for message in messages(tree))


# Files --------------------------------------------------------------------------------------------------------------


def message_for(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        decode(read_bytes(path), str(path))
    return str(caught.value)


@pytest.fixture(autouse=True)
def _in_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_missing_file_suggests_a_similar_name() -> None:
    Path("convnet.yaml").touch()
    Path("convnet.png").touch()
    assert message_for(Path("convent.yaml")) == "convent.yaml: no such file; did you mean 'convnet.yaml'?"
    assert message_for(Path("convnet")) == "convnet: no such file; did you mean 'convnet.yaml'?"
    assert message_for(Path("lenet.yaml")) == "lenet.yaml: no such file"
    assert message_for(Path("there/x.yaml")) == "there/x.yaml: no such file; the folder there does not exist"


def test_folder() -> None:
    Path("recipes").mkdir()
    assert message_for(Path("recipes")) == "recipes: is a folder; name the file of a recipe"
    Path("recipes/b.yml").touch()
    assert message_for(Path("recipes")) == "recipes: is a folder; name the file of a recipe, such as recipes/b.yml"


def test_unreadable_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(path: Path, mode: str, opener: Any) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    Path("x.yaml").touch()
    monkeypatch.setattr("dlcli.files.open", refuse, raising=False)  # root may read every file
    assert message_for(Path("x.yaml")) == "x.yaml: no permission to read it. Give the file of a recipe."


def test_a_pipe_is_refused() -> None:
    os.mkfifo("x.yaml")
    assert message_for(Path("x.yaml")) == "x.yaml: a pipe or device, not a file. Give the file of a recipe."


def test_path_through_a_file() -> None:
    Path("a").touch()
    assert message_for(Path("a/x.yaml")) == "a/x.yaml: cannot be opened (Not a directory). Give the file of a recipe."


def test_size_is_bounded_exactly() -> None:
    Path("x.yaml").write_bytes(b"#" * MAX_BYTES)
    assert len(read_bytes(Path("x.yaml"))) == MAX_BYTES
    Path("x.yaml").write_bytes(b"#" * (10 * MAX_BYTES))
    assert message_for(Path("x.yaml")) == "x.yaml: a recipe must be at most 1 MiB. This file is larger."


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ". Byte 8 of this file is 0, as in binary files."),
        ("task: x".encode("utf-16"), ". This file is UTF-16; save it as UTF-8."),
        (b"task: x\nname: caf\xe9\n", "; save it as UTF-8. Received byte 0xE9."),
        (b"\xef\xbb\xbftask: x\n\xc3\xa9 caf\xe9\n", "; save it as UTF-8. Received byte 0xE9."),
    ],
)
def test_not_utf8(data: bytes, message: str) -> None:
    Path("x.yaml").write_bytes(data)
    assert message_for(Path("x.yaml")).endswith(f"a recipe must be UTF-8 text{message}")


def test_place_of_invalid_utf8() -> None:
    Path("x.yaml").write_bytes(b"\xef\xbb\xbftask: x\n\xc3\xa9 caf\xe9\n")
    assert message_for(Path("x.yaml")).startswith("x.yaml:2:6: ")


def test_byte_order_mark_is_accepted() -> None:
    Path("x.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    tree = read_yaml(decode(read_bytes(Path("x.yaml")), "x.yaml"), "x.yaml")
    assert tree.values == {"a": 1}
    assert str(tree.marks["a",].key) == "x.yaml:1:1"
