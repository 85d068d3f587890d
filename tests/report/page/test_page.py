"""A page: what is escaped, how cells are written, and that it loads nothing."""

import base64
import html.parser
import io
import re
import struct
import zlib

import numpy as np
import pytest
from PIL import Image as PillowImage

from dlcli.report.page.figures import check_png, embedded_png, embedded_svg
from dlcli.report.page.page import Image, MarkedText, Section, Table, cell, render

HOSTILE = "<script>alert(1)</script> & \" ' {{ 7 * 7 }} $x$ \u202eabc\x1b[0m"


class Reader(html.parser.HTMLParser):
    """Collects the tags, with their attributes, and the text of a page."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def everything(text: str) -> str:
    section = Section(
        text,
        paragraphs=[text],
        warnings=[text],
        tables=[Table([text], [[text]], text)],
        images=[Image("data:image/webp;base64,AA==", text)],
        commands=[text],
        missing=[(text, text)],
        texts=[MarkedText(text, [(text, 1.0)], note=text)],
    )
    return render(text, text, [section])


def test_text_from_outside_is_escaped_wherever_it_stands() -> None:
    plain, hostile = Reader(everything("name")), Reader(everything(HOSTILE))
    assert [tag for tag, _ in hostile.tags] == [tag for tag, _ in plain.tags]
    assert "script" not in {tag for tag, _ in hostile.tags}
    shown = HOSTILE.replace("\u202e", r"\u202e").replace("\x1b", r"\x1b")
    assert hostile.text.count(shown) == plain.text.count("name") > 10
    assert [attributes["alt"] for tag, attributes in hostile.tags if tag == "img"] == [shown]


def test_a_page_loads_nothing_and_has_no_scripts() -> None:
    reader = Reader(everything("name"))
    policy = [attributes["content"] for tag, attributes in reader.tags if "http-equiv" in attributes]
    assert policy == ["default-src 'none'; img-src data:; style-src 'unsafe-inline'"]
    assert not {"script", "link", "iframe", "object", "a"} & {tag for tag, _ in reader.tags}
    sources = [attributes.get("src") or "" for tag, attributes in reader.tags if tag == "img"]
    assert all(source.startswith("data:") for source in sources)
    assert all(not name.startswith("on") for _, attributes in reader.tags for name in attributes)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        *((None, ""), (True, "yes"), (1234567, "1,234,567"), (0.5, "0.5000"), (1.0, "1.0000"), (0.0, "0.0000")),
        *((123.456, "123.5"), (0.00001234, "1.234e-05"), (-0.25, "-0.2500"), ("a b", "a b")),
    ],
)
def test_cells(value: object, expected: str) -> None:
    assert cell(value) == expected


def test_numbers_are_aligned_to_the_right() -> None:
    page = render("", "", [Section("", tables=[Table(["a", "b"], [["x", 1.5]])])])
    assert '<td>x</td><td class="number">1.5000</td>' in page


def test_tokens_have_the_color_of_their_sign_and_strength() -> None:
    text = MarkedText("a", [("good", 2.0), ("dull", -0.5), ("film", 0.0)])
    page = render("", "", [Section("", texts=[text, MarkedText("b", [("x", 0.0), ("y", 0.0)], separator="")])])
    spans = [attributes for tag, attributes in Reader(page).tags if tag == "span"]
    assert [span["class"] for span in spans] == ["for", "against", "for", "for", "for"]
    strengths = [f"--strength: {strength}" for strength in ("1.00", "0.25", "0.00", "0.00", "0.00")]
    assert [span["style"] for span in spans] == strengths
    assert [span["title"] for span in spans[:2]] == ["+2", "-0.5"]
    assert "good</span> <span" in page
    assert "x</span><span" in page


def png(width: int, height: int) -> bytes:
    buffer = io.BytesIO()
    ramp = np.linspace(0, 255, width, dtype=np.uint8)
    PillowImage.fromarray(np.tile(ramp, (height, 1))).save(buffer, format="PNG")
    return buffer.getvalue()


@pytest.mark.parametrize(("width", "expected"), [(300, (200, 67)), (150, (150, 100))])
def test_images_are_webp_of_limited_width(width: int, expected: tuple[int, int]) -> None:
    url = embedded_png(png(width, 100), max_width=200)
    kind, _, content = url.partition(";base64,")
    assert kind == "data:image/webp"
    with PillowImage.open(io.BytesIO(base64.b64decode(content))) as image:
        assert (image.format, image.size) == ("WEBP", expected)
        values = np.asarray(image.convert("L"), float)
    np.testing.assert_allclose(values[0], np.linspace(0, 255, expected[0]), atol=6)


def test_what_is_no_image_is_refused() -> None:
    with pytest.raises(OSError, match="cannot identify"):
        embedded_png(b"GIF89a", max_width=10)


def test_svg_is_embedded_as_it_is() -> None:
    assert re.fullmatch(r"data:image/svg\+xml;base64,PHN2Zy8\+", embedded_svg(b"<svg/>"))


def test_a_png_file_that_claims_an_enormous_size_is_refused() -> None:
    size = struct.pack(">IIBBBBB", 60000, 60000, 8, 2, 0, 0, 0)
    chunks = [(b"IHDR", size), (b"IDAT", zlib.compress(b""))]
    parts = [
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data)) for kind, data in chunks
    ]
    file = b"\x89PNG\r\n\x1a\n" + b"".join(parts)
    with pytest.raises(OSError, match="decompression bomb"):
        embedded_png(file, max_width=100)
    with pytest.raises(OSError, match="decompression bomb"):
        check_png(io.BytesIO(file))
