"""The values that programs use with a WebSocket: messages, types, close codes, time limits."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, ClassVar, Final, NamedTuple, Self

from .._common import AttrsFields, check_seconds, class_has
from ..client_exceptions import WSMessageTypeError
from ..typedefs import DEFAULT_JSON_DECODER, JSONDecoder

__all__ = (
    "CLOSED_MESSAGE",
    "CLOSING_MESSAGE",
    "ClientWSTimeout",
    "WSCloseCode",
    "WSMessage",
    "WSMessageStream",
    "WSMsgType",
    "data_of",
    "foreign_ws_timeout",
)


class WSMsgType(IntEnum):
    """Type of a message: an opcode of :rfc:`6455#section-5.2`, or CLOSING, CLOSED or ERROR."""

    CONTINUATION = 0x0
    TEXT = 0x1
    BINARY = 0x2
    CLOSE = 0x8
    PING = 0x9
    PONG = 0xA

    CLOSING = 0x100  # close() was called while receive() waited
    CLOSED = 0x101
    ERROR = 0x102

    text = TEXT
    binary = BINARY
    ping = PING
    pong = PONG
    close = CLOSE
    closing = CLOSING
    closed = CLOSED
    error = ERROR


class WSCloseCode(IntEnum):
    """Why a WebSocket is closed (:rfc:`6455#section-7.4.1`)."""

    OK = 1000
    GOING_AWAY = 1001
    PROTOCOL_ERROR = 1002
    UNSUPPORTED_DATA = 1003
    ABNORMAL_CLOSURE = 1006
    INVALID_TEXT = 1007
    POLICY_VIOLATION = 1008
    MESSAGE_TOO_BIG = 1009
    MANDATORY_EXTENSION = 1010
    INTERNAL_ERROR = 1011
    SERVICE_RESTART = 1012
    TRY_AGAIN_LATER = 1013
    BAD_GATEWAY = 1014


class WSMessage(NamedTuple):
    """One message, or an event that is returned instead of a message.

    ``data`` is ``str`` for TEXT (``bytes`` with ``decode_text=False``), ``bytes`` for BINARY,
    PING and PONG, the code for CLOSE (0 if there was none), an exception for ERROR, and
    ``None`` for CLOSING and CLOSED.  ``extra`` is the reason for CLOSE, otherwise empty.
    """

    type: WSMsgType
    data: Any
    extra: str | None

    @property
    def tp(self) -> WSMsgType:
        """The type, by its old name."""
        return self.type

    def json(self, *, loads: JSONDecoder = DEFAULT_JSON_DECODER) -> Any:
        """Return ``data`` parsed as JSON."""
        return loads(self.data)


class WSMessageStream:
    """A message to be read in pieces by ``async for``; ``receive_stream()`` returns it.

    The pieces are ``str`` for TEXT (``bytes`` with ``decode_text=False``) and ``bytes`` for
    BINARY, of any sizes: each has the bytes that were received together.  A message of another
    type has no pieces.  While the stream is read, pings are answered and pongs are not returned,
    even with ``autoping=False``.
    """

    __slots__ = ("_message", "_next_piece")

    def __init__(
        self,
        message: WSMessage,
        next_piece: Callable[[WSMessageStream], Awaitable[bytes | str]],
    ) -> None:
        self._message = message
        self._next_piece = next_piece

    @property
    def type(self) -> WSMsgType:
        """Type of the message."""
        return self._message.type

    @property
    def data(self) -> Any:
        """As in :class:`WSMessage`, but ``None`` for TEXT and BINARY."""
        return self._message.data

    @property
    def extra(self) -> str | None:
        """As in :class:`WSMessage`."""
        return self._message.extra

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        """Return the next piece.

        :raises ClientConnectionError: the WebSocket was closed before the message ended
        :raises WebSocketError: the peer broke the protocol
        :raises RuntimeError: another task is receiving

        Cancellation loses nothing: the next call returns the same piece.
        """
        return await self._next_piece(self)


def data_of(kind: WSMsgType, message: WSMessage) -> Any:
    """Return the data of *message*; raise an error if it is not of the type *kind*."""
    if message.type is not kind:
        raise WSMessageTypeError(f"Received message {message.type!r} is not WSMsgType.{kind.name}")
    return message.data


CLOSED_MESSAGE: Final = WSMessage(WSMsgType.CLOSED, None, None)
CLOSING_MESSAGE: Final = WSMessage(WSMsgType.CLOSING, None, None)


@dataclass(frozen=True, slots=True)
class ClientWSTimeout:
    """Time limits of a WebSocket, in seconds.

    :param ws_receive: to wait for each message; ``None`` or 0 sets no limit
    :param ws_close: for :meth:`ClientWebSocketResponse.close` as a whole; ``None`` or 0 means
        10 seconds, so that closing always ends
    """

    ws_receive: float | None = None
    ws_close: float | None = None

    __attrs_attrs__: ClassVar[AttrsFields] = AttrsFields()

    def __post_init__(self) -> None:
        for name in ("ws_receive", "ws_close"):
            check_seconds(name, getattr(self, name))


def foreign_ws_timeout(value: Any) -> ClientWSTimeout | None:
    """Return the time limits in *value*, if it is like aiohttp's object, else ``None``.

    :raises TypeError: a limit is no number
    :raises ValueError: a limit is negative or NaN
    """
    if not class_has(value, "ws_receive", "ws_close"):
        return None
    return ClientWSTimeout(value.ws_receive, value.ws_close)
