"""Connecting to a Ray cluster, whose errors become lines for the user."""

import contextlib
import logging
import os
import signal
import socket
from collections.abc import Iterator
from typing import Any

from dlcli.errors import STOP_SIGNALS, InputError
from dlcli.printing import escaped_line

CONNECT_SECONDS = 5.0
MIN_STORE = 100 * 2**20  # bytes of the shared memory of a local cluster; what is sent is small
MAX_REASON = 500  # characters of what Ray says


def connect(address: str, num_cpus: int) -> Any:
    """The module ``ray``, connected to a cluster.

    Args:
        address: ``HOST:PORT``, ``ray://HOST:PORT``, ``auto``, or ``local`` for a cluster on this machine, which ends
            with this process.
        num_cpus: that a local cluster has.

    Raises:
        InputError: Ray is not installed, or there is no cluster at the address.
    """
    _check_address(address)
    try:
        import ray
    except ImportError:
        raise InputError("--ray needs Ray; install it with: pip install 'dlcli[ray]'") from None
    own: dict[str, Any] = {}
    if address == "local":
        own = {"num_cpus": num_cpus, "include_dashboard": False, "object_store_memory": MIN_STORE}
    with _own_signals():
        try:
            ray.init(address=address, log_to_driver=False, logging_level=logging.ERROR, **own)
        except (ray.exceptions.RayError, ConnectionError, ValueError, RuntimeError) as error:
            reason = escaped_line((str(error).strip().splitlines() or [type(error).__name__])[0][:MAX_REASON])
            raise InputError(f"--ray {escaped_line(address)}: cannot connect to a Ray cluster: {reason}") from None
    return ray


def _check_address(address: str) -> None:
    """Refuse an address that is none, or at which nothing listens: Ray would wait for two minutes, and end the process.

    Raises:
        InputError: it is one of these.
    """
    if address in ("auto", "local"):
        return
    host, _, port = address.removeprefix("ray://").rpartition(":")
    shown = f"--ray {escaped_line(address)}"
    if not host or not (port.isascii() and port.isdecimal() and 0 < int(port) < 2**16):
        raise InputError(f"{shown}: expected HOST:PORT, ray://HOST:PORT, auto or local.")
    try:
        socket.create_connection((host, int(port)), timeout=CONNECT_SECONDS).close()
    except OSError as error:
        raise InputError(
            f"{shown}: cannot connect ({error.strerror or error}). Start a cluster with: ray start --head"
        ) from None


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """A context after which this program's handlers of stop signals are back: Ray would end the process at once."""
    handlers = {number: signal.getsignal(number) for number in STOP_SIGNALS}
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
