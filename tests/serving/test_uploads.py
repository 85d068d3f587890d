"""Forms with images, and bodies that are one sample."""

import json
from typing import Any

import pytest
from served import Client, encoded  # type: ignore[import-not-found]

from dlcli.serving.samples import FORMS

PREDICT = "/v1/models/shades:predict"
TYPE = "multipart/form-data; boundary=xYz"


def part(name: str, content: bytes, file: str | None = None) -> bytes:
    file = f'; filename="{file}"' if file is not None else ""
    return f'--xYz\r\nContent-Disposition: form-data; name="{name}"{file}\r\n\r\n'.encode() + content + b"\r\n"


def form(*parts: bytes) -> bytes:
    return b"".join(parts) + b"--xYz--\r\n"


def send(client: Client, body: bytes, content_type: str = TYPE, path: str = PREDICT) -> tuple[int, Any]:
    status, answer, _ = client.request("POST", path, body, {"Content-Type": content_type})
    return status, json.loads(answer)


def test_files_of_a_form_keep_their_names_and_order(client: Client) -> None:
    body = form(part("image", encoded(255), "naïve.png"), part("b", encoded(0, image_format="JPEG"), "b\\c.jpg"))
    status, answer = send(client, body)
    assert status == 200
    assert [(row["file"], row["predicted"]) for row in answer["predictions"]] == [
        ("naïve.png", "bright"),
        ("b\\c.jpg", "dark"),
    ]


def test_a_file_larger_than_a_chunk(client: Client) -> None:
    padded = encoded(255) + b"\0" * 3_000_000
    assert send(client, form(part("image", padded, "a.png")))[1]["predictions"][0]["predicted"] == "bright"


@pytest.mark.parametrize("content_type", ["image/png", "IMAGE/JPEG; x=y", "application/octet-stream"])
def test_a_body_that_is_an_image(client: Client, content_type: str) -> None:
    status, answer = send(client, encoded(255), content_type)
    assert (status, answer["predictions"][0]["predicted"]) == (200, "bright")


def test_texts(client: Client) -> None:
    path = "/v1/models/echo:predict"
    assert send(client, "é!".encode(), "text/plain; charset=utf-8", path)[1]["predictions"][0]["predicted"] == "É!"
    status, answer = send(client, form(part("text", b"one"), part("file", b"two", "t.txt")), path=path)
    assert (status, [row["predicted"] for row in answer["predictions"]]) == (200, ["ONE", "TWO"])


WHOLE = form(part("image", encoded(9), "a.png"))
BAD = [
    (WHOLE, "multipart/form-data", 400, "must name a boundary"),
    (WHOLE, "multipart/form-data; boundary=", 400, "must name a boundary"),
    (WHOLE, "multipart/form-data; boundary=other", 400, "with the boundary"),
    (WHOLE, f"multipart/form-data; boundary={'x' * 1000}", 400, "with the boundary"),
    (WHOLE[:-9], TYPE, 400, "Its end is missing"),
    (b"", TYPE, 400, "Its end is missing"),
    (b"--xYz--\r\n", TYPE, 400, "must have a file"),
    (b"--xYz\r\nnonsense\r\n\r\nx\r\n--xYz--\r\n", TYPE, 400, "with the boundary"),
    (b"--xYz\r\n" + b"A: b\r\n" * 500 + b"\r\nx\r\n--xYz--\r\n", TYPE, 400, "with the boundary"),
    (b"--xYz\r\nA: " + b"b" * 100_000 + b"\r\n\r\nx\r\n--xYz--\r\n", TYPE, 400, "with the boundary"),
    (form(part("image", b"text")), TYPE, 400, "the form's field 'image' must be a file: with curl, -F image=@FILE."),
    (form(part("image", b"text", "a.png")), TYPE, 400, "not an image"),
    (form(*[part("image", encoded(9), "a.png")] * 257), TYPE, 400, "at most 256 parts"),
    (b"--xYz\r\n\r\nx\r\n--xYz--\r\n", TYPE, 400, "must be a file"),
    (b"hello", "text/plain", 415, "this model takes images"),
    (b"hello", "application/xml", 415, "Received application/xml."),
    (b"", "image/png", 400, "the file is empty"),
]


@pytest.mark.parametrize(("body", "content_type", "status", "message"), BAD)
def test_bad_bodies(client: Client, body: bytes, content_type: str, status: int, message: str) -> None:
    received, answer = send(client, body, content_type)
    assert received == status, answer
    assert message in answer["error"]


def test_series_are_sent_as_json(client: Client) -> None:
    status, answer = send(client, b"1,2", "text/plain", "/v1/models/steps:predict")
    assert status == 415
    status, answer = send(client, form(part("x", b"1,2", "a.csv")), path="/v1/models/steps:predict")
    assert (status, answer["error"]) == (400, f"{FORMS['series']}. Received bytes.")
