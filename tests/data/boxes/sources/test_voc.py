import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from dlcli.data.boxes.boxes import Frame, boxes_of
from dlcli.data.boxes.dataset import BoxReading
from dlcli.data.boxes.sources.voc import holds_voc, read_voc
from dlcli.data.images.dataset import Reading
from dlcli.data.images.samples import Dataset
from dlcli.errors import InputError

Common = dict[str, Any]
Objects = tuple[tuple[str, tuple[float, ...]], ...]
CAT: Objects = (("cat", (10, 5, 30, 15)),)


def xml(filename: str | None, objects: Objects = CAT, size: tuple[Any, Any] | None = (60, 40)) -> str:
    """An annotation in LabelImg's format."""
    lines = ["<annotation>"]
    if filename is not None:
        lines.append(f"<filename>{filename}</filename>")
    if size is not None:
        lines.append(f"<size><width>{size[0]}</width><height>{size[1]}</height><depth>3</depth></size>")
    for name, corners in objects:
        sides = zip(("xmin", "ymin", "xmax", "ymax"), corners, strict=True)
        box = "".join(f"<{side}>{value}</{side}>" for side, value in sides)
        lines.append(f"<object>\n<name> {name} </name><difficult>0</difficult><bndbox>{box}</bndbox></object>")
    return "\n".join([*lines, "</annotation>"])


@pytest.fixture
def save(tmp_path: Path) -> Callable[..., Path]:
    """Writes annotations/NAME.xml and images/NAME.png, of 60x40 pixels; the text can be replaced."""

    def write(
        name: str, text: str | bytes | None = None, *, folders: tuple[str, str] = ("annotations", "images")
    ) -> Path:
        for folder in folders:
            (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        path = tmp_path / folders[0] / f"{name}.xml"
        text = xml(f"{name}.png") if text is None else text
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        color = tuple(name.encode().rjust(3)[-3:])
        Image.new("RGB", (60, 40), color).save(tmp_path / folders[1] / f"{name}.png")
        return path

    return write


def read(path: Path, common: Common, **options: Any) -> Dataset:
    known = dict.fromkeys(("images", "annotations", "train_list", "validation_list", "test_list"))
    known |= {"several": "largest", "on_bad_box": "error", "on_bad_image": "error", **options}
    extra = {key: known.pop(key) for key in list(known) if key in common}
    reading = BoxReading(
        **{key: known.pop(key) for key in list(known) if key in BoxReading.__annotations__ | Reading.__annotations__}
    )
    return read_voc(path=path, reading=reading, **known, **{**common, "validation": 0.0, "test": 0.0, **extra})


def error(path: Path, common: Common, **options: Any) -> list[str]:
    with pytest.raises(InputError) as error:
        read(path, common, **options)
    return str(error.value).replace(f"{path}/", "").splitlines()


def left_out(dataset: Dataset) -> dict[str, str]:
    return {item.name: item.reason for item in dataset.left_out}


# What is read -------------------------------------------------------------------------------------------------------


def test_an_annotation_for_each_image(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("b", xml("b.png", (("dog", (1, 2, 3, 4)), ("cat", (5.5, 6.25, 40, 30)))))
    save("a")
    save("c", xml("c.png", ()))
    dataset = read(tmp_path, common)
    samples = dataset.splits["train"]
    assert dataset.classes == ("cat",)
    assert samples.names == ("images/a.png", "images/b.png")
    assert boxes_of(samples) is not None
    assert boxes_of(samples).corners.tolist() == [[10, 5, 30, 15], [5.5, 6.25, 40, 30]]
    assert boxes_of(samples).frames == (Frame(60, 40),) * 2
    assert samples.load(np.arange(2))[0, 0, 0].tolist() == list(b"  a")
    assert tuple(map(str, dataset.warnings)) == ("1 image has several objects; the largest is learned (data.several).",)
    assert left_out(dataset) == {"images/c.png": "no object"}
    assert read(tmp_path, common, several="first").classes == ("cat", "dog")
    assert left_out(read(tmp_path, common, several="leave_out"))["images/b.png"] == "several objects: 2"


@pytest.mark.parametrize("folders", [("annots", "images"), ("labels", "Images"), ("xmls", "photos"), ("all", "all")])
def test_folders_as_people_name_them(
    tmp_path: Path, save: Callable[..., Path], common: Common, folders: tuple[str, str]
) -> None:
    save("a", folders=folders)
    (tmp_path / "labels").mkdir(exist_ok=True)  # without annotations
    root = tmp_path / "all" if folders[0] == "all" else tmp_path
    assert holds_voc(root)
    assert len(read(root, common).splits["train"]) == 1


def test_folders_of_splits(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", folders=("train", "train"))
    save("b", folders=("valid/annotations", "valid/images"))
    (tmp_path / "README.roboflow.txt").touch()
    dataset = read(tmp_path, common)
    assert holds_voc(tmp_path)
    assert dataset.splits["train"].names == ("train/a.png",)
    assert dataset.splits["validation"].names == ("valid/images/b.png",)
    assert left_out(dataset) == {"README.roboflow.txt": "outside the split folders"}


def test_splits_inside_the_folders_of_annotations_and_images(
    tmp_path: Path, save: Callable[..., Path], common: Common
) -> None:
    save("a", folders=("annotations/train", "images/train"))
    save("b", folders=("annotations/val", "images/val"))
    dataset = read(tmp_path, common)
    assert holds_voc(tmp_path)
    assert {split: samples.names for split, samples in dataset.splits.items()} == {
        "train": ("images/train/a.png",),
        "validation": ("images/val/b.png",),
    }


def test_a_size_of_0_is_unknown(save: Callable[..., Path], tmp_path: Path, common: Common) -> None:
    save("a", xml("a.png", size=(0, 0)))
    assert read(tmp_path, common).warnings == ()


def test_an_object_without_a_box_obeys_on_bad_box(save: Callable[..., Path], tmp_path: Path, common: Common) -> None:
    box = re.search("<bndbox>.*</bndbox>", xml("a.png"))
    assert box is not None
    save("a", xml("a.png").replace(box[0], ""))
    save("b", xml("b.png").replace("<ymax>15</ymax>", "<ymax/>"))
    save("c")
    assert error(tmp_path, common)[:2] == [
        "annotations/a.xml: object 1 (cat): there is no box (bndbox)",
        "annotations/b.xml: object 1 (cat): its box has no ymax",
    ]
    assert read(tmp_path, common, on_bad_box="skip").splits["train"].names == ("images/c.png",)


def test_excluded_images_are_not_checked(save: Callable[..., Path], tmp_path: Path, common: Common) -> None:
    save("a", xml("a.png", (("cat", (30, 5, 10, 15)),)))
    save("b")
    dataset = read(tmp_path, common, exclude=("a.*",))
    assert dataset.splits["train"].names == ("images/b.png",)
    assert left_out(dataset) == {"images/a.png": "excluded by 'a.*'"}


@pytest.mark.parametrize(
    "folders",
    [("Annotations", "JPEGImages"), ("annotations", "images"), ("Annotations", "img"), (".", "."), (".", "images")],
)
def test_the_usual_folders_are_found(
    tmp_path: Path, save: Callable[..., Path], common: Common, folders: tuple[str, str]
) -> None:
    save("a", folders=folders)
    dataset = read(tmp_path, common)
    assert dataset.splits["train"].names == (f"{folders[1]}/a.png".removeprefix("./"),)
    assert dataset.left_out == ()


def test_folders_by_name(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", folders=("labels/xml", "photos"))
    save("b")
    dataset = read(tmp_path, common, images="photos", annotations="labels/xml")
    assert dataset.splits["train"].names == ("photos/a.png",)
    assert error(tmp_path, common, annotations="Labels") == [
        "Labels: no such folder. Correct data.annotations, or leave it out."
    ]
    assert error(tmp_path, common, images="Photos") == ["Photos: no such folder. Correct data.images, or leave it out."]


@pytest.mark.parametrize(
    "filename", ["a.png", None, "", "a", "a.jpg", "C:\\images\\a.png", "/home/me/a.png", "other.jpg"]
)
def test_the_image_of_an_annotation(
    tmp_path: Path, save: Callable[..., Path], common: Common, filename: str | None
) -> None:
    save("a", xml(filename))
    assert read(tmp_path, common).splits["train"].names == ("images/a.png",)


def test_the_image_named_in_an_annotation_takes_precedence(
    tmp_path: Path, save: Callable[..., Path], common: Common
) -> None:
    save("a", xml("z.png"))
    save("z", xml("a.png", (("dog", (0, 0, 9, 9)),)))
    dataset = read(tmp_path, common)
    assert dataset.splits["train"].names == ("images/a.png", "images/z.png")
    assert dataset.splits["train"].labels.tolist() == [1, 0]


def test_files_left_out_are_named(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a")
    for name in ("b.png", "notes.txt", ".hidden.png"):
        (tmp_path / "images" / name).write_bytes((tmp_path / "images/a.png").read_bytes())
    for name in ("classes.txt", "._a.xml"):
        (tmp_path / "annotations" / name).write_text("")
    assert left_out(read(tmp_path, common)) == {
        "images/b.png": "no annotation",
        "images/notes.txt": "not an image by its suffix",
        "images/.hidden.png": "hidden",
        "annotations/classes.txt": "not an annotation",
        "annotations/._a.xml": "hidden",
    }


def test_an_annotation_without_a_size(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", xml("a.png", size=None))
    assert len(read(tmp_path, common).splits["train"]) == 1


def test_classes_of_a_trained_model(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", xml("a.png", (("hound", (0, 0, 9, 9)),)))
    dataset = read(tmp_path, common, classes=("cat", "dog"), aliases={"hound": "dog"})
    assert dataset.splits["train"].labels.tolist() == [1]


# Lists --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("place", ["ImageSets/Main", "."])
def test_lists_of_the_splits(tmp_path: Path, save: Callable[..., Path], common: Common, place: str) -> None:
    for name in "abcdef":
        save(name)
    (tmp_path / place).mkdir(parents=True, exist_ok=True)
    for name, text in (("train.txt", "d\n a \r\n\n"), ("val.txt", "b"), ("test.txt", "c\n")):
        (tmp_path / place / name).write_text(text)
    (tmp_path / "annotations" / "f.xml").write_text("not read, since it is in no list")
    lists = {"train_list": "train.txt", "validation_list": "val.txt", "test_list": "test.txt"}
    dataset = read(tmp_path, common, validation=None, test=None, **lists)
    assert {split: samples.names for split, samples in dataset.splits.items()} == {
        "train": ("images/a.png", "images/d.png"),
        "validation": ("images/b.png",),
        "test": ("images/c.png",),
    }
    assert left_out(dataset) == dict.fromkeys(("images/e.png", "images/f.png"), "not in the lists")
    (tmp_path / place / "train.txt").write_text("a\nd\ne\nc")
    drawn = read(tmp_path, common, train_list="train.txt", validation=0.25, test=0.25)
    assert {split: len(samples) for split, samples in drawn.splits.items()} == {"train": 2, "validation": 1, "test": 1}


def test_invalid_lists(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a")
    save("b 1")
    (tmp_path / "plain.txt").write_text("a\nb 1\n")
    (tmp_path / "cat.txt").write_text("a  1\nb 1\n")
    (tmp_path / "bad.txt").write_text("a\n\nb.png\na\n")
    assert len(read(tmp_path, common, train_list="plain.txt").splits["train"]) == 2
    assert error(tmp_path, common, train_list="cat.txt") == [
        "cat.txt:1: a line must be only an image's name. Received 'a  1': this is the list of one class; "
        "give the list of all images, such as train.txt.",
        "Correct the lists.",
    ]
    assert error(tmp_path, common, train_list="plain.txt", test_list="bad.txt") == [
        "bad.txt:1: an image must be in the lists once. 'a' is also in plain.txt:1.",
        "bad.txt:3: a line must be the name, without suffix, of an image that has an annotation. Received 'b.png'.",
        "bad.txt:4: an image must be in the lists once. 'a' is also in plain.txt:1.",
        "Correct the lists.",
    ]
    assert error(tmp_path, common, test_list="plain.txt") == [
        f"{tmp_path}: there must be a list for train beside that for test. Received none."
    ]
    assert error(tmp_path, common, train_list="missing.txt") == [
        f"missing.txt: no such file. Give a list of images in ImageSets/Main or in {tmp_path}."
    ]


# What is wrong ------------------------------------------------------------------------------------------------------

BOMB = '<?xml version="1.0"?>\n<!DOCTYPE lolz [<!ENTITY lol "lol"><!ENTITY lol2 "&lol;&lol;">]>\n'
BOX = "<bndbox><xmin>1</xmin><ymin>2</ymin><xmax>3</xmax><ymax>4</ymax></bndbox>"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ":1: this is not valid XML (no element found)."),
        ("<annotation>\n<object>\n</annotation>", ":3: this is not valid XML (mismatched tag)."),
        ("<annotation>&unknown;</annotation>", ":1: this is not valid XML (undefined entity)."),
        (BOMB + "<annotation>&lol2;</annotation>", ":2: an annotation must have no declarations. Received <!DOCTYPE."),
        (
            "<annotation>\n\n\n<!ENTITY x 'y'></annotation>",
            ":4: an annotation must have no declarations. Received <!ENTITY.",
        ),
        ("<kml/>", ": a VOC annotation must be an <annotation>. Received <kml>."),
        (
            "<annotation>\n<object><name>H\xfcndin</name></object></annotation>".encode("latin-1"),
            ":2: the VOC annotation must be UTF-8 text. Received byte 0xfc: save it as UTF-8, or correct the "
            "encoding of its XML declaration.",
        ),
        (
            b'<?xml version="1.0" encoding="windows-1252"?>\n<annotation>\x81</annotation>',
            ":2: the VOC annotation must be WINDOWS-1252 text. Received byte 0x81: save it as WINDOWS-1252, or correct "
            "the encoding of its XML declaration.",
        ),
        (
            b'<?xml version="1.0" encoding="rot13"?><annotation/>',
            ": the encoding of its XML declaration must be a known one. Received 'rot13': save it as UTF-8.",
        ),
        (
            f"<annotation><object>{BOX}</object></annotation>",
            ": object 1: there must be name with a value. Received none.",
        ),
        (
            f"<annotation><object><name> </name>{BOX}</object></annotation>",
            ": object 1: there must be name with a value. Received none.",
        ),
        (
            f"<annotation><object><name>a</name>{BOX.replace('4', 'four')}</object></annotation>",
            ": object 1: bndbox/ymax must be a number of pixels. Received 'four'.",
        ),
        (xml("a.png", size=("", 40)), ": size: there must be width with a value. Received none."),
        (xml("a.png", size=(60, "x")), ": size: height must be a number of pixels. Received 'x'."),
        (xml("a.png", size=(60.5, 40)), ": size: width must be a whole number of pixels. Received 60.5."),
        (xml("a.png", size=("nan", 40)), ": size: width must be a whole number of pixels. Received nan."),
    ],
)
def test_invalid_annotations(
    tmp_path: Path, save: Callable[..., Path], common: Common, text: str | bytes, message: str
) -> None:
    save("a", text)
    save("b")
    assert error(tmp_path, common) == [f"annotations/a.xml{message}", "Correct the files above, or remove them."]


@pytest.mark.parametrize(
    ("declared", "encoding"),
    [
        ("ISO-8859-1", "latin-1"),
        ("gbk", "gbk"),
        ("utf-16", "utf-8"),  # as programs write it
        ("utf-16", "utf-16"),
        ("ISO-8859-1", "utf-8-sig"),
        ("utf-7", "utf-8"),
        ("unicode_escape", "utf-8"),
        ("idna", "utf-8"),
        ("hz", "utf-8"),
    ],
)
def test_the_declared_encoding_is_that_of_the_text_if_it_extends_ascii(
    tmp_path: Path, save: Callable[..., Path], common: Common, declared: str, encoding: str
) -> None:
    text = f"<?xml version='1.0' encoding=\"{declared}\"?>\n" + xml("a.png", (("H\xfcndin", (1, 2, 3, 4)),))
    save("a", text.encode(encoding))
    assert read(tmp_path, common).classes == ("H\xfcndin",)


def test_declarations_are_refused_in_every_encoding(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    hidden = BOMB.replace("?>", ' encoding="utf-7"?>').replace("<!", "+ADwAIQ-") + "<annotation/>"
    save("a", hidden)
    assert "this is not valid XML" in error(tmp_path, common)[0]
    save("a", (BOMB + "<annotation/>").encode("utf-16"))
    assert "an annotation must have no declarations" in error(tmp_path, common)[0]


def test_errors_of_all_annotations_are_reported_together(
    tmp_path: Path, save: Callable[..., Path], common: Common
) -> None:
    for i in range(13):
        save(f"{i:02}", "<kml/>")
    lines = error(tmp_path, common)
    assert len(lines) == 12
    assert lines[9].startswith("annotations/09.xml: ")
    assert lines[10] == "… and 3 more"


def test_sizes_are_bounded(
    tmp_path: Path, save: Callable[..., Path], common: Common, monkeypatch: pytest.MonkeyPatch
) -> None:
    save("a")
    monkeypatch.setattr("dlcli.data.boxes.sources.voc_xml.MAX_BYTES", 100)
    assert error(tmp_path, common)[0] == (
        "annotations/a.xml: a VOC annotation may have at most 100 bytes. Split it or give a smaller one."
    )


def test_bad_boxes_are_named_by_their_file(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", xml("a.png", (*CAT, ("dog", (30, 5, 10, 15)))))
    save("b", xml("b.png", size=(80, 40)))
    assert error(tmp_path, common) == [
        "annotations/a.xml: object 2 (dog): its corners are swapped: xmin 30 is greater than xmax 10",
        "annotations/b.xml: the annotation is for an image of 80x40, but the image has 60x40",
        "2 of 3 boxes cannot be used. Correct them, or set data.on_bad_box in a recipe: repair or skip.",
    ]
    repaired = read(tmp_path, common, on_bad_box="repair")
    assert repaired.warnings[1].text == (
        "2 bad boxes were repaired (data.on_bad_box): annotations/a.xml: object 2, annotations/b.xml: object 1."
    )


def test_missing_images(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a")
    save("b")
    (tmp_path / "images" / "b.png").unlink()
    assert error(tmp_path, common)[0] == "annotations/b.xml: images/b.png: no such file"
    dataset = read(tmp_path, common, on_bad_image="skip")
    assert left_out(dataset) == {"images/b.png": "no such file"}


def test_an_ambiguous_image_is_refused(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a", xml("else.png"))
    Image.new("RGB", (60, 40)).save(tmp_path / "images" / "a.jpg")
    assert error(tmp_path, common)[0] == (
        "annotations/a.xml: there must be one image of this name. Received a.jpg and a.png: name one in <filename>."
    )


def test_two_annotations_of_one_image(tmp_path: Path, save: Callable[..., Path], common: Common) -> None:
    save("a")
    save("b", xml("a.png"))
    assert error(tmp_path, common) == [
        "annotations/b.xml: an image must be listed once. 'images/a.png' is also in annotations/a.xml.",
        "Remove the repeated entries, or correct the names of the images.",
    ]


def test_folders_without_annotations(tmp_path: Path, common: Common) -> None:
    missing = tmp_path / "missing"
    with pytest.raises(InputError, match=re.escape(f"{missing}: no such folder.")):
        read(missing, common)
    (tmp_path / "Annotations").mkdir()
    assert error(tmp_path, common) == ["Annotations: there must be an .xml file for each image. Received none."]
