"""KServe's protocol v2, over HTTP: with Triton's client, and by hand what that client never sends."""

import base64
import json
import struct
from typing import Any

import numpy as np
import pytest
from served import CLASSES, SECRET, Client, array_of, encoded  # type: ignore[import-not-found]

from dlcli import __version__
from dlcli.serving.kserve import HEADER_LENGTH

INFER = "/v2/models/shades/infer"
FILES = [encoded(0), encoded(200), encoded(255)]
BRIGHT = [0.0, 200 / 255, 1.0]


def test_server(client: Client) -> None:
    expected = {"name": "dlcli", "version": __version__, "extensions": ["binary_tensor_data"]}
    assert client.get("/v2") == expected
    for path in ("/v2/health/live", "/v2/health/ready", "/v2/models/shades/ready", "/v2/models/echo/versions/1/ready"):
        assert client.request("GET", path)[0] == 200
    assert client.request("GET", "/v2/models/other/ready")[0] == 404
    assert client.request("GET", "/v2/health/other")[0] == 404


def test_metadata(client: Client) -> None:
    metadata = client.get("/v2/models/shades")
    assert metadata["inputs"] == [{"name": "image", "datatype": "BYTES", "shape": [-1]}]
    assert metadata["outputs"] == [
        {"name": "predicted", "datatype": "BYTES", "shape": [-1]},
        {"name": "confidence", "datatype": "FP32", "shape": [-1]},
        {"name": "probabilities", "datatype": "FP32", "shape": [-1, 2]},
    ]
    assert client.get("/v2/models/steps")["inputs"] == [{"name": "series", "datatype": "FP32", "shape": [-1, -1, 2]}]


def tensor(data: Any, datatype: str = "BYTES", shape: list[int] | None = None, name: str = "image") -> dict[str, Any]:
    return {"name": name, "datatype": datatype, "shape": shape or [len(data)], "data": data}


def texts_of(files: list[bytes]) -> list[str]:
    return [base64.b64encode(data).decode() for data in files]


PIXELS = np.stack([array_of(0), array_of(200), array_of(255)])


@pytest.mark.parametrize(
    "given",
    [
        tensor(texts_of(FILES)),
        tensor([[text] for text in texts_of(FILES)], shape=[3, 1]),
        tensor(PIXELS.tolist(), "UINT8", [3, 4, 4, 1]),
        tensor(PIXELS.ravel().tolist(), "FP32", [3, 4, 4, 1]),
        tensor(PIXELS.ravel().tolist(), "INT64", [3, 4, 4, 1]),
    ],
)
def test_json(client: Client, given: dict[str, Any]) -> None:
    answer = client.post(INFER, {"id": "seven", "inputs": [given]})
    assert (answer["model_name"], answer["model_version"], answer["id"]) == ("shades", "1", "seven")
    outputs = {output["name"]: output for output in answer["outputs"]}
    assert outputs["probabilities"]["shape"] == [3, 2]
    assert np.reshape(outputs["probabilities"]["data"], (3, 2))[:, 1] == pytest.approx(BRIGHT)
    assert outputs["predicted"] == {
        "name": "predicted",
        "datatype": "BYTES",
        "shape": [3],
        "data": ["dark", "bright", "bright"],
    }


def test_some_outputs(client: Client) -> None:
    answer = client.post(INFER, {"inputs": [tensor(texts_of(FILES))], "outputs": [{"name": "confidence"}]})
    assert [output["name"] for output in answer["outputs"]] == ["confidence"]
    assert "id" not in answer


def test_texts_and_series(client: Client) -> None:
    answer = client.post("/v2/models/echo/infer", {"inputs": [tensor(["é", "bc"], name="text")]})
    outputs = {output["name"]: output["data"] for output in answer["outputs"]}
    assert outputs == {"predicted": ["É", "BC"], "length": [1, 2], "tags": ['["é"]', '["b", "c"]']}
    series = tensor([1, 2, 3, 4, 5, 6, 7, 8], "FP32", [2, 2, 2], "series")
    answer = client.post("/v2/models/steps/infer", {"inputs": [series]})
    assert {output["name"]: (output["shape"], output["data"]) for output in answer["outputs"]} == {
        "predicted": ([2], [10.0, 26.0]),
        "means": ([2, 2], [2.0, 3.0, 6.0, 7.0]),
    }


TELL = "/v2/models/teller/infer"


def test_texts_with_classes(client: Client) -> None:
    described = client.get("/v2/models/teller")["inputs"]
    assert described == [{"name": name, "datatype": "BYTES", "shape": [-1]} for name in ("text", "class")]
    both = [tensor(["bright", "dark"], name="class"), tensor(["a", "é"], name="text")]  # in any order
    outputs = {output["name"]: output["data"] for output in client.post(TELL, {"inputs": both})["outputs"]}
    assert outputs["class"] == ["bright", "dark"]
    assert [text[0] for text in outputs["text"]] == ["a", "é"]
    parts = [element("ü".encode()), element(b"dark")]
    header = [{**bytes_tensor(len(part)), "name": name} for part, name in zip(parts, ("text", "class"), strict=True)]
    status, body, _ = client.request("POST", TELL, *binary({"inputs": header}, b"".join(parts)))
    assert status == 200
    assert {output["name"]: output["data"] for output in json.loads(body)["outputs"]}["class"] == ["dark"]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ([tensor(["a"], name="text")], "expected two inputs, named 'text' and 'class'"),
        ([tensor(["a", "b"], name="text"), tensor(["dark"], name="class")], "'text' has 2 samples, and 'class' 1"),
        ([tensor(["a"], name="text"), tensor(["gray"], name="class")], "must have a class"),
        ([tensor(["a"], name="text"), tensor([1], "FP32", name="class")], "Received numbers"),
    ],
)
def test_bad_classes(client: Client, inputs: list[Any], message: str) -> None:
    assert message in client.post(TELL, {"inputs": inputs}, status=400)["error"]


def test_with_the_client_of_triton(client: Client) -> None:
    http = pytest.importorskip("tritonclient.http", reason="needs tritonclient[http]")
    with http.InferenceServerClient(f"{client.host}:{client.port}") as triton:
        assert triton.is_server_live()
        assert triton.is_server_ready()
        assert triton.is_model_ready("shades")
        assert triton.get_server_metadata()["name"] == "dlcli"
        assert triton.get_model_metadata("shades")["platform"] == "keras"
        for is_binary in (True, False):
            image = http.InferInput("image", [3, 4, 4, 1], "UINT8")
            image.set_data_from_numpy(PIXELS, binary_data=is_binary)
            wanted = [http.InferRequestedOutput(name, binary_data=is_binary) for name in ("probabilities", "predicted")]
            result = triton.infer("shades", [image], outputs=wanted, request_id="7")
            assert result.as_numpy("probabilities")[:, 1] == pytest.approx(BRIGHT)
            predicted = [name.decode() if is_binary else name for name in result.as_numpy("predicted").tolist()]
            assert predicted == ["dark", "bright", "bright"]
            assert result.get_response()["id"] == "7"
        files = http.InferInput("image", [3], "BYTES")
        files.set_data_from_numpy(np.array(FILES, np.object_))
        assert triton.infer("shades", [files]).as_numpy("probabilities")[:, 1] == pytest.approx(BRIGHT)
        with pytest.raises(http.InferenceServerException, match="no model named 'other'"):
            triton.infer("other", [files])


def element(data: bytes, length: int | None = None) -> bytes:
    return struct.pack("<I", len(data) if length is None else length) + data


def binary(header: dict[str, Any], tail: bytes) -> tuple[bytes, dict[str, str]]:
    start = json.dumps(header).encode()
    return start + tail, {HEADER_LENGTH: str(len(start))}


def bytes_tensor(size: int, count: int = 1) -> dict[str, Any]:
    return {"name": "image", "datatype": "BYTES", "shape": [count], "parameters": {"binary_data_size": size}}


GOOD = element(FILES[1])


def test_binary_outputs_of_all(client: Client) -> None:
    request = {"inputs": [bytes_tensor(len(GOOD))], "parameters": {"binary_data_output": True}}
    status, body, headers = client.request("POST", INFER, *binary(request, GOOD))
    assert status == 200
    header = json.loads(body[: int(headers[HEADER_LENGTH])])
    sizes = [output["parameters"]["binary_data_size"] for output in header["outputs"]]
    assert sizes == [len(element(b"bright")), 4, 8]
    assert body.endswith(np.array([55 / 255, 200 / 255], "<f4").tobytes())


BAD: list[tuple[Any, str]] = [
    ([], "the body must be an object"),
    ({}, "inputs must be a list"),
    ({"inputs": []}, "expected one input, named 'image'"),
    ({"inputs": ["x"]}, "inputs[0] must be an object"),
    ({"inputs": [{}]}, "inputs[0].name must be a string"),
    ({"inputs": [tensor(["a"]), tensor(["a"])]}, "expected one input, named 'image'"),
    ({"inputs": [tensor(["a"], name="x")]}, "named 'image'"),
    ({"inputs": [tensor(["a"])], "id": 3}, "id must be a string"),
    ({"inputs": [tensor(["a"])], "parameters": []}, "parameters must be an object"),
    ({"inputs": [tensor(["*"])]}, "base64"),
    ({"inputs": [tensor([3])]}, "an element of data must be a string"),
    ({"inputs": [tensor(texts_of(FILES), shape=[2])]}, "[2] has 2 elements. Received 3."),
    ({"inputs": [tensor(texts_of(FILES), shape=[1, 3])]}, "one element for each sample"),
    ({"inputs": [tensor(texts_of(FILES), "FP99")]}, "datatype must be BYTES"),
    ({"inputs": [tensor([True], "BOOL")]}, "datatype must be BYTES"),
    ({"inputs": [tensor([1], "UINT8", shape=[0])]}, "shape must be a list of 1 to 8 sizes above 0"),
    ({"inputs": [tensor([1], "UINT8", shape=[2**30] * 8)]}, "too many values"),
    ({"inputs": [tensor([1], "UINT8", shape=[1] * 9)]}, "sizes above 0"),
    ({"inputs": [tensor([300], "UINT8")]}, "whole numbers of the type UINT8"),
    ({"inputs": [tensor([1.5], "INT8")]}, "whole numbers of the type INT8"),
    ({"inputs": [tensor([10**400], "FP32")]}, "at most 64 bits"),
    ({"inputs": [tensor([1e300], "FP32", [1, 1])]}, "finite"),
    ({"inputs": [tensor(["1"], "FP32")]}, "data must be numbers"),
    ({"inputs": [{"name": "image", "datatype": "BYTES", "shape": [1]}]}, "must have data, or binary_data_size"),
    ({"inputs": [bytes_tensor(3)]}, "a number of bytes after the JSON part, at most 0"),
    ({"inputs": [{**tensor(["a"]), "parameters": {"shared_memory_region": "x"}}]}, "shared memory"),
    ({"inputs": [tensor(texts_of(FILES))], "outputs": [{"name": "x"}]}, "no output 'x'. The outputs are predicted, "),
    ({"inputs": [tensor(texts_of(FILES))], "outputs": [{}]}, "outputs[0].name must be a string"),
    (
        {"inputs": [tensor(texts_of(FILES))], "outputs": [{"name": "x", "parameters": {"classification": 2}}]},
        "classification is not supported",
    ),
]


@pytest.mark.parametrize(("value", "message"), BAD)
def test_bad_requests(client: Client, value: Any, message: str) -> None:
    error = client.post(INFER, value, status=400)["error"]
    assert message in error
    assert SECRET not in error


@pytest.mark.parametrize(
    ("request_", "tail", "length", "message"),
    [
        (bytes_tensor(3), b"abc", None, "4 bytes of length"),
        (bytes_tensor(8), element(b"abcd", 5), None, "4 bytes of length"),
        (bytes_tensor(len(GOOD), 2), GOOD, None, "[2] has 2 elements. Received 1."),
        (bytes_tensor(len(GOOD) - 1), GOOD, None, "4 bytes of length before each element"),
        (bytes_tensor(-1), GOOD, None, "binary_data_size must be a number of bytes"),
        (tensor(texts_of(FILES)), b"x", None, "all bytes after the JSON part. 1 are left"),
        ({**bytes_tensor(3), "datatype": "FP32"}, b"abc", None, "a multiple of 4"),
        (bytes_tensor(len(GOOD)), GOOD, "99999", "at most the length of the body"),
        (bytes_tensor(len(GOOD)), GOOD, "-1", "must be a number of bytes"),
        (bytes_tensor(len(GOOD)), GOOD, "3", "must be JSON"),
    ],
)
def test_bad_binary(client: Client, request_: dict[str, Any], tail: bytes, length: str | None, message: str) -> None:
    body, headers = binary({"inputs": [request_]}, tail)
    status, answer, _ = client.request("POST", INFER, body, headers if length is None else {HEADER_LENGTH: length})
    assert status == 400
    assert message in json.loads(answer)["error"]


def test_names_of_classes(client: Client) -> None:
    assert client.get("/v1/models")["models"][0]["classes"] == list(CLASSES)
