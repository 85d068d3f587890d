"""Tables whose next rows are forecast, and series with missing values, over HTTP."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest
from served import Client, Echo, Foresight, served, serving  # type: ignore[import-not-found]

PREDICT = "/v1/models/ahead:predict"
TABLE = "day,load\n1,2\n2,4\n3,NA\n4,8\n"


@pytest.fixture(scope="module")
def tables() -> Iterator[Client]:
    with serving(served("ahead", Foresight()), served("steps", Echo("series"))) as found:
        yield found


def test_every_way_to_send_a_table(tables: Client) -> None:
    encoded = base64.b64encode(TABLE.encode()).decode()
    for sample in (TABLE, {"table": TABLE}, {"b64": encoded}):
        (row,) = tables.post(PREDICT, {"instances": [sample]})["predictions"]
        assert [entry["predicted"] for entry in row["forecast"]] == [8.0, 8.0]
    for content_type in ("text/csv", "text/plain; charset=utf-8", "application/octet-stream"):
        status, body, _ = tables.request("POST", PREDICT, TABLE, {"Content-Type": content_type})
        assert (status, json.loads(body)["predictions"][0]) == (200, row)
    form = f'--b\r\nContent-Disposition: form-data; name="table"; filename="x.csv"\r\n\r\n{TABLE}\r\n--b--\r\n'
    status, body, _ = tables.request("POST", PREDICT, form, {"Content-Type": "multipart/form-data; boundary=b"})
    assert (status, json.loads(body)["predictions"]) == (200, [{"file": "x.csv", **row}])
    tensor = {"name": "table", "datatype": "BYTES", "shape": [1], "data": [TABLE]}
    outputs = tables.post("/v2/models/ahead/infer", {"inputs": [tensor]})["outputs"]
    assert {output["name"]: json.loads(output["data"][0]) for output in outputs} == row


def test_what_is_known_of_such_a_model(tables: Client) -> None:
    (model, other) = tables.get("/v1/models")["models"]
    assert (model["kind"], model["needs"], other["needs"]) == ("tables", "2 rows", "")
    assert tables.get("/v2/models/ahead")["inputs"] == [{"name": "table", "datatype": "BYTES", "shape": [-1]}]
    assert {output["name"] for output in tables.get("/v2/models/ahead")["outputs"]} == {"forecast", "left_out"}
    content = tables.get("/openapi.json")["paths"]["/v1/models/{name}:predict"]["post"]["requestBody"]["content"]
    assert content.keys() == {"application/json", "multipart/form-data", "text/csv"}
    shown = tables.post("/v1/models/ahead:show", {"instances": [TABLE]})
    assert shown == {"history": [{"series": "", "values": [2.0, 4.0, None, 8.0]}]}


@pytest.mark.parametrize(
    ("sample", "message"),
    [
        (3, "a table must be a string, the content of a CSV file with its header. Received a number."),
        ([[1, 2]], "Received a list."),
        ("a\ud800", "a table must be UTF-8"),
        ({"b64": "H4sI"}, "a table must be UTF-8."),  # which gzip begins with
        ("x" * (2**18 + 1), "a table may have at most 262,144 bytes. Received 262,145."),
        ("day,load\n1," + "x" * 9999, f"column 'load' must be a number. Received '{'x' * 900}"),
        ("day,load\n", "the table: must have a row"),
    ],
)
def test_what_is_not_a_table(tables: Client, sample: Any, message: str) -> None:
    error = tables.post(PREDICT, {"instances": [sample]}, status=400)["error"]
    assert message in error
    assert len(error) < 2_100


def test_missing_values_of_a_series(tables: Client) -> None:
    steps = [[[1, None], [3, 4.5]]]
    assert "NaN" not in json.dumps(tables.post("/v1/models/steps:predict", {"instances": steps}))
    (row,) = tables.post("/v1/models/steps:predict", {"instances": steps})["predictions"]
    assert row == {"predicted": 8.5, "means": [2.0, 4.5]}
    for values, message in (
        ([[1, "a"]], "other values than numbers"),
        ([[True, None]], "other values than numbers"),
        ([[1, None], [2]], "unequal lengths"),
        ([[1, 10**400]], "other values than numbers"),
        ([[1e308, 1e308]], "must be finite"),
    ):
        answer = tables.post("/v1/models/steps:predict", {"instances": [values]}, status=400)
        assert message in answer["error"], answer
