"""Whether a Dask scheduler is where the settings say, asked before Dask's client is let near that address.

The client takes what any peer sends for its own protocol: of an HTTP answer it wants to set aside 3 EiB, a service
that says nothing it waits for without an end, and where it gives up its threads stay behind.
"""

import asyncio
import socket
import ssl
import struct
import time
from typing import Any

from cxr_pipeline.errors import ClusterError

MAX_GREETING_BYTES = 2**16  # a Dask server opens with the length of a message of some hundred bytes
_RETRY_SECONDS = 0.2


def require_scheduler(address: str, *, timeout: float) -> None:
    """Returns once a scheduler has answered at `address`; raises ClusterError after at most `timeout` seconds."""
    deadline = time.monotonic() + timeout
    try:
        host, port, arguments = _parse(address)
        if host:
            _expect_greeting(_connect(host, port, deadline), arguments.get("ssl_context"), deadline)
        kind = asyncio.run(_ask_kind(address, deadline, arguments))
    # What Dask raises for answers that are not in its protocol; they have no error class in common.
    except (EOFError, LookupError, MemoryError, OSError, RuntimeError, TypeError, ValueError, struct.error) as error:
        raise no_scheduler(address, error) from error
    if kind != "Scheduler":
        raise no_scheduler(address, f"a Dask {kind} does")


def no_scheduler(address: str, why: object) -> ClusterError:
    """What to say where something else, or nothing, is at `address`."""
    reason = f"{why}" or type(why).__name__
    return ClusterError(
        f"No Dask scheduler answers at {address} ({reason}), expected one there. Start it, or correct "
        "CXR_DASK_ADDRESS; without it, this machine's cores are used."
    )


def _parse(address: str) -> tuple[str, int, dict[str, Any]]:
    """Host, port and Dask's arguments for connecting; no host where the address is none of TCP."""
    from distributed.comm.addressing import parse_address, parse_host_port
    from distributed.comm.registry import get_backend
    from distributed.security import Security

    scheme, location = parse_address(address)
    get_backend(scheme)
    arguments = Security().get_connection_args("client")
    if scheme not in ("tcp", "tls"):
        return "", 0, arguments
    if scheme == "tls" and arguments.get("ssl_context") is None:
        raise ValueError("Dask's configuration names no certificates for tls://")
    host, port = parse_host_port(location)
    return host, port, arguments if scheme == "tls" else {**arguments, "ssl_context": None}


def _connect(host: str, port: int, deadline: float) -> socket.socket:
    """A scheduler that was started just now may need a moment to listen."""
    while True:
        try:
            return socket.create_connection((host, port), timeout=_left(deadline))
        except OSError:
            if time.monotonic() + _RETRY_SECONDS > deadline:
                raise
            time.sleep(_RETRY_SECONDS)


def _expect_greeting(peer: socket.socket, context: ssl.SSLContext | None, deadline: float) -> None:
    """A Dask server speaks first, and the length of what it says comes before it; others wait to be asked."""
    with peer, context.wrap_socket(peer) if context else peer as stream:
        start = b""
        while len(start) < 8:
            stream.settimeout(_left(deadline))
            more = stream.recv(8 - len(start))
            if not more:
                raise EOFError("the connection was closed before a word")
            start += more
    if not 0 < struct.unpack("<Q", start)[0] <= MAX_GREETING_BYTES:
        raise ValueError("another service does")


async def _ask_kind(address: str, deadline: float, arguments: dict[str, Any]) -> str:
    from distributed.core import connect, send_recv

    async with asyncio.timeout(_left(deadline)):
        comm = await connect(address, timeout=_left(deadline), **arguments)
        try:
            return str((await send_recv(comm, op="identity"))["type"])
        finally:
            comm.abort()


def _left(deadline: float) -> float:
    return max(deadline - time.monotonic(), 0.01)
