"""What every request passes before it reaches a protocol: its host, its origin and its token.

A server on the loopback interface can be reached by every page that a browser on the same machine shows. Names that
an attacker's domain server resolves to 127.0.0.1 (DNS rebinding) are refused by the Host header, other sites by the
Origin header; the responses carry no permission for other sites.
"""

import hashlib
import hmac
from dataclasses import dataclass
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from dlcli.serving.address import is_loopback
from dlcli.serving.refusal import Refused

OPEN = ("/", "/page/", "/v2/health/")
"""What needs no token: the page without any data, and whether the server works, for probes."""

HEADERS = (
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; media-src 'self' blob:; "
        b"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
)
"""Headers of every response."""


@dataclass(frozen=True)
class Guard:
    """Decides which requests are answered.

    Attributes:
        is_local: whether the server listens on the loopback interface, so that Host must name it.
        token: that requests must have; None for none.
    """

    is_local: bool
    token: str | None = None

    def check(self, path: str, headers: Headers) -> None:
        """
        Raises:
            Refused: the request is for another host, from another site, or has no valid token.
        """
        host = headers.get("host", "")
        if self.is_local and not is_loopback(_name_of(host)):
            raise Refused(403, "Host must be localhost or a loopback address.", closes=True)
        origin = headers.get("origin")
        if origin is not None and urlsplit(f"//{host}").netloc.lower() != _netloc_of(origin):
            raise Refused(403, "requests from other sites are refused.", closes=True)
        if headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise Refused(403, "requests from other sites are refused.", closes=True)
        if self.token is not None and path != "/" and not path.startswith(OPEN[1:]):
            self._check_token(headers.get("authorization", ""))

    def _check_token(self, authorization: str) -> None:
        assert self.token is not None
        scheme, _, received = authorization.partition(" ")
        is_right = hmac.compare_digest(_digest(received.strip()), _digest(self.token))  # in constant time
        if not is_right or scheme.lower() != "bearer":
            raise Refused(401, "a token is needed: send the header Authorization: Bearer TOKEN.", closes=True)


def _digest(text: str) -> bytes:
    """Of one length for all tokens, so that the time to compare them says nothing about it."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


def _name_of(host: str) -> str:
    """The host in a Host header, without the port."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""


def _netloc_of(origin: str) -> str:
    try:
        return urlsplit(origin).netloc.lower()
    except ValueError:
        return ""
