"""Whether a connector speaks HTTP/2, and where."""

from __future__ import annotations

from enum import Enum, auto
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal

from .._common import Http2Options, HttpVersion11, check_instance
from .._network import HTTP1, HTTP2_OR_HTTP1, NetworkStream, Protocols

if TYPE_CHECKING:
    from ..client_reqrep import ClientRequest

__all__ = (
    "Http2Mode",
    "Http2Option",
    "http2_mode",
    "needs_http1",
    "offered_protocols",
    "speaks_http2",
)

#: The option ``http2`` of a connector.
Http2Option = bool | Literal["prior-knowledge"]


class Http2Mode(Enum):
    """Where a connector speaks HTTP/2."""

    #: nowhere
    OFF = auto()
    #: over TLS, with servers that choose it in the handshake
    BY_ALPN = auto()
    #: also without TLS, with every server
    PRIOR_KNOWLEDGE = auto()


def http2_mode(option: Http2Option, options: Http2Options | None = None) -> Http2Mode:
    """Return what the option ``http2`` of a connector means.

    :param options: the option ``http2_options``, which is checked
    :raises TypeError: *option* is neither a bool nor a text, or *options* are something else
    :raises ValueError: *option* is another text than ``"prior-knowledge"``, or there are *options*
        of what is off
    :raises RuntimeError: the library is not installed; the message names the extra to install
    """
    if options is not None:
        check_instance("http2_options", options, Http2Options)
    if option is False:
        if options is not None:
            raise ValueError("http2_options without http2: give http2=True too")
        return Http2Mode.OFF
    if not isinstance(option, (bool, str)):
        name = type(option).__name__
        raise TypeError(f'http2 must be True, False or "prior-knowledge", not {name}')
    if option is not True and option != "prior-knowledge":
        raise ValueError(f'http2 must be True, False or "prior-knowledge", not {option!r}')
    if find_spec("hpack") is None:
        raise RuntimeError("http2 needs hpack: pip install 'anyhttp-client[http2]'")
    return Http2Mode.BY_ALPN if option is True else Http2Mode.PRIOR_KNOWLEDGE


def offered_protocols(mode: Http2Mode, req: ClientRequest) -> Protocols | None:
    """Return what the TLS handshake with the origin of *req* offers, as ``start_tls()`` takes it.

    A connection for a WebSocket offers HTTP/1.1, and so does one for a request of HTTP/1.0.
    """
    if mode is Http2Mode.OFF:
        return None
    return HTTP1 if needs_http1(req) else HTTP2_OR_HTTP1


def speaks_http2(mode: Http2Mode, req: ClientRequest, stream: NetworkStream) -> bool:
    """Whether *stream*, a new one to the endpoint of *req*, speaks HTTP/2.

    A proxy that forwards requests to their origins does not.
    """
    if mode is Http2Mode.OFF:
        return False
    if stream.alpn is not None or mode is Http2Mode.BY_ALPN:
        return stream.alpn == "h2"
    by_http1 = req.is_ssl() or req.is_forwarded or stream.for_one_exchange or needs_http1(req)
    return not by_http1


def needs_http1(req: ClientRequest) -> bool:
    """Whether *req* needs a connection by HTTP/1.1, if it has to open one."""
    if req.may_open_http2:
        return False
    return req.is_handshake or req.needs_http1 or req.version < HttpVersion11
