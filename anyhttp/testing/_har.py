"""HAR 1.2, the format in which browsers save requests: reading, checking, writing.

The files come from other people and other tools, so that nothing in them is taken for granted.
What is missing although the format demands it, or has a value that tools are known to write in
its place, is accepted where its meaning is clear.  Fields with names that begin with ``_``, and
all others that this package does not know, are kept when a file is written again.
"""

from __future__ import annotations

import base64
import binascii
import json
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, Final, TypeAlias
from urllib.parse import urlencode

from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import (
    GrowingBytes,
    __version__,
    parsed_url,
    printable,
    replace_file,
    without_user_info,
)
from .._headers import is_token, parse_content_type
from ._har_messages import RecordedSocket, read_socket, socket_record
from ._json import json_value

__all__ = (
    "CassetteError",
    "HarContent",
    "HarEntry",
    "HarFile",
    "RecordedRequest",
    "RecordedResponse",
    "Timings",
    "entry_of",
    "read_har",
    "write_har",
)

Fields: TypeAlias = tuple[tuple[str, str], ...]
Record: TypeAlias = dict[str, Any]

#: Largest file that is read, in bytes: the whole of it is held in memory.
MAX_FILE: Final = 512 * 1024 * 1024

#: How much of it is read at a time.
READ_SIZE: Final = 1024 * 1024

#: Longest URL of an entry that can be replayed, in characters; browsers write pictures as URLs.
MAX_URL: Final = 64 * 1024

_WEB_URL: Final = re.compile(r"(?i:https?|wss?)://")

# What neither a header nor a reason phrase may hold: it would end the line.  Other control
# characters are read by the client, so that they may have been recorded.
_UNSENDABLE: Final = re.compile(r"[\r\n\x00\ud800-\udc7f\udd00-\udfff]")

# A name and a value, which are easier to read on one line.  In JSON, no text holds a line break.
_PAIR: Final = re.compile(r'\{\n +("name": "[^\n]*"),\n +("value": "[^\n]*")\n +\}')

# What text does not hold: control characters, except for those that lines and pages end with.
_BINARY: Final = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")


class CassetteError(ValueError):
    """A cassette cannot be read, or one of its entries cannot be replayed.

    The message names the file, the entry and the reason.
    """

    def __init__(self, path: str, reason: str, *, entry: str = "") -> None:
        super().__init__(f"{path}: {entry}: {reason}" if entry else f"{path}: {reason}")
        #: the file
        self.path: str = path
        #: which entry; empty if the whole file is concerned
        self.entry: str = entry
        #: what is wrong
        self.reason: str = reason


@dataclass(frozen=True, kw_only=True)  # without slots: cached properties need a __dict__
class RecordedRequest:
    """A request, as a cassette holds it or as it is compared with a cassette.

    Secrets have been replaced in both.
    """

    #: such as ``"GET"``
    method: str
    #: without fragment, user name and password
    url: URL
    #: in the order in which they were sent
    headers: CIMultiDictProxy[str]
    #: content codings have been undone
    body: bytes = b""
    #: whether it asks for a WebSocket
    is_websocket: bool = False

    @cached_property
    def text(self) -> str:
        """The body as text, by its charset or as UTF-8; bytes that do not fit are replaced."""
        encoding = parse_content_type(self.headers.get(hdrs.CONTENT_TYPE)).encoding
        return self.body.decode(encoding or "utf-8", "replace")

    def json(self) -> Any:
        """Return the value of a body that is JSON.

        :raises ValueError: it is something else
        """
        return json_value(self.body)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarContent:
    """A body as the format holds it: text, or base64 of what is no text."""

    mime_type: str
    #: ``None`` if the tool did not save it
    text: str | None
    is_base64: bool
    #: bytes, as far as the tool says
    size: int

    @classmethod
    def of(cls, body: bytes, mime_type: str) -> HarContent:
        """Return *body* as text if it is text in the charset of *mime_type*, or in UTF-8."""
        encoding = parse_content_type(mime_type).encoding or "utf-8"
        with suppress(ValueError):
            text = body.decode(encoding)
            if not _BINARY.search(text) and text.encode(encoding) == body:
                return cls(mime_type=mime_type, text=text, is_base64=False, size=len(body))
        text = base64.b64encode(body).decode("ascii")
        return cls(mime_type=mime_type, text=text, is_base64=True, size=len(body))

    def decoded(self) -> bytes:
        """Return the bytes.

        :raises ValueError: they are not there, or not valid
        """
        if self.text is None:
            if self.size > 0:
                raise ValueError("its body was not saved: save it together with its content")
            return b""
        if self.is_base64:
            try:
                return base64.b64decode(self.text, validate=True)
            except (binascii.Error, ValueError) as exc:
                raise ValueError(f"its body is not base64: {exc}") from None
        encoding = parse_content_type(self.mime_type).encoding or "utf-8"
        with suppress(UnicodeEncodeError):
            return self.text.encode(encoding)
        # Tools decode some bodies by a charset that the header does not name.
        return self.text.encode("utf-8", "surrogatepass")


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedResponse:
    """A response, as a cassette holds it."""

    status: int
    reason: str
    #: such as ``"HTTP/1.1"`` or ``"h2"``
    http_version: str
    headers: Fields
    content: HarContent
    #: whether the content is in the content codings that the headers name
    is_encoded: bool = False
    #: whether the connection, or the program, ended before the response did
    is_cut: bool = False
    #: whether the response came before the end of the request
    is_early: bool = False
    #: fields after a chunked body
    trailers: Fields = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """How long the parts of an exchange took, in seconds; ``None`` if there was no such part."""

    connect: float | None = None
    send: float = 0.0
    wait: float = 0.0
    receive: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class HarEntry:
    """One request with its response."""

    #: where it is in its file, for messages
    name: str
    request: RecordedRequest | None
    response: RecordedResponse | None
    #: why it cannot be replayed; empty if it can
    obstacle: str
    #: what the file holds
    record: Record
    #: what passed after the status 101
    socket: RecordedSocket | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HarFile:
    """The content of a file."""

    #: all but the entries
    log: Record
    entries: tuple[HarEntry, ...]


# -- reading --------------------------------------------------------------------------------


def read_har(path: str) -> HarFile:
    """Read a file.

    :raises CassetteError: it is no HAR, or an entry is damaged
    :raises FileNotFoundError: there is no such file
    :raises OSError: it cannot be read
    """
    log = _log_of(path, _content_of(path))
    entries = log.pop("entries")
    return HarFile(
        log=log,
        entries=tuple(
            _Reader(path, f"log.entries[{number}]").entry(record)
            for number, record in enumerate(entries)
        ),
    )


def _content_of(path: str) -> bytes:
    """Return what is in a file; room is made for what it has, and not for the most that it may."""
    content = GrowingBytes()
    size = 0
    with open(path, "rb") as file:
        while piece := file.read(READ_SIZE):
            size += len(piece)
            if size > MAX_FILE:
                raise CassetteError(path, f"the file is larger than {MAX_FILE} bytes")
            content.extend((piece,))
    return content.getvalue()


def _log_of(path: str, content: bytes) -> Record:
    """Return the ``log`` of a file, which has ``entries``."""
    try:
        document = json.loads(content.decode("utf-8-sig"))
    except RecursionError:
        raise CassetteError(path, "the JSON is nested too deeply") from None
    except UnicodeDecodeError as exc:
        raise CassetteError(path, f"it is not a HAR, which is UTF-8: {exc}") from None
    except ValueError as exc:
        if not content.strip():
            raise CassetteError(path, "the file is empty") from None
        if re.match(rb"(?m)\A(?:#[^\n]*\n|---\s*\n)*(?:interactions|version):", content[:4096]):
            raise CassetteError(path, "it is a cassette in YAML, and not a HAR") from None
        raise CassetteError(path, f"it is not a HAR, which is JSON: {exc}") from None
    log = document.get("log") if isinstance(document, dict) else None
    if not isinstance(log, dict):
        if isinstance(document, dict) and "interactions" in document:
            raise CassetteError(path, 'it is a cassette of another format, with "interactions"')
        raise CassetteError(path, 'it is not a HAR: it has no object "log"')
    version = log.get("version", "1.2")
    if not (isinstance(version, str) and (not version or version.startswith("1."))):
        raise CassetteError(path, f"it is a HAR of version {str(version)[:20]}, and not 1.2")
    if not isinstance(log.get("entries"), list):
        raise CassetteError(path, 'it is not a HAR: "log" has no array "entries"')
    return log


class _Reader:
    """Reads one entry, and names it in errors."""

    def __init__(self, path: str, name: str) -> None:
        self._path = path
        self._name = name

    def _damaged(self, reason: str) -> CassetteError:
        return CassetteError(self._path, reason, entry=self._name)

    def entry(self, record: Any) -> HarEntry:
        """Return *record* as an entry.

        :raises CassetteError: it is none
        """
        if not isinstance(record, dict):
            raise self._damaged("it is not an object")
        sent, received = self._object(record, "request"), self._object(record, "response")
        method, address = self._text(sent, "method"), self._text(sent, "url")
        if not method or not address:
            raise self._damaged(f'"request" has no "{"url" if method else "method"}"')
        shown = without_user_info(address)[:200] if len(address) <= MAX_URL else "a long URL"
        self._name = f"{self._name} ({printable(method[:20])} {shown})"
        try:
            socket = read_socket(record)
        except ValueError as exc:
            raise self._damaged(str(exc)) from None
        obstacle = _obstacle(method, address, received, socket)
        if obstacle:
            return HarEntry(
                name=self._name, request=None, response=None, obstacle=obstacle, record=record
            )
        return HarEntry(
            name=self._name,
            request=self._request(sent, method, address, is_switch=received["status"] == 101),
            response=self._response(record, received),
            obstacle="",
            record=record,
            socket=socket if received["status"] == 101 else None,
        )

    def _request(
        self, record: Record, method: str, address: str, *, is_switch: bool
    ) -> RecordedRequest:
        try:
            url = parsed_url(address)
            if url.raw_host is None:
                raise ValueError("it has no host")
        except ValueError:
            raise self._damaged("its URL is not valid") from None
        headers = CIMultiDict(self._fields(record, "headers"))
        return RecordedRequest(
            method=method.upper(),
            url=url.with_fragment(None),
            headers=CIMultiDictProxy(headers),
            body=self._request_body(record),
            is_websocket=is_switch or headers.get(hdrs.UPGRADE, "").lower() == "websocket",
        )

    def _request_body(self, record: Record) -> bytes:
        posted = record.get("postData")
        if posted is None:
            return b""
        if not isinstance(posted, dict):
            raise self._damaged('"postData" is not an object')
        mime_type = self._text(posted, "mimeType")
        text = posted.get("text")
        if not text and isinstance(posted.get("params"), list):
            pairs = self._pairs(posted, "params")
            return urlencode(pairs, errors="surrogatepass").encode("ascii")
        content = HarContent(
            mime_type=mime_type,
            text=self._text(posted, "text"),
            is_base64="base64" in (posted.get("encoding"), posted.get("_encoding")),
            size=0,
        )
        try:
            return content.decoded()
        except ValueError as exc:
            raise self._damaged(f'"postData": {exc}') from None

    def _response(self, entry: Record, record: Record) -> RecordedResponse:
        content = record.get("content", {})
        if not isinstance(content, dict):
            raise self._damaged('"content" is not an object')
        headers = self._fields(record, "headers")
        types = [value for name, value in headers if name.lower() == "content-type"]
        text = content.get("text")
        size = content.get("size")
        return RecordedResponse(
            status=record["status"],
            reason=self._line(record, "statusText"),
            http_version=self._text(record, "httpVersion"),
            headers=headers,
            content=HarContent(
                mime_type=types[0] if types else self._text(content, "mimeType"),
                text=None if text is None else self._text(content, "text"),
                is_base64=content.get("encoding") == "base64",
                size=size if isinstance(size, int) else 0,
            ),
            is_encoded=content.get("_encoded") is True,
            is_cut=record.get("_cut") is True,
            is_early=entry.get("_early") is True,
            trailers=self._fields(record, "_trailers"),
        )

    def _object(self, record: Record, name: str) -> Record:
        value = record.get(name)
        if not isinstance(value, dict):
            raise self._damaged(f'it has no object "{name}"')
        return value

    def _text(self, record: Record, name: str) -> str:
        """Return the text called *name*; a missing one is empty."""
        value = record.get(name)
        if value is None:
            return ""
        if not isinstance(value, str):
            raise self._damaged(f'"{name}" is not text')
        return value

    def _line(self, record: Record, name: str) -> str:
        """Return the text called *name*, which has to fit on one line of a head."""
        value = self._text(record, name)
        if _UNSENDABLE.search(value):
            raise self._damaged(f'"{name}" holds a character that cannot be sent')
        return value

    def _pairs(self, record: Record, name: str) -> list[tuple[str, str]]:
        """Return the names and values of an array; a missing array is empty."""
        values = record.get(name)
        if values is None:
            return []
        if not isinstance(values, list) or not all(isinstance(each, dict) for each in values):
            raise self._damaged(f'"{name}" is not an array of objects')
        return [(self._text(each, "name"), self._text(each, "value")) for each in values]

    def _fields(self, record: Record, name: str) -> Fields:
        """Return header fields that can be sent; those of HTTP/2 that are none are left out."""
        fields: list[tuple[str, str]] = []
        for field, value in self._pairs(record, name):
            if field.startswith(":"):
                continue
            if not is_token(field):
                raise self._damaged(f'"{name}": {field[:60]!r} is not a valid header name')
            # Chrome writes a field that came several times, as Set-Cookie does, on several lines.
            for line in value.split("\n"):
                text = line.strip(" \t\r")
                if _UNSENDABLE.search(text):
                    raise self._damaged(
                        f'"{name}": the value of {field} holds a character that cannot be sent'
                    )
                fields.append((field, text))
        return tuple(fields)


def _obstacle(method: str, address: str, received: Record, socket: RecordedSocket | None) -> str:
    """Return why an entry cannot be replayed, although it is not damaged; empty if it can."""
    if not _WEB_URL.match(address):
        return f"its URL is none of http or https, but {address[:10]!r}"
    if len(address) > MAX_URL:
        return f"its URL is longer than {MAX_URL} characters"
    if not is_token(method):
        return f"its method {method[:20]!r} is not a valid one"
    status = received.get("status")
    if not isinstance(status, int) or isinstance(status, bool) or not 200 <= status <= 999:
        if status == 101:
            return "" if socket else "its messages after the status 101 were not saved"
        return f"it has no response, but the status {str(status)[:20]}"
    return ""


# -- writing --------------------------------------------------------------------------------


def entry_of(
    request: RecordedRequest,
    response: RecordedResponse,
    *,
    name: str,
    started: float,
    timings: Timings | None = None,
    socket: RecordedSocket | None = None,
    error: str = "",
) -> HarEntry:
    """Return an entry of an exchange.

    :param started: seconds since the epoch
    :param timings: ``None`` to leave them out, so that the same exchange gives the same entry
    :param socket: what passed after the status 101
    :param error: why there is no response, or no more of it
    """
    record = {
        "startedDateTime": _date(started),
        **_times(timings),
        "request": _request_record(request),
        "response": _response_record(response),
        "cache": {},
        "timings": _timings_record(timings),
        **({"_early": True} if response.is_early else {}),
        **({} if socket is None else socket_record(socket, is_timed=timings is not None)),
        **({"_error": error} if error else {}),
    }
    return HarEntry(
        name=name,
        request=request,
        response=response,
        obstacle=_obstacle(request.method, str(request.url), record["response"], socket),
        record=record,
        socket=socket,
    )


def _date(seconds: float) -> str:
    date = datetime.fromtimestamp(seconds, UTC)
    return date.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _milliseconds(seconds: float | None) -> float:
    return -1 if seconds is None else round(max(seconds, 0.0) * 1000, 3)


def _times(timings: Timings | None) -> Record:
    if timings is None:
        return {"time": 0}
    parts = (timings.connect or 0.0, timings.send, timings.wait, timings.receive)
    return {"time": _milliseconds(sum(parts))}


def _timings_record(timings: Timings | None) -> Record:
    if timings is None:
        return {"send": 0, "wait": 0, "receive": 0}
    return {
        "connect": _milliseconds(timings.connect),
        "send": _milliseconds(timings.send),
        "wait": _milliseconds(timings.wait),
        "receive": _milliseconds(timings.receive),
    }


def _request_record(request: RecordedRequest) -> Record:
    record: Record = {
        "method": request.method,
        "url": str(request.url),
        "httpVersion": "HTTP/1.1",
        "cookies": list(_request_cookies(request.headers.getall(hdrs.COOKIE, ()))),
        "headers": _pair_records(request.headers.items()),
        "queryString": _pair_records(request.url.query.items()),
    }
    if request.body:
        content = HarContent.of(request.body, request.headers.get(hdrs.CONTENT_TYPE, ""))
        posted: Record = {"mimeType": content.mime_type, "text": content.text}
        if content.is_base64:
            posted["_encoding"] = "base64"
        record["postData"] = posted
    return record | {"headersSize": -1, "bodySize": len(request.body)}


def _response_record(response: RecordedResponse) -> Record:
    content = response.content
    body: Record = {"size": content.size, "mimeType": content.mime_type, "text": content.text}
    if content.is_base64:
        body["encoding"] = "base64"
    if response.is_encoded:
        body["_encoded"] = True
    headers = CIMultiDict(response.headers)
    record: Record = {
        "status": response.status,
        "statusText": response.reason,
        "httpVersion": response.http_version,
        "cookies": list(_response_cookies(headers.getall(hdrs.SET_COOKIE, ()))),
        "headers": _pair_records(response.headers),
        "content": body,
        "redirectURL": headers.get(hdrs.LOCATION, ""),
        "headersSize": -1,
        "bodySize": -1,
    }
    if response.trailers:
        record["_trailers"] = _pair_records(response.trailers)
    if response.is_cut:
        record["_cut"] = True
    return record


def _pair_records(pairs: Iterable[tuple[str, str]]) -> list[Record]:
    return [{"name": name, "value": value} for name, value in pairs]


def _request_cookies(values: Iterable[str]) -> Iterator[Record]:
    for value in values:
        for piece in value.split(";"):
            name, _, text = piece.strip(" \t").partition("=")
            if name:
                yield {"name": name, "value": text}


def _response_cookies(values: Iterable[str]) -> Iterator[Record]:
    for value in values:
        name, _, text = value.partition(";")[0].partition("=")
        yield {"name": name.strip(" \t"), "value": text.strip(" \t")}


def write_har(path: str, log: Mapping[str, Any], entries: Sequence[HarEntry]) -> None:
    """Replace a file as a whole; its folder is made if there is none.

    :param log: what the file held besides the entries; empty for a new one
    :raises OSError: it could not be written
    :raises CassetteError: an entry of another tool is nested too deeply to be written again
    """
    creator = {"name": "anyhttp", "version": __version__}
    whole = {"version": "1.2", "creator": creator, **log}
    document = {"log": {**whole, "entries": [entry.record for entry in entries]}}
    try:
        text = json.dumps(document, indent=2, ensure_ascii=False)
    except RecursionError:
        raise CassetteError(path, "an entry is nested too deeply to be written again") from None
    text = _PAIR.sub(r"{\1, \2}", text)
    # Lone surrogates stand for bytes of headers that are no UTF-8; JSON has the same escape.
    content = text.encode("utf-8", "backslashreplace") + b"\n"
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    replace_file(path, content, mode=0o666)
