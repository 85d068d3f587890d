"""Counts in the text format of Prometheus, and the description of the addresses."""

import re

from served import Client, Shades, encoded, served, serving  # type: ignore[import-not-found]

from dlcli.serving.metrics import Counter, Histogram

SAMPLE = re.compile(r'[a-z_]+(\{([a-z]+="([^"\\\n]|\\.)*",?)+\})? [0-9.e+-]+(Inf)?')


def test_counters() -> None:
    counter = Counter("a_total", "A.")
    counter.add(route='x"\\\n')
    counter.add(2, route="y")
    counter.add(0.5, route="y")
    assert list(counter.lines()) == ['a_total{route="x\\"\\\\\\n"} 1', 'a_total{route="y"} 2.5']
    assert counter.total() == 3.5


def test_histograms() -> None:
    histogram = Histogram("s", "S.", (0.1, 1.0))
    for value in (0.05, 0.1, 0.5, 7):
        histogram.observe(value)
    assert list(histogram.lines()) == [
        's_bucket{le="0.1"} 2',
        's_bucket{le="1.0"} 3',
        's_bucket{le="+Inf"} 4',
        "s_sum 7.650000",
        "s_count 4",
    ]


def test_what_a_server_counts() -> None:
    with serving(served("shades", Shades())) as client:
        for _ in range(3):
            client.request("POST", "/v1/models/shades:predict", encoded(9), {"Content-Type": "image/png"})
        client.request("GET", '/v1/models/"\\evil')
        client.request("GET", "/nothing")
        status, body, headers = client.request("GET", "/metrics")
        assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
        lines = body.decode().splitlines()
        assert 'dlcli_requests_total{route="predict",model="shades",status="200"} 3' in lines
        assert 'dlcli_requests_total{route="status",model="",status="404"} 1' in lines
        assert 'dlcli_requests_total{route="other",model="",status="404"} 1' in lines
        assert 'dlcli_samples_total{model="shades"} 3' in lines
        assert "dlcli_queue_samples 0" in lines
        assert "dlcli_connections 1" in lines
        assert all(line.startswith("# ") or SAMPLE.fullmatch(line) for line in lines)


def test_the_description_names_addresses_that_exist(client: Client) -> None:
    document = client.get("/openapi.json")
    assert document["openapi"].startswith("3.1")
    for path, methods in document["paths"].items():
        for method in methods:
            status, _, _ = client.request(method.upper(), path.replace("{name}", "shades"), b"x")
            assert status == (400 if method == "post" else 200), path
    assert document["paths"]["/v1/models/{name}"]["get"]["parameters"][0]["schema"]["enum"] == [
        "shades",
        "echo",
        "steps",
        "teller",
    ]


def test_a_description_says_whether_a_token_is_needed() -> None:
    token = "correct horse battery staple"
    with serving(served("shades", Shades()), token=token) as client:
        document = client.get("/openapi.json", {"Authorization": f"Bearer {token}"})
        assert document["security"] == [{"token": []}]
