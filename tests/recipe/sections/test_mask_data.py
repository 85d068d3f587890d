"""The ``data`` sections of masks: what they accept, and the rules between keys."""

from typing import Any, Literal

import pytest
from pydantic import TypeAdapter, ValidationError

from dlcli.recipe.language.diagnosis import explain
from dlcli.recipe.language.fields import Section
from dlcli.recipe.language.yaml_reader import read_yaml
from dlcli.recipe.sections.mask_data import CocoMasks, MaskData, MaskImages, Polygons, Scenes, Tiles

MASKS = {"kind": "masks", "path": "x"}
ADAPTER: TypeAdapter[Any] = TypeAdapter(MaskData)


def error(values: dict[str, Any], section: Any = MaskImages) -> str:
    with pytest.raises(ValidationError) as error:
        section.model_validate(values)
    return "; ".join(item["msg"] for item in error.value.errors())


def test_each_kind_has_its_section() -> None:
    for kind, section in (("masks", MaskImages), ("coco", CocoMasks), ("polygons", Polygons), ("scenes", Scenes)):
        values = {"kind": kind, "path": "x", "classes": ("a", "b")}
        assert isinstance(ADAPTER.validate_python(values if kind != "scenes" else {"kind": kind}), section)


def test_one_value_to_ignore_is_a_list_of_it() -> None:
    for given, meant in ((255, (255,)), ((11, 255), (11, 255)), ((), ())):
        section = MaskImages.model_validate({**MASKS, "classes": ("a", "b"), "ignore": given})
        assert section.ignore == meant
    palette = {"a": (0, 0, 0), "b": (1, 2, 3)}
    section = MaskImages.model_validate({**MASKS, "palette": palette, "ignore": ((9, 9, 9),)})
    assert section.ignore == ((9, 9, 9),)


def test_classes_by_index_or_by_value() -> None:
    assert MaskImages.model_validate({**MASKS, "classes": {"pet": 1, "rest": 2}}).classes == {"pet": 1, "rest": 2}
    assert MaskImages.model_validate({**MASKS, "foreground": "person"}).classes is None


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({}, "classes: must be given, or palette for colored masks, or foreground for ids of instances."),
        ({"classes": ("a", "b"), "foreground": "c"}, "foreground: cannot be combined with classes; remove one."),
        ({"classes": ("a",)}, "classes: there must be from 2 to 255 classes. Received 1."),
        ({"classes": tuple(map(str, range(256)))}, "classes: there must be from 2 to 255 classes. Received 256."),
        ({"classes": ("a", "a")}, "classes: the names of classes must be different. Received 'a' twice."),
        ({"classes": {"a": 1, "b": 1}}, "classes: a value must have one meaning. Received 1 for several classes"),
        ({"classes": {"a": 1, "b": 2}, "ignore": 2}, "a value must have one meaning. Received 2"),
        ({"classes": ("a", "b"), "ignore": (1,)}, "ignore: must not be the value of a class, 0 to 1."),
        ({"palette": {"a": (0, 0, 0), "b": (0, 0, 0)}}, "palette: a value must have one meaning. Received [0, 0, 0]"),
        (
            {"palette": {"a": (0, 0, 0), "b": (1, 1, 1)}, "ignore": 255},
            "ignore: must be colors [red, green, blue], as in palette. Received 255.",
        ),
        ({"classes": ("a", "b"), "ignore": ((1, 2, 3),)}, "ignore: must be whole numbers. Received [1, 2, 3]."),
        ({"foreground": "background"}, "foreground: must have another name than the class of value 0, background."),
        ({"classes": ("a", "b"), "value_range": (2.0, 1.0)}, "value_range: the first value must be below the second."),
    ],
)
def test_rules(more: dict[str, Any], message: str) -> None:
    assert message in error({**MASKS, **more})


def test_values_are_bounded() -> None:
    assert "less than or equal to 65535" in error({**MASKS, "classes": {"a": 0, "b": 65536}})
    assert "less than or equal to 255" in error({**MASKS, "palette": {"a": (0, 0, 256), "b": (0, 0, 0)}})


def test_tiles_and_regions() -> None:
    assert Tiles.model_validate({"size": 256}).size == (256, 256)
    assert "overlap: must be at most half of the tile's shorter side, 32." in error({"size": 64, "overlap": 33}, Tiles)
    assert "size: sides must be multiples of 32" in error({"size": (100, 32), "overlap": 0}, Tiles)
    assert "for example [96, 64]. Received [100, 32]." in error({"size": (100, 32), "overlap": 0}, Tiles)
    tiled = {**MASKS, "classes": ("a", "b"), "tiles": {"size": 64, "overlap": 32}}
    assert MaskImages.model_validate(tiled).tiles == Tiles(size=(64, 64), overlap=32)
    for key, value in (("image_size", 64), ("resize", "pad"), ("interpolation", "nearest"), ("antialias", False)):
        assert f"{key}: cannot be combined with tiles" in error({**tiled, key: value})
    scenes = {"kind": "scenes", "image_size": 200, "tiles": {"size": 64, "overlap": 32}}
    assert Scenes.model_validate(scenes).image_size == (200, 200)
    values = {"kind": "coco", "path": "x", "classes": ("a",), "ignore": ("a",)}
    assert "ignore: must not hold a label of classes. Received 'a'." in error(values, CocoMasks)
    assert Polygons.model_validate({"kind": "polygons", "path": "x", "background": None}).background is None


class Recipe(Section):
    """A recipe of nothing but data."""

    task: Literal["segmentation"]
    data: MaskData


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("ignore: 2.5", "data.ignore: expected a whole number, or a list of whole numbers or colors. Received 2.5."),
        ("ignore: [9, x]", "data.ignore.1: expected a whole number in [0, 65535] or a color [red, green, blue]"),
        ("palette: {a: [0, 0, 300]}", "data.palette.a.2: expected a whole number in [0, 255]. Received 300."),
        ("palette: {a: [0, 0]}", "data.palette.a: expected a color [red, green, blue] of whole numbers from 0 to 255."),
        ("classes: {a: x}", "data.classes.a: expected a whole number in [0, 65535]. Received 'x'."),
        (
            "classes: 3",
            "data.classes: expected a list of text that is not empty or a section of names, each with a whole number",
        ),
        ("class: [a]", "data.class: unknown key; did you mean 'classes'?"),
    ],
)
def test_what_the_user_reads(line: str, message: str) -> None:
    tree = read_yaml(f"task: segmentation\ndata:\n  kind: masks\n  path: x\n  {line}\n", "recipe.yaml")
    found = [str(diagnostic) for diagnostic in explain({"segmentation": Recipe}, tree)]
    assert any(text.startswith("recipe.yaml:5:") and message in text for text in found), found
