"""What one client, and all of them together, may cost: bytes, pixels, samples, connections and seconds."""

import asyncio
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request

from dlcli.serving.refusal import Refused

MIB = 2**20
RESERVED_FILES = 64  # descriptors that the process needs besides its connections


@dataclass(frozen=True)
class Limits:
    """The bounds of a server.

    Attributes:
        max_body: bytes of one request.
        max_bodies: bytes of the bodies of all requests together.
        max_pixels: of one encoded image, by its header.
        max_characters: of one text.
        max_table: bytes of one table: about 20,000 rows, which take a second or two to read.
        max_values: numbers in one array.
        max_samples: of one request.
        max_queue: samples that are being read or wait for their prediction.
        max_batch: samples that are predicted at once.
        batch_seconds: how long a batch waits for further requests at most.
        header_seconds, body_seconds: until a request's header, and its body, must be complete.
        write_seconds: how long a client may not read its response.
        idle_seconds: after which a connection without a request is closed.
        predict_seconds: until a request that was read must be answered.
        drain_seconds: for the requests at work when the server is stopped.
        max_connections: at once; of more, those that have sent no whole request for the longest time are closed.
    """

    max_body: int = 32 * MIB
    max_bodies: int = 256 * MIB
    max_pixels: int = 50_000_000
    max_characters: int = 100_000
    max_table: int = MIB // 4
    max_values: int = 10_000_000
    max_samples: int = 256
    max_queue: int = 512
    max_batch: int = 32
    batch_seconds: float = 0.003
    header_seconds: float = 10.0
    body_seconds: float = 30.0
    write_seconds: float = 30.0
    idle_seconds: float = 30.0
    predict_seconds: float = 60.0
    drain_seconds: float = 20.0
    max_connections: int = 512

    @property
    def num_connections(self) -> int:
        """``max_connections``, or fewer if the system allows the process fewer open files."""
        files, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        return max(1, min(self.max_connections, files - RESERVED_FILES))


class Bodies:
    """Reads the bodies of requests, within the bounds of one and of all of them together."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._held = 0

    @asynccontextmanager
    async def body(self, request: Request) -> AsyncIterator[bytes]:
        """The body of a request, whose memory counts until the context ends.

        Raises:
            Refused: it is too large, too slow or compressed, or the server holds too many others.
        """
        self._check_header(request)
        chunks: list[bytes] = []
        try:
            try:
                async with asyncio.timeout(self._limits.body_seconds):
                    async for chunk in request.stream():
                        self._hold(chunk, sum(map(len, chunks)))
                        chunks.append(chunk)
            except TimeoutError:
                seconds = f"{self._limits.body_seconds:g}"
                message = f"the body of a request must arrive within {seconds} seconds."
                raise Refused(408, message, closes=True) from None
            yield b"".join(chunks)
        finally:
            self._held -= sum(map(len, chunks))

    def _hold(self, chunk: bytes, held: int) -> None:
        if held + len(chunk) > self._limits.max_body:
            raise self._too_large()
        if self._held + len(chunk) > self._limits.max_bodies:
            raise Refused(503, "the server is busy: try again later.", retry_after=1, closes=True)
        self._held += len(chunk)

    def _check_header(self, request: Request) -> None:
        encoding = request.headers.get("content-encoding", "identity").lower()
        if encoding != "identity":
            raise Refused(415, "a compressed body is not supported: send it without Content-Encoding.", closes=True)
        length = request.headers.get("content-length", "0")
        if int(length) > self._limits.max_body:  # the protocol has checked that it is a number
            raise self._too_large()

    def _too_large(self) -> Refused:
        return Refused(413, f"a request may have at most {self._limits.max_body:,} bytes.", closes=True)
