"""However a response is cut into pieces, and whichever engine reads it: one answer."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import httptools
from hypothesis import example, given, strategies as st

from anyhttp._http1 import Limits, ParseError
from tests.support.engines import NAMES, Answer, Interim, RawHeaders, Refused, cut, receive, started
from tests.support.examples import examples

TOKEN = "!#$%&'*+-.^_`|~09AZaz"
# what is special somewhere in a response, for mutations to put elsewhere
SPECIAL = [
    *(bytes([code]) for code in b'\x00\t\n\r "+,-0:;=\\_a\x7f\xff'),
    *(b"\r\n", b"\r\n ", b"0\r\n\r\n", b"\r\n\r\n", b"\t\r\n", b"chunked", b"identity", b"5"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 05\r\n"),
    *(b"\n\n", b"\n ", b"\n\r\n", b"X: a\n", b"X:\r\n a\r\n", b"\x0b", b"\x0c"),
    *(b"\x01", b" ;", b"; "),
    *(b"\r\nTransfer-Encoding: chunked", b"\r\nTransfer-Encoding: gzip, chunked"),
    *(b"\r\nContent-Length: 5", b"\r\n\r\nHTTP/1.1 200 OK"),
    *(b"Transfer-Encoding: identity\r\n", b"HTTP/1.7 ", b"Content-Length:\r\n\t5\r\n"),
    *(b"Connection: upgrade\r\n", b"Upgrade: a\r\n", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.0 "),
]


@dataclass(frozen=True)
class Message:
    """The bytes of a valid response, and what it says."""

    raw: bytes
    status: int
    reason: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    body: bytes
    chunk_ends: tuple[int, ...]
    trailers: RawHeaders
    interim: tuple[Interim, ...]


names = st.text(TOKEN, min_size=1, max_size=12).map(lambda name: b"X-" + name.encode())
texts = st.lists(
    st.sampled_from(
        [b"a", b"Z", b" ", b"\t", b":", b",", b";", b'"', b"~", b"!", b"\x80", b"\xff"]
    ),
    max_size=12,
).map(b"".join)
values = texts.map(lambda text: text.strip(b" \t"))
spaces = st.sampled_from([b"", b" ", b"\t", b" \t "])
some_fields = st.lists(st.tuples(names, values), max_size=3).map(tuple)
bodies = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 "]))


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes, tuple[int, ...], RawHeaders]:
    """Return framed bytes, the body in them, where its chunks end, and the trailers."""
    raw, body, ends = b"", b"", []
    extension = st.sampled_from([b"", b";a", b";a=b", b';a="b;\\"c"', b";a=b;c=d"])
    for chunk in draw(st.lists(bodies.filter(bool), max_size=4)):
        size = draw(st.sampled_from(["%x", "%X", "%05x"])) % len(chunk)
        raw += size.encode() + draw(extension) + b"\r\n" + chunk + b"\r\n"
        body += chunk
        ends.append(len(body))
    raw += draw(st.sampled_from([b"0", b"000"])) + draw(extension) + b"\r\n"
    trailers = draw(some_fields)
    for name, value in trailers:
        raw += name + b":" + draw(spaces) + value + draw(spaces) + b"\r\n"
    return raw + b"\r\n", body, tuple(ends), trailers


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Return a response that nothing is wrong with."""
    status = draw(st.one_of(st.just(200), st.integers(200, 999).filter(lambda s: s != 204)))
    status = 200 if status == 304 else status
    reason = draw(texts)
    fields = draw(st.lists(st.tuples(names, values), max_size=4))
    body = draw(bodies)
    ends: tuple[int, ...] = ()
    trailers: RawHeaders = ()
    framing = draw(st.sampled_from(["length", "twice", "chunked", "chunked", "eof"]))
    extra: list[tuple[bytes, bytes]] = []
    sent = body
    if framing == "chunked":
        sent, body, ends, trailers = draw(chunked())
        extra = [(b"Transfer-Encoding", b"chunked")]
    elif framing != "eof":
        extra = [(b"Content-Length", b"%d" % len(body))]
    place = draw(st.integers(0, len(fields)))
    fields[place:place] = extra
    repeated = extra * (framing == "twice")
    lines = [b"HTTP/1.1 %d %b" % (status, reason)]
    lines += [
        name + b":" + draw(spaces) + value + draw(spaces) for name, value in [*fields, *repeated]
    ]
    raw = b"\r\n".join([*lines, b"", sent])
    interim: list[Interim] = []
    for _ in range(draw(st.integers(0, 2))):
        before = Interim(draw(st.sampled_from([100, 102, 103, 199])), "", draw(some_fields))
        interim.insert(0, before)
        head = [b"HTTP/1.1 %d " % before.status]
        head += [name + b": " + value for name, value in before.headers]
        raw = b"\r\n".join([*head, b"", raw])
    return Message(raw, status, reason, tuple(fields), body, ends, trailers, tuple(interim))


places = st.lists(st.integers(0, 400), max_size=8).map(sorted)


def ways(raw: bytes, at: list[int]) -> list[list[bytes]]:
    """Return *raw* whole, in single bytes, and cut at the places given."""
    return [[raw], [bytes([byte]) for byte in raw], cut(raw, [min(p, len(raw)) for p in at])]


@given(message=messages(), at=places)
def test_a_valid_response_means_what_was_written(message: Message, at: list[int]) -> None:
    """Status, reason, fields, body and the ends of its chunks all come back."""
    for name in NAMES:
        for pieces in ways(message.raw, at):
            answer = receive(name, pieces)
            assert isinstance(answer, Answer), answer
            assert answer.status == message.status
            assert answer.reason == message.reason.decode("utf-8", "surrogateescape")
            assert answer.headers == message.headers
            assert answer.body == message.body
            assert answer.chunk_ends == message.chunk_ends
            assert answer.trailers == message.trailers
            assert answer.interim == message.interim
            assert answer.surplus == b""


@examples(50)
@given(reason=texts, fields=some_fields, trailers=some_fields, extension=texts, at=places)
def test_each_limit_is_met_exactly(
    reason: bytes, fields: RawHeaders, trailers: RawHeaders, extension: bytes, at: list[int]
) -> None:
    """What is as long as a limit is read, and one byte or one line more is not."""
    lines = [b"HTTP/1.1 200 " + reason, b'1;a="%b"' % re.sub(rb'["]', b"", extension)]
    head = [name + b": " + value for name, value in (*fields, (b"Transfer-Encoding", b"chunked"))]
    tail = [name + b": " + value for name, value in trailers]
    raw = b"\r\n".join([lines[0], *head, b"", lines[1], b"a", b"0", *tail, b"", b""])
    line = max(map(len, lines))
    field = max(map(len, [*head, *tail])) - len(": ")
    count = len(head) + len(tail)
    for name in NAMES:
        for pieces in ways(raw, at):
            assert receive(name, pieces, limits=Limits(line, field, count))
            assert not receive(name, pieces, limits=Limits(line - 1, field, count))
            assert not receive(name, pieces, limits=Limits(line, field - 1, count))
            assert not receive(name, pieces, limits=Limits(line, field, count - 1))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a response with up to three things wrong with it."""
    raw = bytearray(draw(messages()).raw)
    for _ in range(draw(st.integers(1, 3))):
        marks = [index for index, byte in enumerate(raw) if byte in b"\r\n:; "]
        place = draw(st.one_of(st.sampled_from([*marks, 0]), st.integers(0, len(raw))))
        match draw(st.sampled_from(["insert", "replace", "delete", "repeat", "flip"])):
            case "insert":
                raw[place:place] = draw(st.sampled_from(SPECIAL))
            case "replace":
                raw[place : place + 1] = draw(st.sampled_from(SPECIAL))
            case "delete":
                del raw[place : place + draw(st.integers(1, 4))]
            case "repeat":
                raw[place:place] = raw[place : place + draw(st.integers(1, 30))]
            case _:
                raw[place : place + 1] = bytes([draw(st.integers(0, 255))])
    return bytes(raw)


# Lines that mean something, in any order: no response to begin with.
soups = st.lists(
    st.one_of(
        st.sampled_from(SPECIAL),
        st.sampled_from([b"HTTP/1.1 ", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 103\r\n", b"200"]),
        st.binary(max_size=3),
    ),
    max_size=24,
).map(b"".join)  # fmt: skip
whatever = st.one_of(mutated(), mutated(), soups, soups.map(b"HTTP/1.1 200 OK\r\n".__add__))
small = st.one_of(
    st.just(Limits()),
    st.builds(Limits, st.integers(10, 40), st.integers(1, 40), st.integers(0, 6)),
)
methods = st.sampled_from(["GET", "HEAD", "CONNECT"])


@examples(150)
@given(raw=whatever, at=places, method=methods, upgrade=st.booleans(), limits=small)
@example(  # a space after a value is no part of it
    raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\t\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
    at=[], method="GET", upgrade=False, limits=Limits(),
)  # fmt: skip
@example(  # a switch that does not say to what
    raw=b"HTTP/1.1 101 Switching\r\nConnection: upgraded\r\n\r\nbytes",
    at=[], method="GET", upgrade=True, limits=Limits(),
)  # fmt: skip
@example(  # what h11 does not look at
    raw=b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nContent-Length: 5\r\n\r\n",
    at=[], method="GET", upgrade=False, limits=Limits(),
)  # fmt: skip
@example(  # the CR of a line at its limit does not count, also when it comes alone
    raw=b"HTTP/1.1 200 OK\r\nA: b\r\nTransfer-Encoding:chunked\r\n\r\n0;" + b"x" * 22 + b"\r\n\r\n",
    at=[], method="GET", upgrade=False, limits=Limits(24, 30, 3),
)  # fmt: skip
def test_whatever_comes_both_engines_agree(
    raw: bytes, at: list[int], method: str, upgrade: bool, limits: Limits
) -> None:
    """Any split of the bytes gives the same answer or a refusal; only its words may differ."""
    answers = [
        receive(name, pieces, method=method, upgrade=upgrade, limits=limits)
        for name in NAMES
        for pieces in ways(raw, at)
    ]
    first = answers[0]
    for answer in answers:
        if isinstance(first, Refused):
            assert isinstance(answer, Refused), answer
        else:
            assert answer == first


@examples(40)
@given(
    raw=st.one_of(messages().map(lambda message: message.raw), whatever),
    method=methods,
    upgrade=st.booleans(),
    limits=small,
)
def test_no_place_is_special_to_cut_at(
    raw: bytes, method: str, upgrade: bool, limits: Limits
) -> None:
    """Each place of the bytes in turn is where one packet ends and the next one begins."""
    for name in NAMES:
        first = receive(name, [raw], method=method, upgrade=upgrade, limits=limits)
        for place in range(1, len(raw)):
            pieces = [raw[:place], raw[place:]]
            answer = receive(name, pieces, method=method, upgrade=upgrade, limits=limits)
            assert bool(answer) == bool(first), (place, answer, first)
            assert not first or answer == first


@dataclass
class Llhttp:
    """What llhttp, the parser of Node.js, reads in responses."""

    statuses: list[int] = field(default_factory=list)
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    is_head: bool = True
    complete: int = 0

    def __post_init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Read *data*.

        :raises httptools.HttpParserError: it is no response
        """
        with suppress(httptools.HttpParserUpgrade):
            self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        """Begin."""
        self.headers, self.body, self.trailers, self.is_head = [], b"", [], True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a field of the head or of the trailer."""
        (self.headers if self.is_head else self.trailers).append((name, value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        """Note the end of the head."""
        self.statuses.append(self._parser.get_status_code())
        self.is_head = False

    def on_body(self, data: bytes) -> None:
        """Take a piece of the body."""
        self.body += data

    def on_message_complete(self) -> None:
        """Count."""
        self.complete += 1


def check_by_llhttp(raw: bytes) -> None:
    """Assert that nobody reads *raw* differently, if the connection is kept after it."""
    raw = raw.replace(b"\t", b" ")  # llhttp does not know "chunked" with a tab behind it
    answer = receive("auto", [raw])
    if not isinstance(answer, Answer) or not answer.keep_alive or answer.surplus:
        return
    other = Llhttp()
    try:
        other.feed(raw)
    except httptools.HttpParserError as exc:
        # RFC 9110 §8.6 allows a length that is said twice to be read as one.  And an interim
        # response cannot be the last one of its connection, whatever it says.
        refused = "Duplicate Content-Length", "Data after `Connection: close`"
        if str(exc) == refused[0] or (str(exc) == refused[1] and answer.interim):
            return
        raise
    assert other.statuses == [*(each.status for each in answer.interim), answer.status], raw
    assert other.complete == len(other.statuses), raw
    assert other.headers == list(answer.headers), raw
    assert other.body == answer.body, raw
    assert other.trailers == list(answer.trailers), raw


def with_one_thing_wrong(raw: bytes) -> Iterator[bytes]:
    """Yield *raw* without each of its bytes, with each of them twice, and with others there."""
    for place in range(len(raw)):
        before, byte, after = raw[:place], raw[place : place + 1], raw[place + 1 :]
        for instead in (b"", byte * 2, b"\n", b"\r", b" ", b"0", b"x"):
            yield before + instead + after


@examples(60)
@given(raw=whatever)
def test_before_a_connection_is_kept_llhttp_reads_the_same(raw: bytes) -> None:
    """What anyone else between here and the server could read differently ends the connection."""
    check_by_llhttp(raw)


@examples(20)
@given(message=messages())
def test_whatever_is_wrong_with_a_byte_llhttp_reads_the_same(message: Message) -> None:
    """The same, for each byte of a response in turn."""
    check_by_llhttp(message.raw)
    for raw in with_one_thing_wrong(message.raw):
        check_by_llhttp(raw)


@given(
    raw=st.one_of(messages().map(lambda message: message.raw), mutated()),
    change=st.sampled_from([b"", *SPECIAL]),
    place=st.integers(0, 400),
    before=st.tuples(methods, small),
    now=st.tuples(methods, small),
)
def test_a_head_like_the_one_before_is_read_as_any_other(
    raw: bytes,
    change: bytes,
    place: int,
    before: tuple[str, Limits],
    now: tuple[str, Limits],
) -> None:
    """What a connection remembers of its last response is used for the same bytes only, and only
    where they mean the same.
    """
    for name in NAMES:
        last = started(name, method=before[0], limits=before[1])
        with suppress(ParseError):
            last.receive(raw)
        for second in (raw, raw[:place] + change + raw[place:]):
            method, limits = now
            remembered = receive(name, [second], method=method, limits=limits, after=last)
            fresh = receive(name, [second], method=method, limits=limits)
            assert remembered == fresh
