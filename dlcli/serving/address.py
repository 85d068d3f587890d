"""The address that a server listens on; this module needs nothing but the standard library."""

import errno
import ipaddress
import socket

from dlcli.errors import InputError


def is_loopback(host: str) -> bool:
    """Whether a host names this machine alone."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def bind(host: str, port: int) -> socket.socket:
    """A socket at an address, which does not listen yet; port 0 for any that is free.

    Raises:
        InputError: the host is unknown, or the port is in use or not permitted.
    """
    try:
        (family, kind, protocol, _, address), *_ = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        bound = socket.socket(family, kind, protocol)
    except (OSError, UnicodeError):
        raise InputError(f"--host {host}: is not an address of this machine. Use 127.0.0.1.") from None
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except PermissionError:
        bound.close()
        raise InputError(f"--port {port}: needs special rights. Use a port from 1024 on.") from None
    except OSError as error:
        bound.close()
        if error.errno == errno.EADDRINUSE:
            remedy = "Use another one, or 0 for any that is free."
            raise InputError(f"--port {port}: another process is listening on it. {remedy}") from None
        raise InputError(f"--host {host}: is not an address of this machine ({error.strerror}).") from None
    return bound


def url_of(bound: socket.socket) -> str:
    """The address of a bound socket."""
    host, port, *_ = bound.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
