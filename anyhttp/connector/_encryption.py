"""Starts TLS with an origin or a proxy, and tells trace handlers when it begins and ends."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

from .._common import ConnectionKey
from .._network import NetworkStream, Protocols, TlsSessions, start_tls
from ..tracing import (
    Trace,
    TraceConnectionTlsEndParams,
    TraceConnectionTlsStartParams,
    TraceParams,
    tell,
)

__all__ = ("encrypt", "tell_or_close")


async def encrypt(
    stream: NetworkStream,
    key: ConnectionKey,
    sessions: TlsSessions,
    traces: Sequence[Trace],
    translated: AbstractContextManager[None] | None = None,
    *,
    alpn: Protocols | None = None,
) -> NetworkStream:
    """Do the TLS handshake with the peer that *key* names, and return the encrypted stream.

    :param sessions: those that may be resumed
    :param traces: are told before and after the handshake
    :param translated: gives the errors of the handshake, and those alone, their public names
    :param alpn: the protocols to offer, as of ``start_tls()``
    :raises ClientConnectorSSLError: the handshake failed; ``start_tls()`` lists the others

    If this fails or is cancelled, *stream* is closed.
    """
    name = key.server_hostname or key.host
    if traces:
        await tell_or_close(stream, traces, TraceConnectionTlsStartParams(name))
    with nullcontext() if translated is None else translated:
        encrypted = await start_tls(stream, name, key, sessions, alpn=alpn)
    if traces:
        await tell_or_close(encrypted, traces, TraceConnectionTlsEndParams(name))
    return encrypted


async def tell_or_close(
    stream: NetworkStream, traces: Sequence[Trace], params: TraceParams
) -> None:
    """Tell *traces*; close *stream* if a handler fails or is cancelled."""
    try:
        await tell(traces, params)
    except BaseException:
        await stream.aclose()
        raise
