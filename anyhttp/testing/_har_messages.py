"""The messages of a WebSocket in HAR, as browsers write them in ``_webSocketMessages``."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

__all__ = ("RecordedClose", "RecordedMessage", "RecordedSocket", "read_socket", "socket_record")

Record: TypeAlias = dict[str, Any]

_TEXT: Final = 1
_BINARY: Final = 2

# No sets: what a file has in their place may be a list, which has no hash.
_OPCODES: Final = (_TEXT, _BINARY)
_KINDS: Final = ("send", "receive")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedMessage:
    """A text (``str``) or binary message."""

    #: whether the client has sent it
    is_sent: bool
    data: str | bytes
    #: when, in seconds since the epoch
    time: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedClose:
    """The first CLOSE frame."""

    #: whether the client has sent it
    is_sent: bool
    #: 1005 if the frame had none
    code: int
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedSocket:
    """What passed a WebSocket."""

    messages: tuple[RecordedMessage, ...]
    #: ``None`` if there was none, or the tool did not save it
    close: RecordedClose | None = None


def read_socket(entry: Record) -> RecordedSocket | None:
    """Return the messages that an entry has; ``None`` if it has none.

    :raises ValueError: they are damaged
    """
    records = entry.get("_webSocketMessages")
    if records is None:
        return None
    if not isinstance(records, list):
        raise ValueError('"_webSocketMessages" is not an array')
    messages = [_message(number, record) for number, record in enumerate(records)]
    return RecordedSocket(
        messages=tuple(message for message in messages if message is not None),
        close=_close(entry.get("_webSocketClose")),
    )


def _message(number: int, record: Any) -> RecordedMessage | None:
    """Return a message; ``None`` for frames that are none, such as PING."""
    name = f"_webSocketMessages[{number}]"
    if not isinstance(record, dict) or record.get("type") not in _KINDS:
        raise ValueError(f'{name} is not an object with the "type" send or receive')
    text, opcode = record.get("data"), record.get("opcode")
    if not isinstance(text, str):
        raise ValueError(f'{name}: "data" is not text')
    if opcode not in _OPCODES:
        return None
    data: str | bytes = text
    if opcode == _BINARY:
        try:
            data = base64.b64decode(text, validate=True)
        except ValueError as exc:
            raise ValueError(f"{name}: it is not base64: {exc}") from None
    elif not _is_unicode(text):
        raise ValueError(f"{name} holds a lone surrogate")
    return RecordedMessage(is_sent=record["type"] == "send", data=data)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _close(record: Any) -> RecordedClose | None:
    if record is None:
        return None
    if not isinstance(record, dict):
        raise ValueError('"_webSocketClose" is not an object')
    kind, code, reason = record.get("type"), record.get("code"), record.get("reason")
    if (
        kind not in _KINDS
        or not isinstance(code, int)
        or not 1000 <= code <= 4999
        or not isinstance(reason, str)
        or not _is_unicode(reason)
    ):
        raise ValueError('"_webSocketClose" needs a "type", a "code" and a "reason"')
    return RecordedClose(is_sent=kind == "send", code=code, reason=reason)


def socket_record(socket: RecordedSocket, *, is_timed: bool) -> Record:
    """Return the fields of an entry that hold what passed a WebSocket."""
    record: Record = {
        "_resourceType": "websocket",
        "_webSocketMessages": [_message_record(each, is_timed) for each in socket.messages],
    }
    close = socket.close
    if close is not None:
        record["_webSocketClose"] = {
            "type": _kind(close.is_sent), "code": close.code, "reason": close.reason
        }  # fmt: skip
    return record


def _message_record(message: RecordedMessage, is_timed: bool) -> Record:
    data = message.data
    is_text = isinstance(data, str)
    return {
        "type": _kind(message.is_sent),
        "time": round(message.time, 3) if is_timed else 0,
        "opcode": _TEXT if is_text else _BINARY,
        "data": data if isinstance(data, str) else base64.b64encode(data).decode("ascii"),
    }


def _kind(is_sent: bool) -> str:
    return "send" if is_sent else "receive"
