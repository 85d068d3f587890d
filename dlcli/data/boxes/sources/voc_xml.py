"""The XML file of an image in Pascal VOC's format, read without what could refer to other files or expand."""

import re
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from dlcli.data.boxes.annotated import known_size, whole
from dlcli.data.boxes.boxes import Object
from dlcli.data.files import printable
from dlcli.data.table import parse_number
from dlcli.errors import InputError
from dlcli.files import BOMS, decoded, read_limited

SIDES = ("xmin", "ymin", "xmax", "ymax")
MAX_BYTES = 8 * 2**20
NOUN = "VOC annotation"
OTHER = ", or correct the encoding of its XML declaration"
DECLARATION = re.compile(r"<!(DOCTYPE|ENTITY)")  # could refer to other files, or expand to gigabytes
ENCODING = re.compile(rb"""\s*<\?xml\b[^>]{0,200}?\sencoding\s*=\s*["']([A-Za-z][A-Za-z0-9._-]{0,39})["']""")
ESCAPES = rb"+AGE- ~{ \x41 .xn--bcher-kva"  # of encodings in which not all of ASCII stands for itself


@dataclass(frozen=True)
class Annotation:
    """What an XML file says of an image: its file's name, empty without one, its objects, and its width and height."""

    file_name: str
    objects: tuple[Object, ...]
    size: tuple[int, int] | None


def read_annotation(file: Path, *, place: str) -> Annotation:
    """The annotation of one image.

    Args:
        place: the file's name for messages about its objects.

    Raises:
        InputError: it is not one.
    """
    annotation = _parse(file)
    if annotation.tag != "annotation":
        raise InputError(f"{file}: a VOC annotation must be an <annotation>. Received <{printable(annotation.tag)}>.")
    size = annotation.find("size")
    objects = []
    for number, element in enumerate(annotation.findall("object"), 1):
        where = f"{file}: object {number}"
        label = printable(_text(element, "name", where))
        absent = [side for side in SIDES if not (element.findtext(f"bndbox/{side}") or "").strip()]
        if absent:
            flaw = "there is no box (bndbox)" if len(absent) == 4 else f"its box has no {' and no '.join(absent)}"
            objects.append(Object(f"{place}: object {number}", label, None, flaw))
            continue
        x1, y1, x2, y2 = (_number(element, f"bndbox/{side}", where) for side in SIDES)
        is_difficult = (element.findtext("difficult") or "").strip() == "1"
        objects.append(Object(f"{place}: object {number}", label, (x1, y1, x2, y2), is_difficult=is_difficult))
    return Annotation(
        (annotation.findtext("filename") or "").strip(),
        tuple(objects),
        None if size is None else known_size(_side(size, "width", file), _side(size, "height", file)),
    )


def _parse(file: Path) -> ElementTree.Element:
    data = read_limited(file, noun=NOUN, max_bytes=MAX_BYTES, remedy="Fix its permissions or remove it.")
    text = decoded(data, str(file), noun=NOUN, encoding=_encoding(data, file), other_encoding=OTHER)
    declaration = DECLARATION.search(text)
    if declaration:
        line = text.count("\n", 0, declaration.start()) + 1
        raise InputError(f"{file}:{line}: an annotation must have no declarations. Received {declaration.group()}.")
    parser = ElementTree.XMLParser()
    try:
        parser.feed(text)  # text, of which the parser ignores the declared encoding
        return parser.close()
    except ElementTree.ParseError as error:
        what = str(error).partition(":")[0]
        raise InputError(f"{file}:{error.position[0]}: this is not valid XML ({what}).") from None


def _encoding(data: bytes, file: Path) -> str:
    """The encoding that an XML declaration names, if it extends ASCII, in which the declaration itself is read; else
    UTF-8, as that of files that name UTF-16 and are not.

    Raises:
        InputError: Python does not know it.
    """
    named = None if data.startswith(BOMS) else ENCODING.match(data)
    if named is None:
        return "utf-8"
    name = named.group(1).decode("ascii")
    try:
        extends_ascii = ESCAPES.decode(name) == ESCAPES.decode("ascii")
    except UnicodeError:
        extends_ascii = False
    except LookupError:  # also of a codec that is not for text
        raise InputError(
            f"{file}: the encoding of its XML declaration must be a known one. Received '{name}': save it as UTF-8."
        ) from None
    return name.lower() if extends_ascii else "utf-8"


def _text(element: ElementTree.Element, path: str, where: str) -> str:
    text = (element.findtext(path) or "").strip()
    if not text:
        raise InputError(f"{where}: there must be {path} with a value. Received none.")
    return text


def _number(element: ElementTree.Element, path: str, where: str) -> float:
    text = _text(element, path, where)
    number = parse_number(text)
    if number is None:
        raise InputError(f"{where}: {path} must be a number of pixels. Received '{printable(text[:50])}'.")
    return number


def _side(size: ElementTree.Element, path: str, file: Path) -> int:
    number = _number(size, path, f"{file}: size")
    side = whole(number)
    if side is None:
        raise InputError(f"{file}: size: {path} must be a whole number of pixels. Received {number:g}.")
    return side
