"""The header fields that all requests of a session have in common, rendered once."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from multidict import CIMultiDict

from .. import hdrs
from .._codings import accept_encoding
from .._common import SERVER_SOFTWARE, Fields
from .._headers import HeaderBlock, check_fields, header_lines
from .._targets import Destination

__all__ = ("DEFAULT_HEADERS", "PREPARED_DEFAULTS", "PreparedHeaders", "prepared_headers")

DEFAULT_HEADERS: Final[dict[str, str]] = {
    hdrs.ACCEPT: "*/*",
    hdrs.ACCEPT_ENCODING: accept_encoding(),
    hdrs.USER_AGENT: SERVER_SOFTWARE,
}

#: The automatic headers that are prepared.  A program may change the dictionary above, which is
#: :attr:`ClientRequest.DEFAULT_HEADERS`; nothing prepared is used then.
PREPARED_DEFAULTS: Final[dict[str, str]] = DEFAULT_HEADERS.copy()

# Fields that say where or how a request is sent, in lower case.  They depend on each other and on
# the rest of the request, so a request with one of them is put together field by field.
_SPECIAL: Final = frozenset(
    {
        "connection", "content-encoding", "content-length", "content-type", "cookie", "expect",
        "host", "proxy-authorization", "transfer-encoding", "upgrade",
    }
)  # fmt: skip

#: Most hosts for which the head of a request is kept.
_MAX_HOSTS: Final = 1024


class PreparedHeaders:
    """The fields of a session, and those that are added automatically, as they are sent.

    They are for requests with the session's own settings; what differs from one request to the
    next is put between them.

    :param headers: those of the session
    """

    __slots__ = ("_after", "_after_lines", "_before", "_before_lines", "_by_host", "is_simple",
                 "names")  # fmt: skip

    def __init__(self, headers: CIMultiDict[str], skip_auto_headers: frozenset[str]) -> None:
        self._before: Fields = tuple(headers.items())
        self._after: Fields = tuple(
            (name, value)
            for name, value in PREPARED_DEFAULTS.items()
            if name not in headers and name.lower() not in skip_auto_headers
        )
        own = {name.lower() for name in headers}
        #: names, in lower case, that a further field must not have
        self.names: frozenset[str] = _SPECIAL.union(own, [name.lower() for name, _ in self._after])
        self._by_host: dict[str, HeaderBlock] = {}
        #: whether these fields can be used at all
        self.is_simple: bool = _SPECIAL.isdisjoint(own) and _is_sendable(self._before)
        if self.is_simple:
            self._before_lines = header_lines(self._before)
            self._after_lines = header_lines(self._after) + b"\r\n"

    def fits(self, own: Iterable[tuple[str, str]]) -> bool:
        """Whether the fields *own* can be sent beside these."""
        names = self.names
        for name, _ in own:
            if name.lower() in names:
                return False
        return self.is_simple

    def block(self, destination: Destination, own: Fields, more: Fields) -> HeaderBlock:
        """Return the head of a request to *destination*.

        :param own: the headers of the request, which have been checked
        :param more: fields that follow the automatic ones

        :raises ValueError: one of *more* contains a line break, which could split the request
        """
        if not (own or more):
            block = self._by_host.get(destination.host)
            if block is None:
                if len(self._by_host) >= _MAX_HOSTS:
                    self._by_host.clear()
                block = self._by_host[destination.host] = self._render(destination, (), ())
            return block
        if more:
            check_fields(more)
        return self._render(destination, own, more)

    def _render(self, destination: Destination, own: Fields, more: Fields) -> HeaderBlock:
        lines = header_lines(destination.host_field) + self._before_lines
        if own:
            lines += header_lines(own)
        after = self._after_lines
        if more:
            after = after[:-2] + header_lines(more) + b"\r\n"
        return HeaderBlock(
            (*destination.host_field, *self._before, *own, *self._after, *more), lines + after
        )


def _is_sendable(fields: Fields) -> bool:
    """Whether *fields* can be sent; if not, the request that needs them says why."""
    try:
        check_fields(fields)
    except (TypeError, ValueError, AttributeError):  # they may not even be text
        return False
    return True


_PLAIN: Final = PreparedHeaders(CIMultiDict(), frozenset())


def prepared_headers(
    headers: CIMultiDict[str], skip_auto_headers: frozenset[str]
) -> PreparedHeaders:
    """Return *headers* of a session as its requests send them."""
    if not headers and not skip_auto_headers:
        return _PLAIN
    return PreparedHeaders(headers, skip_auto_headers)
