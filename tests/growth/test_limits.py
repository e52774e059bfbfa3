"""What can grow has a limit: it is met exactly, and what is one above does no harm.

The tests here are about the limits that no test of a room meets on both sides.  Which test is about
which limit is said in :mod:`tests.growth.inventory`.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, Final

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import (
    ClientPayloadError,
    ClientSession,
    CookieJar,
    MultipartReader,
    TooManyRedirects,
    WebSocketError,
    download,
)
from anyhttp._codings import DecodingError, decoder_for
from anyhttp._common import HttpVersion11
from anyhttp._common.urls import MAX_HOST, MAX_SHOWN, UnparsedURL, parsed_url, shortened
from anyhttp._common.values import FieldsMemo
from anyhttp._downloads.notes import LONGEST, Notes, digest_of_url
from anyhttp._event_stream import EventStream, TextLines
from anyhttp._headers import (
    codec_name,
    parse_challenges,
    parse_content_type,
    parse_links,
    response_cookies,
)
from anyhttp._headers.retry_after import parse_retry_after
from anyhttp._http1 import Limits
from anyhttp._http1.heads import names
from anyhttp._http1.response_framing import _read_idle_seconds, _says_keep, keeps_alive
from anyhttp._http1.response_grammar import status_lines
from anyhttp._targets import Destination, destination_of, host_error, origin_of
from anyhttp._targets.destination import LONGEST_KEPT
from anyhttp._targets.urls import _known_host_error
from anyhttp._websocket import FrameReader, Inflater, Lifecycle, Sender
from anyhttp._websocket.deflate import MAX_STREAMS, WINDOW_SLACK
from anyhttp._websocket.sender import MAX_PONGS
from anyhttp.client._event_source import LONGEST_ID, _is_sendable
from anyhttp.client_middleware_digest_auth import (
    MAX_DOMAIN,
    DigestAuthMiddleware,
    digest_challenge,
)
from anyhttp.client_reqrep import prepared_headers
from anyhttp.client_reqrep._prepared import _MAX_HOSTS
from anyhttp.cookiejar._jar import _domains
from anyhttp.cookiejar._store import MAX_COOKIES_PER_DOMAIN
from anyhttp.http_exceptions import LineTooLong
from anyhttp.middlewares._bearer_token import MAX_SHOWN as MAX_TOLD, _shown
from anyhttp.resolver import MAX_LITERAL, DnsCache, literal_address
from anyhttp.streams import MAX_CHUNK_ENDS, StreamReader
from anyhttp.testing import CassetteError, MockConnector
from anyhttp.testing._har import MAX_URL, read_har, write_har
from anyhttp.testing._http1_server import _LONGEST_LINE, Http1Server, MalformedRequest
from tests.support import websocket as peer
from tests.support.engines import NAMES, receive, started
from tests.support.responses import CHUNKS, OK_LINE as OK

#: One below the limit, at it, and one above.
around = pytest.mark.parametrize("over", [-1, 0, 1])

BASE: Final = URL("https://a.test/")


@contextmanager
def refused(error: type[Exception], over: int) -> Iterator[None]:
    """Expect *error* above the limit, and none below."""
    if over > 0:
        with pytest.raises(error):
            yield
    else:
        yield


# -- what is remembered from one response, or one request, to the next


class Memory:
    """What remembers something: how to add to it, how much there is, and how much there may be."""

    def __init__(
        self, add: Callable[[str], object], size: Callable[[], int], most: int, longest: int = 0
    ) -> None:
        self.add = add
        self.size = size
        self.most = most
        self.longest = longest


def content_types() -> Memory:
    """What is known of types of bodies."""
    memo = parse_content_type.__self__  # type: ignore[attr-defined]  # that of the bound method
    memo.clear()
    return Memory(parse_content_type, lambda: len(memo), 64, 64)


def field_names() -> Memory:
    """What is known of names of fields."""
    names.clear()
    return Memory(names.__getitem__, lambda: len(names), 256, 64)


def of_status_lines() -> Memory:
    """What is known of status lines."""
    status_lines.clear()
    return Memory(
        lambda text: status_lines[b"HTTP/1.1 200 " + text.encode()],
        lambda: len(status_lines),
        256,
        64 - len("HTTP/1.1 200 "),
    )


def of_fields() -> Memory:
    """What is known of the fields of requests."""
    memo = FieldsMemo(len)
    return Memory(lambda text: memo[("X", text),], lambda: len(memo), 256)


def hosts_of_a_session() -> Memory:
    """The heads that a session has made ready; all sessions without headers share theirs."""
    prepared = prepared_headers(CIMultiDict({"X": "a"}), frozenset())
    return Memory(
        lambda text: prepared.block(Destination(URL(f"http://{text}/")), (), ()),
        lambda: len(prepared._by_host),
        _MAX_HOSTS,
    )


def heads_of_http2() -> Memory:
    """The heads that a connection has sent."""
    pytest.importorskip("hpack", reason="heads are compressed by means of hpack")
    from anyhttp._http2.fields import RequestHeads

    heads = RequestHeads("https")
    fields = [("Host", "a.test")]
    return Memory(
        lambda text: heads.make("GET", "/", [*fields, ("X", text)]), lambda: len(heads._known), 64
    )


MEMORIES: Final = {
    "types of bodies": content_types,
    "names of fields": field_names,
    "status lines": of_status_lines,
    "fields of requests": of_fields,
    "heads of requests by host": hosts_of_a_session,
    "heads of requests over HTTP/2": heads_of_http2,
}


@around
@pytest.mark.parametrize("name", MEMORIES)
def test_a_memory_has_a_limit(name: str, over: int) -> None:
    """It is filled up to it, and begins anew with what comes then."""
    memory = MEMORIES[name]()
    for number in range(memory.most + over):
        memory.add(f"x{number}")
        memory.add(f"x{number}")
    assert memory.size() == (1 if over > 0 else memory.most + over)


@around
@pytest.mark.parametrize("name", ["types of bodies", "names of fields", "status lines"])
def test_what_is_long_is_not_remembered(name: str, over: int) -> None:
    """A server chooses it, and must not choose how much memory it takes."""
    memory = MEMORIES[name]()
    memory.add("x" * (memory.longest + over))
    assert memory.size() == (0 if over > 0 else 1)


@around
@pytest.mark.parametrize("engine", NAMES)
def test_a_long_head_is_not_remembered(engine: str, over: int) -> None:
    """It is kept as long as the connection."""
    first = OK + b"Content-Length: 0\r\nX: "
    head = first + b"x" * (1024 + over - len(first) - 4) + b"\r\n\r\n"
    assert len(head) == 1024 + over
    one = started(engine)
    one.receive(head)
    assert (one.known is None) == (over > 0)


@around
async def test_answers_of_the_dns(over: int) -> None:
    """The one that was used the longest time ago is forgotten."""
    cache = DnsCache(ttl=None, max_size=3)
    address = literal_address("127.0.0.1", 80)
    assert address is not None

    async def ask() -> list[object]:
        return [address]

    for number in range(3 + over):
        await cache.resolve((f"h{number}", 80), ask)  # type: ignore[arg-type]
    assert len(cache.answers) == min(3 + over, 3)
    assert cache.knows(("h0", 80)) == (over <= 0)


@around
def test_literal_addresses(over: int) -> None:
    """A longer text is no address, and is not remembered either."""
    host = "fe80::1%" + "0" * (MAX_LITERAL + over - len("fe80::1%"))
    assert (literal_address(host, 80) is None) == (over > 0)


@around
@pytest.mark.parametrize("kind", [str, URL])
@pytest.mark.parametrize("part", ["", "?", "#"])
def test_long_urls_are_not_remembered(part: str, kind: type[URL | str], over: int) -> None:
    """What is known of a URL is kept for the next request, and long ones seldom come again."""
    start = f"https://a.test/{part}"
    # Of a URL, only what comes behind the origin counts, without the marks.
    before = len(start) if kind is str else len("/")
    url = kind(start + "x" * (LONGEST_KEPT + over - before))
    schemes = frozenset({"https"})
    assert (destination_of(url, schemes) is destination_of(url, schemes)) == (over <= 0)


@around
def test_long_hosts_are_not_remembered(over: int) -> None:
    """Redirects name hosts too."""
    host = ("x" * 60 + ".").ljust(64 + over, "y")
    memories: list[tuple[Any, Callable[[], object]]] = [
        (_known_host_error, lambda: host_error(host)),
        (_domains, lambda: CookieJar()._domains(host)),
    ]
    for memory, use in memories:
        memory.cache_clear()
        use()
        assert memory.cache_info().currsize == (0 if over > 0 else 1)


@around
def test_long_options_of_connections_are_not_remembered(over: int) -> None:
    """A server chooses them."""
    _read_idle_seconds.cache_clear()
    _says_keep.cache_clear()
    option = b"x" * (64 + over)
    assert keeps_alive(HttpVersion11, option, None, option)
    for memory in (_read_idle_seconds, _says_keep):
        assert memory.cache_info().currsize == (0 if over > 0 else 1)


# -- texts


@around
def test_hosts(over: int) -> None:
    """CVE-2026-45409: what is longer is not given to IDNA."""
    with refused(UnparsedURL, over):
        assert parsed_url(f"https://{'x' * (MAX_HOST + over)}/").host


@around
def test_invalid_urls_in_messages(over: int) -> None:
    """A longer one is cut."""
    text = "x" * (MAX_SHOWN + over)
    assert (shortened(text) == text) == (over <= 0)


@around
def test_links(over: int) -> None:
    """What follows the first 32 KiB is left out."""
    last = "<b>; rel=x"
    text = "<a>; rel=x, " + " " * (32 * 1024 + over - len("<a>; rel=x, ") - len(last)) + last
    assert len(parse_links(text, BASE).getall("x")) == (1 if over > 0 else 2)


@around
def test_dates_of_retry_after(over: int) -> None:
    """A longer text is no date."""
    date = "Wed, 21 Oct 2015 07:28:00 GMT"
    text = date[:4] + " " * (64 + over - len(date)) + date[4:]
    found = parse_retry_after(CIMultiDict({"Retry-After": text}), 0.0)
    assert (found is None) == (over > 0)


@around
def test_names_of_charsets(over: int) -> None:
    """A longer one is not looked up; Python ignores hyphens at the end of a name."""
    name = "utf-8".ljust(40 + over, "-")
    assert (codec_name(name) is None) == (over > 0)


@around
def test_cookies_of_a_response(over: int) -> None:
    """50 are read."""
    headers = [f"c{number}=1" for number in range(50 + over)]
    jar = CookieJar()
    jar.update_cookies_from_headers(headers, BASE)
    assert len(jar) == len(response_cookies(headers)) == min(50 + over, 50)


@around
def test_the_size_of_a_cookie(over: int) -> None:
    """RFC 6265bis §5.6: 4096 octets, of name and value together."""
    found = response_cookies(["ab=" + "x" * (4094 + over)])
    assert len(found) == (0 if over > 0 else 1)


@around
def test_cookies_of_a_domain(over: int) -> None:
    """At 180 all are kept; one more, and those that were used the longest time ago are dropped."""
    jar = CookieJar()
    for number in range(MAX_COOKIES_PER_DOMAIN + over):
        jar.update_cookies_from_headers([f"c{number}=1"], BASE)
    assert len(jar) == (150 if over > 0 else MAX_COOKIES_PER_DOMAIN + over)


@around
def test_digits_of_retry(over: int) -> None:
    """A longer number of an event stream does not count."""
    stream = EventStream(1000, "")
    stream.feed(b"retry: " + b"1" * (12 + over) + b"\n")
    assert stream.next_event() is None
    assert (stream.reconnection_time is None) == (over > 0)


@around
def test_ids_of_events(over: int) -> None:
    """A longer one cannot be sent back."""
    assert _is_sendable("x" * (LONGEST_ID + over)) == (over <= 0)


@around
def test_the_protection_space_of_digest(over: int) -> None:
    """A server can name 64 URLs."""
    domain = " ".join(f"/{number}" for number in range(MAX_DOMAIN + over))
    space = DigestAuthMiddleware("a", "b")._protection_space(BASE, domain)
    assert len(space) == min(MAX_DOMAIN + over, MAX_DOMAIN)


def test_challenges_of_digest() -> None:
    """A new one of the first origin makes those of others be forgotten, which it has named."""
    digest = DigestAuthMiddleware("a", "b")
    digest._origin = origin_of(BASE)

    def answer(url: str, nonce: str, domain: str = "") -> None:
        text = f'Digest realm="x", nonce="{nonce}", domain="{domain}"'
        (challenge,) = parse_challenges([text])
        digest._remember(URL(url), digest_challenge(challenge))

    for number in range(100):
        answer("https://a.test/", f"{number}", "https://b.test/ https://c.test/")
        answer("https://b.test/", f"{number}")
        answer("https://c.test/", f"{number}")
        assert len(digest._challenges) == 3


@around
def test_times_when_cookies_expire(over: int) -> None:
    """A cookie that is set again leaves the time of the one before, up to a number of these."""
    jar = CookieJar()
    kept = 100 + 2 * 1 + over
    for number in range(kept):
        jar.update_cookies_from_headers([f"a={number}; Max-Age=1000"], BASE)
    assert len(jar._store._expiries) == (1 if over > 0 else kept)


# -- bodies


@around
def test_codings(over: int) -> None:
    """CVE-2025-66418: each multiplies what the one before has made."""
    with refused(DecodingError, over):
        assert decoder_for(", ".join(["gzip"] * (5 + over)))


@around
def test_members_without_content(over: int) -> None:
    """Each takes a decompressor of its own."""
    decoder = decoder_for("gzip")
    assert decoder is not None
    decoder.feed(gzip.compress(b"", mtime=0) * (256 + over))
    with refused(DecodingError, over):
        while not decoder.needs_input:
            assert decoder.step(1024) == b""


@around
@pytest.mark.parametrize("end", [b"", b"\n"])
def test_lines_of_a_text(end: bytes, over: int) -> None:
    """Whether their end has come or not."""
    lines = TextLines("utf-8", "strict", 100, "")
    lines.feed(b"x" * (100 + over) + end)
    with refused(LineTooLong, over):
        assert lines.next_line() == ("x" * (100 + over) if end else None)


@around
async def test_lines_of_a_stream(over: int) -> None:
    """The line end counts."""
    reader = StreamReader()
    reader.feed_data(b"x" * (99 + over) + b"\n")
    with refused(LineTooLong, over):
        assert len(await reader.readline(max_line_length=100)) == 100 + over


@around
def test_ends_of_chunks(over: int) -> None:
    """Tiny chunks that nobody reads by readchunk() are forgotten, but for the last one."""
    reader = StreamReader()
    ends = range(1, MAX_CHUNK_ENDS + over + 1)
    reader.feed_pieces([bytes(len(ends))], len(ends), ends)
    kept = reader._chunk_ends
    assert kept is not None
    assert len(kept) == min(len(ends), MAX_CHUNK_ENDS)
    assert kept[-1] == len(ends)


@around
@pytest.mark.parametrize("engine", NAMES)
@pytest.mark.parametrize("where", ["head", "trailers", "both"])
def test_fields(where: str, engine: str, over: int) -> None:
    """CVE-2026-34516: those of a trailer count with those of the head."""
    limits = Limits(max_headers=20)
    own = 1  # Transfer-Encoding
    before = {"head": 19 + over, "trailers": 0, "both": 10}[where]
    after = 20 + over - own - before
    head = CHUNKS.removesuffix(b"\r\n") + b"X: y\r\n" * before + b"\r\n"
    raw = head + b"0\r\n" + b"X: y\r\n" * after + b"\r\n"
    for step in (1, len(raw)):
        given = [raw[start : start + step] for start in range(0, len(raw), step)]
        assert bool(receive(engine, given, limits=limits)) == (over <= 0)


@around
async def test_blanks_behind_a_boundary(over: int) -> None:
    """RFC 2046 §5.1.1: 256 of them; with more, the line is none that ends a part."""
    content = StreamReader()
    content.feed_data(b"--:" + b" " * (256 + over) + b"\r\n\r\nbody\r\n--:--")
    content.feed_eof()
    multipart = MultipartReader({"Content-Type": 'multipart/mixed; boundary=":"'}, content)
    part = await multipart.next()
    assert (part is None) == (over > 0)


@around
def test_sizes_of_chunks_in_requests(over: int) -> None:
    """The server of the test tools waits no longer for the end of such a line."""
    server = Http1Server()
    server.receive_data(b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
    assert server.next_event() is not None
    server.receive_data(b"1;".ljust(_LONGEST_LINE + over, b"x"))
    with refused(MalformedRequest, over):
        assert server.next_event() is None


@around
async def test_notes_of_a_download(over: int, tmp_path: Path) -> None:
    """A longer file is another one, and the part beside it is left alone."""
    url = BASE / "file"
    notes = Notes(url=digest_of_url(url), validator='"a"', total=10).to_bytes()
    mock = MockConnector()
    mock.get(url, body=b"0123456789", headers={"ETag": '"a"'})
    (tmp_path / "file.part").write_bytes(b"0123")
    (tmp_path / "file.part.json").write_bytes(notes.ljust(LONGEST + over))
    async with ClientSession(connector=mock) as session:
        with refused(FileExistsError, over):
            await download(session, url, tmp_path / "file")


# -- WebSockets


@around
def test_the_window_of_deflate(over: int) -> None:
    """Of what has been inflated, the last 32 KiB are kept, and some more that are not cut yet."""
    compressor = zlib.compressobj(wbits=-15)
    inflater = Inflater(15, takes_over=True)
    for size in [*[1024] * 32, WINDOW_SLACK + over]:
        inflater.feed(compressor.compress(bytes(size)) + compressor.flush(zlib.Z_SYNC_FLUSH))
        assert len(inflater.read(0)) == size
    assert len(inflater._window) == (2**15 if over > 0 else 2**15 + WINDOW_SLACK + over)


@around
@pytest.mark.parametrize("fragments", [1, 2, 5])
def test_messages(fragments: int, over: int) -> None:
    """CVE-2026-54274: fragments count together, at their headers."""
    whole = b"x" * (100 + over)
    wire = peer.frame(peer.BINARY, b"", last=False)
    for number in range(fragments):
        wire += peer.frame(0, whole[number::fragments], last=number == fragments - 1)
    reader = FrameReader(100, None, decode_text=True)
    reader.feed(wire)
    with refused(WebSocketError, over):
        message = reader.next_message()
        assert message is not None
        assert message.data == whole


@around
def test_control_frames(over: int) -> None:
    """RFC 6455 §5.5: 125 bytes; the peer of the tests writes no longer one, as it has 2 lengths."""
    reader = FrameReader(0, None, decode_text=True)
    size = 125 + over
    head = bytes((0x89, size)) if size <= 125 else b"\x89\x7e" + size.to_bytes(2)
    reader.feed(head + bytes(size))
    with refused(WebSocketError, over):
        message = reader.next_message()
        assert message is not None
        assert message.data == bytes(size)


@around
def test_streams_of_deflate(over: int) -> None:
    """Each takes a decompressor of its own."""
    compressor = zlib.compressobj(wbits=-15)
    empty = compressor.compress(b"") + compressor.flush(zlib.Z_FINISH)
    reader = FrameReader(0, Inflater(15, takes_over=True), decode_text=True)
    # The last one is what the end of the message begins.
    reader.feed(peer.frame(peer.BINARY, empty * (MAX_STREAMS - 1 + over) + b"\x00", reserved=4))
    with refused(WebSocketError, over):
        message = reader.next_message()
        assert message is not None
        assert message.data == b""


@around
def test_pings_that_wait_for_an_answer(over: int) -> None:
    """RFC 6455 §5.5.3: of many, the last ones are answered."""
    stream: Any = SimpleNamespace(sends_nowait=True)
    sender = Sender(stream, Lifecycle.__new__(Lifecycle), None, 1.0)
    for number in range(MAX_PONGS + over):
        sender.note_ping(b"%d" % number)
    assert len(sender.pongs) == min(MAX_PONGS + over, MAX_PONGS)
    assert sender.pongs[-1] == b"%d" % (MAX_PONGS + over - 1)


# -- requests


@around
async def test_redirects(over: int) -> None:
    """The history grows with them, and has the redirects that were followed."""
    mock = MockConnector()
    for number in range(3 + over):
        mock.get(f"https://a.test/{number}", status=302, headers={"Location": f"/{number + 1}"})
    mock.get(f"https://a.test/{3 + over}", body=b"end")
    async with ClientSession(connector=mock) as session:
        with refused(TooManyRedirects, over):
            response = await session.get("https://a.test/0", max_redirects=4)
            assert len(response.history) == 3 + over


@around
async def test_bodies(over: int) -> None:
    """A body of exactly ``max_body_size`` is read."""
    mock = MockConnector()
    mock.get("https://a.test/", body=bytes(100 + over))
    async with ClientSession(connector=mock, max_body_size=100) as session:
        response = await session.get("https://a.test/")
        with refused(ClientPayloadError, over):
            assert len(await response.read()) == 100 + over


# -- what programs and files give


@around
def test_urls_in_a_cassette(over: int, tmp_path: Path) -> None:
    """A longer one is not replayed, and is no reason to refuse the others."""
    url = "https://a.test/".ljust(MAX_URL + over, "x")
    answer = {"status": 200, "statusText": "OK", "httpVersion": "HTTP/1.1", "headers": []}
    entry = {
        "request": {"method": "GET", "url": url, "headers": []},
        "response": {**answer, "content": {"size": 0, "mimeType": ""}},
    }
    path = tmp_path / "a.har"
    path.write_text(json.dumps({"log": {"version": "1.2", "entries": [entry]}}))
    (read,) = read_har(str(path)).entries
    assert ("longer than" in read.obstacle) == (over > 0)


@around
def test_files_of_cassettes(over: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole of a file is held in memory."""
    path = tmp_path / "a.har"
    write_har(str(path), {}, [])
    monkeypatch.setattr("anyhttp.testing._har.MAX_FILE", path.stat().st_size - over)
    with refused(CassetteError, over):
        assert read_har(str(path)).entries == ()


@around
def test_descriptions_of_refused_tokens(over: int) -> None:
    """What a server of tokens writes is shown up to 300 characters."""
    shown = _shown("x" * (MAX_TOLD + over))
    assert shown is not None
    assert len(shown) == min(MAX_TOLD + over, MAX_TOLD)
