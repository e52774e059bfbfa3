"""Each parser and each reader takes a time that is linear in the bytes that it gets.

The table :data:`READERS` has all of them, each with the inputs that would be dear if something
were looked at, or copied, again and again.  A new parser gets an entry here.  How the cost is
measured is said in ``tests/support/cost.py``.  CVE-2025-69229 is what such code cost another
client: a peer that sends many small pieces keeps a processor busy for minutes.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Awaitable, Callable, Coroutine, Generator
from pathlib import Path
from typing import Any, Final

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from anyhttp import MultipartReader
from anyhttp._codings import decoder_for
from anyhttp._common import HttpVersion11, parsed_url, printable, without_user_info
from anyhttp._common.values import shown_headers
from anyhttp._downloads.content_range import parse_content_range
from anyhttp._event_stream import EventStream, TextLines
from anyhttp._headers import (
    parse_challenges,
    parse_content_disposition,
    parse_content_type,
    parse_date,
    parse_links,
    parse_mimetype,
    parse_parameters,
    response_cookies,
)
from anyhttp._http1 import Limits
from anyhttp._http1.heads import Head, read_plain_head
from anyhttp._http1.response_grammar import StatusLine
from anyhttp._targets.proxies import bypasses
from anyhttp._websocket import FRAMES_IN_A_ROW, FrameReader, Inflater
from anyhttp.cookiejar import CookieJar
from anyhttp.cookiejar._file import read_cookies
from anyhttp.multipart._encodings import PartDecoder
from anyhttp.multipart._scanner import PartSource, Scanner
from anyhttp.streams import StreamReader
from anyhttp.testing._har import read_har
from anyhttp.testing._http1_server import Http1Server
from anyhttp.testing._redaction import Filters
from tests.support import websocket as peer
from tests.support.cost import (
    MakeFeed,
    Prepare,
    assert_linear,
    assert_linear_time,
    assert_pieces_cost_alike,
)
from tests.support.engines import NAMES, receive, started
from tests.support.responses import CHUNKS, EMPTY, OK_LINE as OK

#: Limits that no input here reaches.
UNLIMITED: Final = Limits(max_line_size=10**9, max_field_size=10**9, max_headers=10**9)


def pieces_of(data: bytes, step: int) -> list[bytes]:
    """Return *data* in pieces of *step* bytes; 0 for one piece."""
    size = step or len(data) or 1
    return [data[start : start + size] for start in range(0, len(data), size)]


def text(parse: Callable[[str], object], begin: str, item: str, end: str = "") -> Prepare:
    """Parse a text with so many items."""

    def prepare(count: int) -> Callable[[], object]:
        whole = begin + item * count + end
        return lambda: parse(whole)

    return prepare


def running(
    read: Callable[[bytes, int], Awaitable[object]], begin: bytes, item: bytes, end: bytes = b"",
    *, step: int = 0,
) -> Prepare:  # fmt: skip
    """Run *read*, which gets bytes with so many items, and the size of the pieces they come in."""

    def prepare(count: int) -> Callable[[], object]:
        whole = begin + item * count + end

        async def main() -> None:
            await read(whole, step)

        return lambda: asyncio.run(main())

    return prepare


# -- HTTP/1.1


def response(engine: str, begin: bytes, item: bytes, end: bytes, *, step: int) -> Prepare:
    """Read a response with so many items, which comes in pieces of *step* bytes."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(begin + item * count + end, step)

        def work() -> None:
            assert receive(engine, given, limits=UNLIMITED)

        return work

    return prepare


def body_by_length(engine: str, *, step: int) -> Prepare:
    """Read a body of a length that is known."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(OK + b"Content-Length: %d\r\n\r\n" % count + bytes(count), step)

        def work() -> None:
            assert receive(engine, given)

        return work

    return prepare


RESPONSES: Final[dict[str, tuple[bytes, bytes, bytes]]] = {
    "fields": (OK, b"X: yyy\r\n", b"\r\n"),
    "one long field": (OK + b"X: ", b"y", b"\r\n\r\n"),
    "white space in a value": (OK + b"X: y", b" \t", b"y\r\n\r\n"),
    "Set-Cookie": (OK, b"Set-Cookie: a=1\r\n", b"\r\n"),
    "Content-Encoding": (OK, b"Content-Encoding: identity\r\n", b"\r\n"),
    "folded lines": (OK + b"X: y\r\n", b" z\r\n", b"\r\n"),
    "bare line feeds": (OK, b"X: y\n", b"\n"),
    "empty lines first": (b"", b"\r\n", EMPTY),
    "a long status line": (b"HTTP/1.1 200 ", b"x", b"\r\nContent-Length: 0\r\n\r\n"),
    "informational responses": (b"", b"HTTP/1.1 103 Hints\r\nLink: <a>\r\n\r\n", EMPTY),
    "chunks": (CHUNKS, b"1\r\nx\r\n", b"0\r\n\r\n"),
    "extensions of chunks": (CHUNKS, b"1;x=y\r\nx\r\n", b"0\r\n\r\n"),
    "one long extension": (CHUNKS + b'1;x="', b"y", b'"\r\nx\r\n0\r\n\r\n'),
    "trailers": (CHUNKS + b"0\r\n", b"X: y\r\n", b"\r\n"),
    "folded trailers": (CHUNKS + b"0\r\nX: y\r\n", b" z\r\n", b"\r\n"),
    "a body until the end": (OK + b"Connection: close\r\n\r\n", b"x", b""),
}


def text_of_head(count: int) -> Callable[[], object]:
    """The fields of a head as text."""
    read = read_plain_head(OK + b"X: a" + b" \t" * count + b"b\r\nY: c \r\n\r\n", UNLIMITED)
    assert read is not None
    return lambda: dict(read[0].text_fields())


def fields_of_head(count: int) -> Callable[[], object]:
    """Fields of names that are collected."""
    fields = [(b"Set-Cookie", b"a=1"), (b"Content-Encoding", b"x" * 100)] * count
    return lambda: Head(StatusLine(HttpVersion11, 200, "OK", False)).take_fields(fields)


def requests(begin: bytes, item: bytes, end: bytes, *, step: int) -> Prepare:
    """Read a request in the server of :mod:`anyhttp.testing`."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(begin + item * count + end, step)

        def work() -> None:
            server = Http1Server()
            for piece in given:
                server.receive_data(piece)
                while server.next_event() is not None:
                    pass
            assert server.request_is_over

        return work

    return prepare


POST: Final = b"POST / HTTP/1.1\r\nHost: x.test\r\nTransfer-Encoding: chunked\r\n\r\n"
REQUESTS: Final[dict[str, tuple[bytes, bytes, bytes]]] = {
    "fields": (b"GET / HTTP/1.1\r\nHost: x.test\r\n", b"X: y\r\n", b"\r\n"),
    "chunks": (POST, b"1\r\nx\r\n", b"0\r\n\r\n"),
    "trailers": (POST + b"0\r\n", b"X: y\r\n", b"\r\n"),
}

# -- bodies


def decoding(coding: str, encode: Callable[[bytes], bytes], *, step: int) -> Prepare:
    """Decode a body."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(encode(bytes(count)), step)

        def work() -> None:
            decoder = decoder_for(coding)
            assert decoder is not None
            size = 0
            for piece in given:
                decoder.feed(piece)
                while not decoder.needs_input:
                    size += len(decoder.step(1024))
            decoder.finish()
            assert size == count

        return work

    return prepare


def members(count: int) -> bytes:
    """Return so many members of gzip, of a byte each."""
    return gzip.compress(b"x", mtime=0) * count


def decoding_members(count: int) -> Callable[[], object]:
    """Decode a body of many members, which come at once."""
    whole = members(count)

    def work() -> None:
        decoder = decoder_for("gzip")
        assert decoder is not None
        decoder.feed(whole)
        size = 0
        while not decoder.needs_input:
            size += len(decoder.step(1024))
        assert size == count

    return work


def part(transfer_encoding: str, item: bytes, *, step: int) -> Prepare:
    """Decode a part of a multipart."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(item * count, step)

        def work() -> None:
            decoder = PartDecoder(transfer_encoding, "")
            for piece in given:
                for _ in decoder.feed(piece):
                    pass
            list(decoder.finish())

        return work

    return prepare


def stream_of(data: bytes, step: int) -> StreamReader:
    """Return a reader that has got *data* in pieces."""
    reader = StreamReader(None, 10**9)
    for piece in pieces_of(data, step):
        reader.feed_data(piece)
    reader.feed_eof()
    return reader


async def multipart(data: bytes, step: int) -> None:
    """Read each part of a multipart."""
    options = {"max_field_size": 10**9, "max_headers": 10**9}
    content = stream_of(data, step)
    parts = MultipartReader({"Content-Type": 'multipart/mixed; boundary=":"'}, content, **options)
    async for each in parts:
        assert not isinstance(each, MultipartReader)
        await each.read()


async def by_lines(data: bytes, step: int) -> None:
    """Read lines."""
    reader = stream_of(data, step)
    while await reader.readline():
        pass


async def by_separator(data: bytes, step: int) -> None:
    """Read parts that end in two bytes."""
    reader = stream_of(data, step)
    while await reader.readuntil(b"\r\n"):
        pass


async def by_number(data: bytes, step: int) -> None:
    """Read three bytes at a time."""
    reader = stream_of(data, step)
    while await reader.read(3):
        pass


async def by_chunk(data: bytes, step: int) -> None:
    """Read chunk by chunk."""
    reader = StreamReader(None, 10**9)
    for piece in pieces_of(data, step):
        reader.feed_data(piece)
        reader.end_chunk()
    reader.feed_eof()
    while await reader.readchunk() != (b"", False):
        pass


async def at_once(data: bytes, step: int) -> None:
    """Read all of it."""
    await stream_of(data, step).read()


def lines(item: bytes, encoding: str = "utf-8") -> Prepare:
    """Split a text into lines; its bytes come one by one."""

    def prepare(count: int) -> Callable[[], object]:
        whole = item * count

        def work() -> None:
            found = TextLines(encoding, "replace", 10**9, "")
            for byte in whole:
                found.feed(bytes([byte]))
                while found.next_line() is not None:
                    pass
            found.feed_eof()

        return work

    return prepare


def events(item: bytes, end: bytes = b"\n", *, step: int) -> Prepare:
    """Read server-sent events."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(item * count + end, step)

        def work() -> None:
            stream = EventStream(10**9, "")
            for piece in given:
                stream.feed(piece)
                while stream.next_event() is not None:
                    pass

        return work

    return prepare


# -- WebSockets


def frames(
    make: Callable[[int], bytes], *, step: int, compressed: bool = False, pieces: bool = False
) -> Prepare:
    """Read the messages in the bytes that *make* returns."""

    def prepare(count: int) -> Callable[[], object]:
        given = pieces_of(make(count), step)

        def read(target: FrameReader) -> object:
            return target.skip_pieces() if target.left >= 0 and pieces else target.next_message()

        def work() -> None:
            inflater = Inflater(15, takes_over=True) if compressed else None
            target = FrameReader(0, inflater, decode_text=True)
            for piece in given:
                target.feed(piece)
                while read(target) is not None or not target.frames_left:
                    target.frames_left = FRAMES_IN_A_ROW
                    target.messages_left = 64
            assert not target.buffered

        return work

    return prepare


def fragmented(count: int) -> bytes:
    """Return a text in so many fragments."""
    middle = peer.frame(0, b"x", last=False) * count
    return peer.frame(peer.TEXT, b"", last=False) + middle + peer.frame(0)


def deflated(count: int) -> bytes:
    """Return a compressed message that is that long."""
    compressor = zlib.compressobj(wbits=-15)
    raw = compressor.compress(bytes(range(256)) * (count // 256 + 1))
    raw += compressor.flush(zlib.Z_SYNC_FLUSH)
    return peer.frame(peer.BINARY, raw.removesuffix(b"\x00\x00\xff\xff"), reserved=4)


FRAMES: Final[dict[str, Callable[[int], bytes]]] = {
    "short messages": lambda count: peer.frame(peer.TEXT, b"x") * count,
    "one long text": lambda count: peer.frame(peer.TEXT, b"x" * count),
    "fragments": fragmented,
    "PINGs": lambda count: peer.frame(peer.PING, b"x") * count,
    "PINGs within a message": lambda count: (
        peer.frame(peer.TEXT, b"x", last=False) + peer.frame(peer.PING) * count + peer.frame(0)
    ),
}

# -- files


def cookie_file(path: Path, file_format: str) -> Prepare:
    """Read a file of cookies."""

    def prepare(count: int) -> Callable[[], object]:
        if file_format == "json":
            record = {"key": "a", "value": "b", "coded_value": "b"}
            document = {f"h{number}.test|/": {"a": record} for number in range(count)}
            path.write_text(json.dumps(document))
        else:
            rows = [f"h{number}.test\tFALSE\t/\tFALSE\t0\ta\tb" for number in range(count)]
            path.write_text("\n".join(["# Netscape HTTP Cookie File", *rows]))
        return lambda: list(read_cookies(path, 0.0))

    return prepare


def har(path: Path, *, many: bool) -> Prepare:
    """Read a HAR of so many entries, or of one entry with so many headers."""

    def prepare(count: int) -> Callable[[], object]:
        fields = [{"name": "X", "value": "y"}] * (1 if many else count)
        request = {"method": "GET", "url": "https://a.test/", "headers": fields}
        answer = {
            "status": 200,
            "statusText": "OK",
            "httpVersion": "HTTP/1.1",
            "headers": fields,
            "content": {"size": 1, "mimeType": "text/plain", "text": "x"},
        }
        entries = [{"request": request, "response": answer}] * (count if many else 1)
        path.write_text(json.dumps({"log": {"version": "1.2", "entries": entries}}))
        return lambda: read_har(str(path))

    return prepare


# -- what takes bytes as they come


def response_feed() -> Callable[[bytes], object]:
    """Take a response; the engines have all but a few lines in common."""
    engine = started("auto", limits=UNLIMITED)

    def feed(piece: bytes) -> None:
        engine.receive(piece)
        while engine.head is not None and engine.head.status < 200:
            engine.next_response()

    return feed


def request_feed() -> Callable[[bytes], object]:
    """Take a request in the server of :mod:`anyhttp.testing`."""
    server = Http1Server()

    def feed(piece: bytes) -> None:
        server.receive_data(piece)
        while server.next_event() is not None:
            pass

    return feed


def gzip_feed() -> Callable[[bytes], object]:
    """Take a body that is compressed."""
    decoder = decoder_for("gzip")
    assert decoder is not None

    def feed(piece: bytes) -> None:
        decoder.feed(piece)
        while not decoder.needs_input:
            decoder.step(1024)

    return feed


def part_feed(transfer_encoding: str) -> MakeFeed:
    """Take a part of a multipart."""

    def make() -> Callable[[bytes], object]:
        decoder = PartDecoder(transfer_encoding, "")
        return lambda piece: list(decoder.feed(piece))

    return make


def lines_feed() -> Callable[[bytes], object]:
    """Take a text."""
    found = TextLines("utf-8", "replace", 10**9, "")

    def feed(piece: bytes) -> None:
        found.feed(piece)
        while found.next_line() is not None:
            pass

    return feed


def events_feed() -> Callable[[bytes], object]:
    """Take server-sent events."""
    stream = EventStream(10**9, "")

    def feed(piece: bytes) -> None:
        stream.feed(piece)
        while stream.next_event() is not None:
            pass

    return feed


def frames_feed() -> Callable[[bytes], object]:
    """Take the frames of a WebSocket."""
    target = FrameReader(0, None, decode_text=True)

    def feed(piece: bytes) -> None:
        target.feed(piece)
        while target.next_message() is not None or not target.frames_left:
            target.frames_left = FRAMES_IN_A_ROW
            target.messages_left = 64

    return feed


def stream_feed() -> Callable[[bytes], object]:
    """Take a body that nobody reads."""
    reader = StreamReader(None, 10**9)

    def feed(piece: bytes) -> None:
        reader.feed_data(piece)
        reader.end_chunk()

    return feed


class Arriving:
    """A body whose pieces a test gives, and that is waited for without an event loop."""

    def __init__(self) -> None:
        self._piece = b""

    async def read(self, most: int) -> bytes:
        """Return the next piece, when there is one."""
        while not self._piece:
            await _Pause()
        piece, self._piece = self._piece[:most], self._piece[most:]
        return piece

    def feeding(self, reading: Coroutine[Any, Any, object]) -> Callable[[bytes], object]:
        """Return what gives a piece to *reading*, which goes on as far as it can."""
        reading.send(None)

        def feed(piece: bytes) -> None:
            self._piece = piece
            reading.send(None)

        return feed


class _Pause:
    """Lets whoever runs the coroutine go on."""

    def __await__(self) -> Generator[None, None, None]:
        yield


def headers_feed() -> Callable[[bytes], object]:
    """Take the headers of a part."""
    content: Any = Arriving()
    scanner = Scanner(content)
    scanner.data.clear()  # of the line break that is supplied before the first delimiter
    return content.feeding(scanner.headers(10**9, 10**9))  # type: ignore[no-any-return]


def delimiter_feed() -> Callable[[bytes], object]:
    """Take the body of a part."""
    content: Any = Arriving()
    source = PartSource(Scanner(content), b"\r\n--:", None)

    async def read() -> None:
        while True:
            await source._until_delimiter()

    return content.feeding(read())  # type: ignore[no-any-return]


LONG_FRAME: Final = b"\x81\x7f" + (2**30).to_bytes(8)
FEEDS: Final[dict[str, tuple[MakeFeed, bytes, bytes]]] = {
    **{
        f"response: {name}": (response_feed, begin, item)
        for name, (begin, item, _) in RESPONSES.items()
    },
    **{
        f"request: {name}": (request_feed, begin, item)
        for name, (begin, item, _) in REQUESTS.items()
    },
    "request: one long line": (request_feed, b"GET /", b"x"),
    "gzip": (gzip_feed, b"", gzip.compress(b"x", mtime=0)),
    "part: base64": (part_feed("base64"), b"", b"QUJD\r\n"),
    "part: no base64": (part_feed("base64"), b"", b"\r"),
    "part: quoted-printable": (part_feed("quoted-printable"), b"", b"=41=\r\n"),
    "part: plain": (part_feed("quoted-printable"), b"", b"x"),
    "multipart: headers": (headers_feed, b"X: y\r\n", b"X: y\r\n"),
    "multipart: folded headers": (headers_feed, b"X: y\r\n", b" z\r\n"),
    "multipart: one header": (headers_feed, b"X: ", b"x"),
    "multipart: one part": (delimiter_feed, b"", b"x"),
    "multipart: almost delimiters": (delimiter_feed, b"", b"\r\n--"),
    "lines": (lines_feed, b"", b"ab\r\n"),
    "lines: one long one": (lines_feed, b"", b"x"),
    "events: data": (events_feed, b"", b"data: x\n"),
    "events: comments": (events_feed, b"", b": x\n"),
    "events: ids": (events_feed, b"", b"id: x\n"),
    "events: events": (events_feed, b"", b"data: x\nid: 1\nevent: y\n\n"),
    "events: one long line": (events_feed, b"", b"x"),
    "frames: short messages": (frames_feed, b"", peer.frame(peer.TEXT, b"x")),
    "frames: fragments": (
        frames_feed, peer.frame(peer.TEXT, b"", last=False), peer.frame(0, b"x", last=False)
    ),
    "frames: PINGs within a message": (
        frames_feed, peer.frame(peer.TEXT, b"", last=False), peer.frame(peer.PING, b"x")
    ),
    "frames: one long message": (frames_feed, LONG_FRAME, b"x"),
    "stream": (stream_feed, b"", b"xy"),
    "stream: large": (stream_feed, b"", b"x"),
}  # fmt: skip


@pytest.mark.parametrize("name", FEEDS)
def test_a_byte_costs_as_much_after_many_as_after_few(name: str) -> None:
    """Nothing that has come is copied or searched again for each piece: CVE-2025-69229."""
    assert_pieces_cost_alike(*FEEDS[name])


# -- the tables

SPLITS: Final = {"at once": 0, "byte by byte": 1}


def in_pieces(name: str, make: Callable[..., Prepare], *args: Any) -> dict[str, Prepare]:
    """Return *name*, at once and byte by byte."""
    return {f"{name}, {how}": make(*args, step=step) for how, step in SPLITS.items()}


def of_responses() -> dict[str, Prepare]:
    """Return what is read of a response."""
    found: dict[str, Prepare] = {}
    for engine in NAMES:
        for name, parts in RESPONSES.items():
            found |= in_pieces(f"response ({engine}): {name}", response, engine, *parts)
        found |= in_pieces(f"response ({engine}): a body by length", body_by_length, engine)
    found["head: as text"] = text_of_head
    found["head: fields that are collected"] = fields_of_head
    for name, parts in REQUESTS.items():
        found |= in_pieces(f"request: {name}", requests, *parts)
    return found


def of_bodies() -> dict[str, Prepare]:
    """Return what is read of a body."""
    found: dict[str, Prepare] = {}
    found |= in_pieces("gzip", decoding, "gzip", lambda data: gzip.compress(data, mtime=0))
    found |= in_pieces("deflate", decoding, "deflate", zlib.compress)
    found["gzip: members"] = decoding_members
    found |= in_pieces("part: base64", part, "base64", b"QUJD\r\n")
    found |= in_pieces("part: no base64", part, "base64", b"\r\n")
    found |= in_pieces("part: quoted-printable", part, "quoted-printable", b"=41=\r\n")
    for name, read, *parts in MULTIPARTS_AND_STREAMS:
        for how, step in SPLITS.items():
            found[f"{name}, {how}"] = running(read, *parts, step=step)
    for item in (b"x", b"\n", b"\r", b"ab\r\n", "ä".encode()):
        found[f"lines: {item!r}"] = lines(item)
    for encoding in ("utf-16-le", "gb18030", "iso2022_jp", "hz", "utf-8-sig"):
        found[f"lines: {encoding}"] = lines(b"\x1b$B~{x", encoding)
    for name, item in {
        "data": b"data: x\n",
        "comments": b": x\n",
        "ids": b"id: x\n",
        "events": b"data: x\nid: 1\nevent: y\n\n",
        "digits": b"retry: 1111111111111\n",
    }.items():
        found |= in_pieces(f"events: {name}", events, item)
    found |= in_pieces("events: one long line", events, b"x")
    return found


MULTIPARTS_AND_STREAMS: Final[list[tuple[str, Any, bytes, bytes, bytes]]] = [
    ("multipart: almost delimiters", multipart, b"--:\r\n\r\n", b"\r\n--", b"\r\n--:--"),
    ("multipart: preamble", multipart, b"", b"\r\n-", b"\r\n--:--"),
    ("multipart: tiny parts", multipart, b"", b"--:\r\n\r\n\r\n", b"--:--"),
    ("multipart: headers", multipart, b"--:\r\n", b"X: y\r\n", b"\r\na\r\n--:--"),
    ("multipart: folded headers", multipart, b"--:\r\nX: y\r\n", b" z\r\n", b"\r\na\r\n--:--"),
    ("multipart: one header", multipart, b"--:\r\nX: ", b"y", b"\r\n\r\na\r\n--:--"),
    ("multipart: one part", multipart, b"--:\r\n\r\n", b"a", b"\r\n--:--"),
    ("multipart: delimiters of another", multipart, b"--:\r\n\r\n", b"\r\n--:b", b"\r\n--:--"),
    ("stream: readline()", by_lines, b"", b"x\n", b""),
    ("stream: one line", by_lines, b"", b"x", b"\n"),
    ("stream: readuntil()", by_separator, b"", b"\r", b"\r\n"),
    ("stream: read(3)", by_number, b"", b"x", b""),
    ("stream: readchunk()", by_chunk, b"", b"x", b""),
    ("stream: read()", at_once, b"", b"x", b""),
]


def of_frames() -> dict[str, Prepare]:
    """Return what is read of WebSockets."""
    found: dict[str, Prepare] = {}
    for name, make in FRAMES.items():
        found |= in_pieces(f"frames: {name}", frames, make)
    for how, step in SPLITS.items():
        found[f"frames: compressed, {how}"] = frames(deflated, step=step, compressed=True)
    return found


def content_type(header: str) -> None:
    """Read a ``Content-Type`` that says nothing of use."""
    read = parse_content_type(header)
    assert not read.is_json
    assert read.encoding is None


def cookies(header: str) -> object:
    """Read one ``Set-Cookie``, as a response and as a jar do."""
    CookieJar().update_cookies_from_headers([header], URL("https://a.test/"))
    return response_cookies([header])


def shown(value: str) -> object:
    """Show headers of a response in a message."""
    return shown_headers(CIMultiDictProxy(CIMultiDict({"X": value, "Location": value})))


def headers_without_secrets(value: str) -> object:
    """Take the secrets out of what is recorded."""
    filters = Filters()
    fields = (("X", value), ("Location", value), ("Set-Cookie", value), ("Cookie", value))
    return filters.fields(fields), filters.body(value.encode(), "text/event-stream", is_sent=True)


def body_without_secrets(content_type: str) -> Callable[[str], object]:
    """Return what takes the secrets out of a body that is recorded."""
    filters = Filters(json=["$..key"])
    return lambda text: filters.body(text.encode(), content_type, is_sent=True)


TEXTS: Final[dict[str, tuple[Callable[[str], object], list[tuple[str, str, str]]]]] = {
    "Content-Type": (
        content_type,
        [
            ('a/b; x="', '\\"', ""),
            ("a/b", "; ", ""),
            ("a/b", ";", ""),
            ("a/b", "; x", ""),
            ("a/b; x", " ", ""),
            ("a/b; x*=", "'", '"'),
            ('a/b; x="', '"', ""),
            ("a/b", ';x="', ""),
            ("a/b", ';x="\\', ""),
            ("", " ", "?"),
            ("application/", "x", ""),
            ("application/", "x+", ""),
            ("a/b; charset=", "x ", ""),
        ],
    ),
    "media types": (
        parse_mimetype,
        [("a/b", "; x=y", ""), ("a/b", ";", ""), ("a/", "+", ""), ("", " ", "")],
    ),
    "Content-Disposition": (
        parse_content_disposition,
        [
            ('a; x="', '\\"', ""),
            ("a", "; ", ""),
            ("a", ";", ""),
            ("a", "; x*0=y", ""),
            ("a; x", " ", ""),
            ("a; x*=", "'", '"'),
            ("a; x*=utf-8''", "%41", ""),
            ('a; x="', '"', ""),
            ("", " ", "?"),
        ],
    ),
    "challenges": (
        lambda value: (parse_challenges([value]), parse_parameters(value)),
        [
            (start, piece, "")
            for start in ("Digest ", 'Digest a="', "Digest a")
            for piece in (
                '"',
                "\\",
                " ",
                ",",
                "=",
                "a",
                "a=",
                'a="',
                "a ",
                "A a=,",
                'A a="b" c, ',
                "~=",
            )
        ],
    ),
    "Link": (
        lambda value: parse_links(value, URL("https://a.test/")),
        [
            ("", "<", ""),
            ("<a>;b", " ", "x"),
            ("", '<a>;b="', ""),
            ("<a>", ";b", ""),
            ("<a>", ";b='", ""),
            ("<a", ">", ""),
        ],
    ),
    "Set-Cookie": (
        cookies,
        [
            ("a=", '"', ""),
            ('a="', "\\", '"'),
            ('a="', "\\1", '"'),
            ("a=b", "; ", ""),
            ("a=b", ";x=y", ""),
            ("a=b; path=/", "/", ""),
            ("a=b; domain=", "a.", "test"),
            ("a=b; expires=", "1:", ""),
            ("", "=", ""),
        ],
    ),
    "dates": (parse_date, [("", "1 ", ""), ("", "1:1:1", ""), ("", "-", ""), ("", "Jan", "")]),
    "Content-Range": (
        parse_content_range,
        [("bytes 0-1/", "1", ""), ("bytes ", " ", ""), ("bytes ", "0-", "")],
    ),
    "URLs": (
        lambda value: (_parsed(value), without_user_info(value)),
        [
            ("https://a.test/", "a/", ""),
            ("https://a.test/", "../", ""),
            ("https://", "@", "a.test/"),
            ("https://", "a@", ""),
            ("//", "//@", ""),
            ("", "\t", "//a@b"),
            ("https://a.test/?", "a&", ""),
            ("https://a.test/?", "%", ""),
        ],
    ),
    "text that is shown": (
        lambda value: (printable(value), shown(value)),
        [("", "\x1b", ""), ("", "//@", ""), ("", "<url=", "@"), ("//", "@", ""), ("", "//", "@")],
    ),
    "NO_PROXY": (
        lambda value: bypasses("a.test", 80, value),
        [("", "b.test,", ""), ("", ",", ""), ("", "[", ""), ("", ":", ""), ("", "1", "/8")],
    ),
    "secrets in headers": (
        headers_without_secrets,
        [
            ("", "a=b&", ""),
            ("", "?", "="),
            ("", "?a", "="),
            ("a=", "?a", ""),
            ("", "://", "@"),
            ("://", "@", ""),
            ("", "a", "="),
            ("", "\n{", ""),
            ("", "\n ", "token"),
            ("", "token", ""),
        ],
    ),
    "secrets in JSON": (
        body_without_secrets("application/json"),
        [
            ("", '{"key": 1}\n', ""),
            ("[", '{"key": 1},', "1]"),
            ("", '\n{"key', ""),
            ("", "\n", "{"),
            ("", "[1]", ""),
        ],
    ),
    "secrets in lines": (
        body_without_secrets("application/x-ndjson"),
        [
            ("", '{"key": 1}\n', ""),
            ("", '{"key\n', ""),
            ("{", "\n", "}"),
            ("", "\x1e", "{"),
            ("", "\n[ ", ""),
        ],
    ),
    "secrets in forms": (
        body_without_secrets("multipart/form-data; boundary=a"),
        [
            ("--a\r\n", 'name="', "\r\n\r\nb\r\n--a--"),
            ("", "--a", ""),
            ("--a\r\n", "name=", "\r\n\r\n--a--"),
            ("--a", "\ncontent-type:", "--a--"),
        ],
    ),
}


def _parsed(value: str) -> URL | None:
    try:
        return parsed_url(value)
    except ValueError:
        return None


def of_texts() -> dict[str, Prepare]:
    """Return what is read of texts, above all header fields."""
    return {
        f"{name}: {begin[:20]}{item!r}": text(parse, begin, item, end)
        for name, (parse, inputs) in TEXTS.items()
        for begin, item, end in inputs
    }


STEPWISE: Final[dict[str, Prepare]] = of_responses() | of_bodies() | of_frames()
READERS: Final[dict[str, Prepare]] = STEPWISE | of_texts()


# What single bytes cost is measured above, and the engines have all but a few lines in common.
COUNTED: Final = [name for name in STEPWISE if "at once" in name and "(h11)" not in name]


@pytest.mark.parametrize("name", COUNTED)
def test_instructions_and_copies_are_linear(name: str) -> None:
    """Four times the bytes take four times as many instructions, and bytes that are copied."""
    assert_linear(STEPWISE[name])


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # of malformed headers
@pytest.mark.parametrize("name", READERS)
def test_time_is_linear(name: str) -> None:
    """What is searched, in C, is searched once: CVE-2025-69229."""
    assert_linear_time(READERS[name])


@pytest.mark.parametrize("file_format", ["json", "netscape"])
def test_files_of_cookies(file_format: str, tmp_path: Path) -> None:
    """Somebody else may have written the file."""
    assert_linear(cookie_file(tmp_path / "cookies", file_format))
    assert_linear_time(cookie_file(tmp_path / "cookies", file_format))


@pytest.mark.parametrize("many", [True, False])
def test_cassettes(many: bool, tmp_path: Path) -> None:
    """A browser may have written the file, of pages that anybody made."""
    assert_linear(har(tmp_path / "a.har", many=many))
    assert_linear_time(har(tmp_path / "a.har", many=many))
