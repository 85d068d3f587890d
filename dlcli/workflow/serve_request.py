"""What ``dlcli serve`` is asked for, and its checks, which need no TensorFlow."""

import socket
from collections.abc import Sequence
from dataclasses import dataclass

from dlcli.errors import InputError
from dlcli.rundir.directory import RunDir
from dlcli.serving import address
from dlcli.serving.address import is_loopback

LEAST_TOKEN = 16  # characters


@dataclass(frozen=True)
class ServeRequest:
    """What ``dlcli serve`` is asked for.

    Attributes:
        host, port: the address to listen on; port 0 for any that is free.
        token: that requests must have; None for none.
        insecure: serve other machines without a token.
    """

    host: str
    port: int
    token: str | None = None
    insecure: bool = False


def bind(request: ServeRequest) -> socket.socket:
    """A socket at the request's address, which does not listen yet.

    Raises:
        InputError: the host is unknown, or the port is in use or not permitted.
    """
    return address.bind(request.host, request.port)


def check_request(runs: Sequence[RunDir], request: ServeRequest) -> None:
    """Refuse an address that everyone could use, a weak token, and runs of one name.

    Raises:
        InputError: says what to do instead.
    """
    names = [run.name for run in runs]
    for name in names:
        if names.count(name) > 1:
            raise InputError(f"{name}: several runs have this name, by which models are addressed. Name one of them.")
    if request.token is not None and (len(request.token) < LEAST_TOKEN or not request.token.isprintable()):
        raise InputError(
            f"--token: must have at least {LEAST_TOKEN} printable characters. Received {len(request.token)}."
        )
    if not is_loopback(request.host) and request.token is None and not request.insecure:
        raise InputError(
            f"--host {request.host}: other machines could use the models. Give a --token, or --insecure to let them."
        )
