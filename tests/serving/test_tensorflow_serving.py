"""The REST protocol of TensorFlow Serving, over HTTP."""

import base64
import json
import struct
import zlib
from typing import Any

import numpy as np
import pytest
from served import CLASSES, SECRET, Client, array_of, encoded  # type: ignore[import-not-found]

PREDICT = "/v1/models/shades:predict"


def b64(data: bytes) -> dict[str, str]:
    return {"b64": base64.b64encode(data).decode()}


def test_status_and_metadata(client: Client) -> None:
    for path in ("/v1/models/shades", "/v1/models/shades/versions/1"):
        (status,) = client.get(path)["model_version_status"]
        assert (status["version"], status["state"]) == ("1", "AVAILABLE")
    signature = client.get("/v1/models/shades/metadata")["metadata"]["signature_def"]["signature_def"]
    assert signature["serving_default"]["inputs"] == {"image": {"name": "image", "dtype": "DT_STRING"}}
    assert set(signature["serving_default"]["outputs"]) == {"predicted", "confidence", "top"}
    assert [model["name"] for model in client.get("/v1/models")["models"]] == ["shades", "echo", "steps", "teller"]


@pytest.mark.parametrize("level", [0, 40, 255])
@pytest.mark.parametrize(
    "form",
    [
        lambda level: b64(encoded(level)),
        lambda level: {"image": b64(encoded(level, image_format="BMP"))},
        lambda level: {"b64": "data:image/png;base64," + b64(encoded(level))["b64"]},
        lambda level: array_of(level).tolist(),
        lambda level: array_of(level)[..., 0].astype(float).tolist(),
    ],
)
def test_images(client: Client, level: int, form: Any) -> None:
    (row,) = client.post(PREDICT, {"instances": [form(level)]})["predictions"]
    probabilities = {entry["class"]: entry["probability"] for entry in row["top"]}
    assert probabilities == pytest.approx({"bright": level / 255, "dark": 1 - level / 255})
    assert row["predicted"] == ("bright" if level > 127 else "dark")


def test_several_samples_keep_their_order(client: Client) -> None:
    levels = [3, 250, 9, 200, 100, 77, 78, 79, 80, 81, 82]  # more than the largest batch
    value = {"signature_name": "serving_default", "instances": [b64(encoded(level)) for level in levels]}
    rows = client.post("/v1/models/shades/versions/1:predict", value)["predictions"]
    bright = [next(e["probability"] for e in row["top"] if e["class"] == "bright") for row in rows]
    assert bright == pytest.approx(np.array(levels) / 255)


def test_columns(client: Client) -> None:
    for inputs in ([b64(encoded(255))], {"image": [b64(encoded(255))]}):
        (row,) = client.post(PREDICT, {"inputs": inputs})["outputs"]
        assert row["predicted"] == "bright"


def test_number_of_classes(client: Client) -> None:
    (row,) = client.post(f"{PREDICT}?top=1", {"instances": [b64(encoded(255))]})["predictions"]
    assert row["top"] == [{"class": "bright", "probability": 1.0}]


def test_texts_and_series(client: Client) -> None:
    text = "Grüße 🙂"
    rows = client.post("/v1/models/echo:predict", {"instances": [text, {"text": "b"}, b64(text.encode())]})
    assert [row["predicted"] for row in rows["predictions"]] == ["GRÜSSE 🙂", "B", "GRÜSSE 🙂"]
    (row,) = client.post("/v1/models/steps:predict", {"instances": [[[1, 2], [3, 4.5]]]})["predictions"]
    assert row == {"predicted": 10.5, "means": [2.0, 3.25]}


IMAGE = b64(encoded(9))
BAD: list[tuple[Any, int, str]] = [
    ([], 400, "the body must be {"),
    ({}, 400, 'must have "instances" or "inputs"'),
    ({"instances": [], "inputs": []}, 400, "and not both"),
    ({"instances": []}, 400, "must have 1 to 256 samples. Received 0."),
    ({"instances": [IMAGE] * 257}, 400, "must have 1 to 256 samples. Received 257."),
    ({"instances": IMAGE}, 400, "instances must be a list"),
    ({"instances": [IMAGE, {"b64": "no base64!"}]}, 400, "sample 1: expected base64 text"),
    ({"instances": [{"b64": 3}]}, 400, "Received a number."),
    ({"instances": ["cat.png"]}, 400, "an image must be"),
    ({"instances": [None]}, 400, "Received null."),
    ({"instances": [[[1], [1, 2]]]}, 400, "unequal lengths"),
    ({"instances": [[["a"]]]}, 400, "other values than numbers"),
    ({"instances": [[[True]]]}, 400, "other values than numbers"),
    ({"instances": [[]]}, 400, "must have 1 to 10,000,000 values"),
    ({"instances": [[[1e999]]]}, 400, "has no Infinity"),
    ({"instances": [[[[[1]]]]]}, 400, "shape (1, 1, 1, 1)"),
    ({"instances": [b64(b"GIF89a")]}, 400, "header is corrupt"),
    ({"instances": [b64(b"%PDF-1.4")]}, 400, "not an image"),
    ({"instances": [b64(encoded(9)[:-20])]}, 400, "shades/x: "),
    ({"instances": [IMAGE], "signature_name": "other"}, 400, "serving_default"),
    ({"instances": [IMAGE], "x": 1}, 400, "unknown key 'x'"),
]


@pytest.mark.parametrize(("value", "status", "message"), BAD)
def test_bad_requests(client: Client, value: Any, status: int, message: str) -> None:
    error = client.post(PREDICT, value, status=status)["error"]
    assert message in error
    assert SECRET not in error


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b'{"instances": NaN}', b"[" * 100_000, b"1" * 5000])
def test_bodies_that_are_not_json(client: Client, body: bytes) -> None:
    status, answer, _ = client.request("POST", PREDICT, body)
    assert status == 400
    assert json.loads(answer)["error"].startswith("the body must be JSON")


def test_images_with_too_many_pixels_are_refused_by_their_header(client: Client) -> None:
    header = b"IHDR" + struct.pack(">II5B", 9000, 9000, 8, 0, 0, 0, 0)  # 81 MB of pixels in 100 bytes
    small = encoded(0)
    bomb = small[:12] + header + struct.pack(">I", zlib.crc32(header)) + small[33:]
    error = client.post(PREDICT, {"instances": [b64(bomb)]}, status=400)["error"]
    assert error == "too large: an image may have at most 50,000,000 pixels."


def test_a_failure_is_answered_and_reported(client: Client) -> None:
    error = client.post(PREDICT, {"instances": [b64(encoded(13))]}, status=500)["error"]
    assert error == "the prediction failed; the log of the server has the reason."
    assert "RuntimeError" in client.reports[-1]
    assert client.post(PREDICT, {"instances": [IMAGE]})["predictions"][0]["predicted"] == CLASSES[0]


@pytest.mark.parametrize(("value", "message"), [(3, "a text must be a string"), ("x" * 100_001, "at most 100,000")])
def test_bad_texts(client: Client, value: Any, message: str) -> None:
    assert message in client.post("/v1/models/echo:predict", {"instances": [value]}, status=400)["error"]


def test_addresses_that_do_not_exist(client: Client) -> None:
    error = client.post("/v1/models/other:predict", {"instances": [IMAGE]}, status=404)["error"]
    assert error == "no model named 'other'. This server has: shades, echo, steps, teller."
    for method, path, status in (("GET", "/x", 404), ("GET", PREDICT, 405), ("DELETE", "/v1/models", 405)):
        received, body, _ = client.request(method, path)
        assert received == status
        assert "error" in json.loads(body)
