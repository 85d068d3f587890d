"""Which requests reach a protocol: by host, origin and token."""

import pytest
from served import Client, Shades, served, serving  # type: ignore[import-not-found]

from dlcli.serving.address import is_loopback

TOKEN = "correct horse battery staple"


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "localhost", "LOCALHOST", "::1", "[::1]"])
def test_loopback(host: str) -> None:
    assert is_loopback(host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.0.1", "example.org", "", "127.0.0.1.example.org", "1"])
def test_other_hosts(host: str) -> None:
    assert not is_loopback(host)


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Host": "localhost"}, 200),
        ({"Host": "localhost:8501", "Origin": "http://localhost:8501"}, 200),
        ({"Host": "[::1]:1", "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example:8501"}, 403),
        ({"Host": "[::1"}, 403),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost:1", "Origin": "http://localhost:2"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
        ({"Host": "localhost", "Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-site"}, 403),
    ],
)
def test_hosts_and_origins(client: Client, headers: dict[str, str], status: int) -> None:
    received, body, answered = client.request("GET", "/v1/models", headers=headers)
    assert received == status
    assert b"evil" not in body
    assert "access-control-allow-origin" not in answered


def test_every_answer_has_the_headers_of_a_strict_page(client: Client) -> None:
    for path in ("/", "/v1/models", "/nothing"):
        headers = client.request("GET", path)[2]
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_tokens() -> None:
    with serving(served("shades", Shades()), token=TOKEN) as client:
        for authorization in (f"Bearer {TOKEN}", f"bearer  {TOKEN}"):
            assert client.get("/v1/models", {"Authorization": authorization})
        for headers in (
            {},
            {"Authorization": f"Bearer {TOKEN}x"},
            {"Authorization": TOKEN},
            {"Authorization": "Bearer é"},
        ):
            status, body, answered = client.request("GET", "/v1/models", headers=headers)
            assert (status, answered["www-authenticate"]) == (401, "Bearer")
            assert TOKEN.encode() not in body
        assert client.request("POST", "/v1/models/shades:predict", b"{}")[0] == 401
        assert client.request("GET", "/metrics")[0] == 401
        for path in ("/", "/page/style.css", "/v2/health/live"):
            assert client.request("GET", path)[0] == 200
