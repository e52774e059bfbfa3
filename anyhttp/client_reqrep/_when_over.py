"""Telling when a response is over."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final
from weakref import ref

from .._http1 import Connection, is_forgotten
from ..client_exceptions import ClientConnectionError
from ..streams import StreamReader
from ._released import RELEASED_UNREAD
from ._response import ClientResponse

__all__ = ("when_over",)

logger: Final = logging.getLogger("anyhttp.client")

#: Called with the number of bytes of the body, and the error that ended it.
OverCallback = Callable[[int, BaseException | None], object]


def when_over(response: ClientResponse, callback: OverCallback) -> None:
    """Call *callback* once, when nothing more of *response* will be received.

    That is when its body has been received to its end, has failed, or is released or closed before
    its end; if one of these has happened already, the call is made at once.  It is a plain call,
    in the task that ends the body.  What it raises is logged and goes no further.  A response that
    a program has made is over at once: nobody would tell that the program has forgotten it.

    :param callback: gets two arguments.  The first is the number of bytes of the body that have
        arrived: before decoding, and without the framing of chunks.  The second is the error that
        reading the body raises; ``None`` if there is none, or the program wanted no more of it.
        The callback must not refer to the response, or a response that a program forgets would
        never be closed.
    """
    content, exchange = response._content, response._exchange
    if isinstance(content, bytes):
        _tell(callback, len(content), None)
        return
    if not isinstance(content, StreamReader):  # a stream of another class, which a program has set
        _tell(callback, 0, None)
        return
    connection = None if exchange is None else exchange.connection
    ending = _Ending(callback, content, connection)
    if connection is None or content.is_eof():
        ending()
        return
    content.on_eof(ending)
    connection.add_callback(ending)


class _Ending:
    """Passes on the first of the events that end a response.

    The connection refers to this object, and the connector to the connection.  So it must not keep
    the reader alive, which a program may forget.
    """

    __slots__ = ("_callback", "_connection", "_reader")

    def __init__(
        self, callback: OverCallback, reader: StreamReader, connection: Connection | None
    ) -> None:
        self._callback: OverCallback | None = callback
        self._connection = connection
        self._reader = ref(reader)

    def __call__(self) -> None:
        callback, self._callback = self._callback, None
        connection, self._connection = self._connection, None
        if callback is None:
            return
        reader = self._reader()
        # From Python 3.15 on, what is collected as part of a cycle is still there while the
        # connection is closed for it.
        if reader is None or (connection is not None and is_forgotten(connection)):
            _tell(callback, 0, ClientConnectionError("the response was forgotten before its end"))
            return
        error = reader.exception()
        if isinstance(error, ClientConnectionError) and error.args == (RELEASED_UNREAD,):
            error = None
        _tell(callback, reader.total_raw_bytes, error)


def _tell(callback: OverCallback, size: int, error: BaseException | None) -> None:
    try:
        callback(size, error)
    except Exception:
        logger.exception("a callback for the end of a response failed")
