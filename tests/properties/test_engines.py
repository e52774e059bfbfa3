"""However a response is cut into pieces, and whichever engine reads it: one answer."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from hypothesis import example, given, settings, strategies as st

from anyhttp._http1 import Limits, ParseError
from tests.support.engines import NAMES, Answer, Refused, cut, receive, started

TOKEN = "!#$%&'*+-.^_`|~09AZaz"
# what is special somewhere in a response, for mutations to put elsewhere
SPECIAL = [
    *(bytes([code]) for code in b'\x00\t\n\r "+,-0:;=\\_a\x7f\xff'),
    *(b"\r\n", b"\r\n ", b"0\r\n\r\n", b"\r\n\r\n", b"\t\r\n", b"chunked", b"identity", b"5"),
    *(b"Content-Length: 5\r\n", b"Transfer-Encoding: chunked\r\n", b"Content-Length: 05\r\n"),
    *(b"\n\n", b"\n ", b"\n\r\n", b"X: a\n", b"X:\r\n a\r\n", b"\x0b", b"\x0c"),
    *(b"\x01", b" ;", b"; "),
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


names = st.text(TOKEN, min_size=1, max_size=12).map(lambda name: b"X-" + name.encode())
texts = st.lists(
    st.sampled_from(
        [b"a", b"Z", b" ", b"\t", b":", b",", b";", b'"', b"~", b"!", b"\x80", b"\xff"]
    ),
    max_size=12,
).map(b"".join)
values = texts.map(lambda text: text.strip(b" \t"))
spaces = st.sampled_from([b"", b" ", b"\t", b" \t "])
bodies = st.one_of(st.binary(max_size=40), st.sampled_from([b"\r\n", b"0\r\n\r\n", b"HTTP/1.1 "]))


@st.composite
def chunked(draw: st.DrawFn) -> tuple[bytes, bytes, tuple[int, ...]]:
    """Return framed bytes, the body in them, and where its chunks end."""
    raw, body, ends = b"", b"", []
    extension = st.sampled_from([b"", b";a", b";a=b", b';a="b;\\"c"', b";a=b;c=d"])
    for chunk in draw(st.lists(bodies.filter(bool), max_size=4)):
        size = draw(st.sampled_from(["%x", "%X", "%05x"])) % len(chunk)
        raw += size.encode() + draw(extension) + b"\r\n" + chunk + b"\r\n"
        body += chunk
        ends.append(len(body))
    raw += draw(st.sampled_from([b"0", b"000"])) + draw(extension) + b"\r\n"
    for name, value in draw(st.lists(st.tuples(names, values), max_size=2)):
        raw += name + b":" + draw(spaces) + value + b"\r\n"
    return raw + b"\r\n", body, tuple(ends)


@st.composite
def messages(draw: st.DrawFn) -> Message:
    """Return a response that nothing is wrong with."""
    status = draw(st.one_of(st.just(200), st.integers(200, 999).filter(lambda s: s != 204)))
    status = 200 if status == 304 else status
    reason = draw(texts)
    fields = draw(st.lists(st.tuples(names, values), max_size=4))
    body = draw(bodies)
    ends: tuple[int, ...] = ()
    framing = draw(st.sampled_from(["length", "twice", "chunked", "eof"]))
    extra: list[tuple[bytes, bytes]] = []
    sent = body
    if framing == "chunked":
        sent, body, ends = draw(chunked())
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
    for _ in range(draw(st.integers(0, 2))):
        raw = b"HTTP/1.1 10%d\r\nX: y\r\n\r\n" % draw(st.sampled_from([0, 2, 3])) + raw
    return Message(raw, status, reason, tuple(fields), body, ends)


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
            assert answer.surplus == b""


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """Return a response with up to three things wrong with it."""
    raw = bytearray(draw(messages()).raw)
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, len(raw)))
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


small = st.sampled_from([Limits(), Limits(max_line_size=24, max_field_size=20, max_headers=3)])
methods = st.sampled_from(["GET", "HEAD", "CONNECT"])


@settings(max_examples=300)
@given(raw=mutated(), at=places, method=methods, upgrade=st.booleans(), limits=small)
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
