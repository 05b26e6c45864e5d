"""Where a viewer listens."""

from __future__ import annotations

import socket

from tda_nerfstudio.base.errors import TdaError

HERE = "127.0.0.1"
PRIVATE = (HERE, "localhost", "::1")
"""Addresses that only this machine can reach."""
EVERYWHERE = ("0.0.0.0", "::")
FIRST_PORT, PORTS = 7007, 1000


def is_private(host: str) -> bool:
    """Whether only this machine can reach an address."""
    return host in PRIVATE


def browser_address(host: str, port: int) -> str:
    """Write what to open in a browser on this machine."""
    return f"http://{HERE if host in EVERYWHERE else f'[{host}]' if ':' in host else host}:{port}"


def free_port(host: str, wanted: int | None = None) -> int:
    """Find a port to listen at: the wanted one, by default FIRST_PORT, or the next that is free.

    Raises TdaError for a number that is no port, and for an address that is not this machine's.
    """
    if wanted is not None and not 1 <= wanted <= 65535:
        raise TdaError(f"--port must be from 1 to 65535, not {wanted}. Without it a free one is found.")
    first, refused = wanted or FIRST_PORT, None
    for port in range(first, min(first + PORTS, 65536)):
        try:
            family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            with socket.socket(family, kind, protocol) as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(address)
            return port
        except OSError as error:
            refused = error
            if error.errno not in (13, 98, 48, 10013, 10048):  # not taken or reserved: no other port will do
                break
        except UnicodeError as error:
            refused = error
            break
    raise TdaError(
        f"Nothing can listen at --host {host} ({refused}). Give an address of this machine, such as {HERE}, and a port"
        " that is free; without --port one is found."
    )
