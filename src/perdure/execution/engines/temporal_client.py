"""The connection to Temporal."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from temporalio.client import Client
from temporalio.service import RPCError, TLSConfig

from perdure.execution.engines.opening import TemporalPlace

AWAY: Final = (RPCError, RuntimeError, OSError, TimeoutError)
"""What the client raises when Temporal does not answer: RuntimeError where it could not connect at all."""

RPC_TIMEOUT: Final = timedelta(seconds=5)


async def connect(place: TemporalPlace, *, lazy: bool) -> Client:
    """A client for the event loop that calls this. `lazy`: it connects with its first call. Raises one of AWAY."""
    return await Client.connect(
        place.address, namespace=place.namespace, api_key=place.api_key, tls=encryption(place), lazy=lazy
    )


def encryption(place: TemporalPlace) -> TLSConfig | bool:
    """What the client is told of TLS. Raises OSError where a file cannot be read."""
    files = (place.tls_ca, place.tls_cert, place.tls_key)
    if place.tls is False or (place.tls is None and place.api_key is None and not any(files)):
        return False
    ca, cert, key = (None if file is None else file.read_bytes() for file in files)
    return TLSConfig(ca, place.tls_server_name, cert, key)
