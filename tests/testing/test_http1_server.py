from __future__ import annotations

from itertools import pairwise

import h11
import pytest
from hypothesis import given, strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from anyhttp.testing._http1_server import (
    Headers,
    Http1Server,
    MalformedRequest,
    RequestEnd,
    RequestHead,
)

GET = b"GET /users/7?x=1 HTTP/1.1\r\nHost: api.test\r\n\r\n"


def asked(request: bytes = GET) -> Http1Server:
    """Return a server that has received *request*, which is read up to its end."""
    server = Http1Server()
    server.receive_data(request)
    while server.next_event() is not None:
        pass
    assert server.request_is_over
    return server


def events_of(server: Http1Server) -> list[RequestHead | bytes | RequestEnd]:
    """Return what the server tells of the bytes that it has."""
    found = []
    while (event := server.next_event()) is not None:
        found.append(event)
    return found


def read(request: bytes) -> tuple[RequestHead, bytes, RequestEnd]:
    """Return head, body and end of *request*, which comes at once."""
    server = Http1Server()
    server.receive_data(request)
    head, *pieces, end = events_of(server)
    assert isinstance(head, RequestHead)
    assert isinstance(end, RequestEnd)
    return head, b"".join(piece for piece in pieces if isinstance(piece, bytes)), end


# -- requests


def test_a_request_without_a_body() -> None:
    """Head and end come at once, and there is nothing more."""
    server = Http1Server()
    assert server.is_idle
    server.receive_data(GET)
    assert not server.is_idle
    head = server.next_event()
    assert isinstance(head, RequestHead)
    assert (head.method, head.target, head.version) == ("GET", "/users/7?x=1", "1.1")
    assert head.headers == CIMultiDict({"Host": "api.test"})
    assert server.head is head
    assert not server.request_is_over
    assert server.next_event() == RequestEnd(CIMultiDictProxy(CIMultiDict()))
    assert server.request_is_over
    assert server.next_event() is None


def test_a_body_with_a_length() -> None:
    """RFC 9112 §6.2."""
    head, body, _ = read(b"PUT / HTTP/1.1\r\nHost: a\r\ncontent-length: 5\r\n\r\nhello")
    assert head.headers["Content-Length"] == "5"
    assert body == b"hello"


def test_a_body_in_chunks_with_trailers() -> None:
    """RFC 9112 §7.1: extensions of chunks are ignored, trailers are told at the end."""
    _, body, end = read(
        b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, Chunked\r\n\r\n"
        b"5;name=value\r\nhello\r\nA \r\n, you over\r\n000\r\nX-Sum: 1\r\nX-Sum: 2\r\n\r\n"
    )
    assert body == b"hello, you over"
    assert end.trailers.getall("x-sum") == ["1", "2"]


def test_a_body_that_comes_byte_by_byte() -> None:
    """There is no event before there is something to tell."""
    server = Http1Server()
    told = []
    for byte in CHUNKED + b"2\r\nab\r\n0\r\nX: y\r\n\r\n":
        server.receive_data(bytes([byte]))
        told += events_of(server)
    assert told[1:3] == [b"a", b"b"]
    assert isinstance(told[3], RequestEnd)
    assert len(told) == 4


def test_values_keep_every_byte() -> None:
    """What is no UTF-8 is kept, too."""
    head, _, _ = read("GET / HTTP/1.1\r\nHost: a\r\nX: \tgrün \r\nY:\r\n\r\n".encode())
    assert (head.headers["X"], head.headers["Y"]) == ("grün", "")
    head, _, _ = read(b"GET / HTTP/1.1\r\nHost: a\r\nX: gr\xfcn\r\n\r\n")
    assert head.headers["X"].encode("utf-8", "surrogateescape") == b"gr\xfcn"


def test_empty_lines_before_a_request() -> None:
    """RFC 9112 §2.2: a server ignores them."""
    head, _, _ = read(b"\r\n\r\n" + GET)
    assert head.method == "GET"


def test_the_next_request_may_have_come_already() -> None:
    """Pipelined requests are told one after another."""
    server = Http1Server()
    server.receive_data(GET.replace(b"7", b"8") + GET)
    assert len(events_of(server)) == 2
    server.respond()
    assert server.next_exchange()
    assert not server.is_idle
    head, _ = events_of(server)
    assert isinstance(head, RequestHead)
    assert head.target == "/users/7?x=1"
    server.respond()
    assert server.next_exchange()
    assert server.is_idle


FRAMING = b"PUT / HTTP/1.1\r\nHost: a\r\n%b\r\n"
CHUNKED = FRAMING % b"Transfer-Encoding: chunked\r\n"


@pytest.mark.parametrize(
    ("request_", "reason"),
    [
        (b"GET /\r\n\r\n", "not a request line: 'GET /'"),
        (b"GET  / HTTP/1.1\r\n\r\n", "not a request line"),
        (b"GET / HTTP/2.0\r\n\r\n", "not a request line"),
        (b"G\xe9T / HTTP/1.1\r\n\r\n", "not a request line"),
        (b"GET /\x00 HTTP/1.1\r\n\r\n", "not a request line"),
        (b"GET / HTTP/1.1\r\n\r\n", r"needs one Host header, not \[\]"),
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "needs one Host header"),
        (FRAMING % b"X y\r\n", "not a header line: 'X y'"),
        (FRAMING % b"X : y\r\n", "not a header line: 'X : y'"),
        (FRAMING % b"X: y\r\n folded\r\n", "not a header line: ' folded'"),
        (FRAMING % b"X: a\nY: b\r\n", "not a header line"),
        (FRAMING % b"X: a\x00b\r\n", "not a header line"),
        (FRAMING % b"Content-Length: 1\r\nContent-Length: 2\r\n", "bad Content-Length: '1, 2'"),
        (FRAMING % b"Content-Length: -1\r\n", "bad Content-Length: '-1'"),
        (FRAMING % b"Content-Length: %b\r\n" % (b"9" * 5000), "bad Content-Length"),
        (FRAMING % "Content-Length: ٣\r\n".encode(), "bad Content-Length"),
        (
            FRAMING % b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n",
            "Transfer-Encoding with",
        ),
        (FRAMING % b"Transfer-Encoding: gzip\r\n", r"must be chunked: \['gzip'\]"),
        (b"PUT / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "Transfer-Encoding with"),
        (CHUNKED + b"x\r\n", "not the size of a chunk: b'x'"),
        (CHUNKED + b"-1\r\n", "not the size of a chunk"),
        (CHUNKED + b"1" * 20000, "not the size of a chunk: b'1{20}'..."),
        (CHUNKED + b"1\r\nab\r\n", "no end of line after a chunk: b'b"),
        (CHUNKED + b"0\r\nX\r\n\r\n", "not a header line: 'X'"),
    ],
)
def test_a_malformed_request(request_: bytes, reason: str) -> None:
    """A careful server refuses it, and says what is wrong."""
    server = Http1Server()
    server.receive_data(request_)
    with pytest.raises(MalformedRequest, match=reason):
        events_of(server)


def test_the_client_may_wait_for_a_sign() -> None:
    """RFC 9110 §10.1.1: the body comes after 100 (Continue)."""
    server = Http1Server()
    server.receive_data(FRAMING % b"Expect: 100-Continue\r\nContent-Length: 1\r\n")
    assert server.go_on() == b""
    assert isinstance(server.next_event(), RequestHead)
    assert server.expects_continue
    assert server.next_event() is None
    assert server.go_on() == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert server.go_on() == b""
    server.receive_data(b"x")
    assert server.next_event() == b"x"


def test_a_response_without_the_sign_ends_the_connection() -> None:
    """Nobody knows then whether the body comes."""
    server = Http1Server()
    server.receive_data(FRAMING % b"Expect: 100-continue\r\nContent-Length: 1\r\n")
    server.next_event()
    server.start(413)
    assert server.go_on() == b""
    assert not server.can_go_on


# -- responses


def test_a_whole_response() -> None:
    """The length is added, unless the caller has set one."""
    assert (
        asked().respond(201, {"X": "y"}, b"hello")
        == b"HTTP/1.1 201 Created\r\nX: y\r\nContent-Length: 5\r\n\r\nhello"
    )
    assert asked().respond(299) == b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n"
    assert asked().respond(reason="Fine", headers=[(b"content-LENGTH", b"0")]) == (
        b"HTTP/1.1 200 Fine\r\ncontent-LENGTH: 0\r\n\r\n"
    )


@pytest.mark.parametrize("status", [204, 304])
def test_a_status_without_a_body(status: int) -> None:
    """RFC 9112 §6.3: there is none, whatever the caller gives."""
    server = asked()
    assert server.respond(status, body=b"x").endswith(b"\r\n\r\n")
    assert server.next_exchange()


def test_the_response_to_head() -> None:
    """The headers are those of GET, and nothing follows."""
    server = asked(GET.replace(b"GET", b"HEAD"))
    assert server.respond(body=b"hello") == b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"
    assert server.next_exchange()
    server = asked(GET.replace(b"GET", b"HEAD"))
    server.start(200)
    assert server.send_data(b"hello") == b""
    assert server.finish({"X": "y"}) == b""
    assert server.next_exchange()


def test_a_body_in_pieces() -> None:
    """It is sent in chunks; an empty piece is no end."""
    server = asked()
    assert server.start(200) == b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert not server.response_is_over
    assert server.send_data(b"a" * 16) == b"10\r\n" + b"a" * 16 + b"\r\n"
    assert server.send_data(b"") == b""
    assert server.finish([("X-Sum", "ü")]) == "0\r\nX-Sum: ü\r\n\r\n".encode()
    assert server.response_is_over
    assert server.next_exchange()


def test_a_body_in_chunks_as_a_whole() -> None:
    """The caller may ask for chunks."""
    head, body = asked().respond(200, {"Transfer-Encoding": "chunked"}, b"hi").split(b"\r\n\r\n", 1)
    assert b"Content-Length" not in head
    assert body == b"2\r\nhi\r\n0\r\n\r\n"


@pytest.mark.parametrize("body", [b"", b"half", b"too much for it"])
def test_a_body_that_does_not_fit_its_length(body: bytes) -> None:
    """It is sent as it is, and the connection ends with it: so do broken servers."""
    server = asked()
    assert server.respond(200, {"Content-Length": "10"}, body).endswith(b"\r\n\r\n" + body)
    assert not server.next_exchange()


@pytest.mark.parametrize("headers", [{"Content-Length": "x"}, {"Transfer-Encoding": "gzip"}])
def test_a_framing_that_no_client_knows(headers: Headers) -> None:
    """The body lasts to the end of the connection."""
    server = asked()
    assert server.respond(200, headers, b"hello").endswith(b"\r\n\r\nhello")
    assert not server.next_exchange()


def test_the_response_to_http_1_0() -> None:
    """RFC 9112 §6.3: without a length, the body lasts to the end of the connection."""
    server = asked(b"GET / HTTP/1.0\r\n\r\n")
    assert server.start(200) == b"HTTP/1.1 200 OK\r\n\r\n"
    assert server.send_data(b"x") + server.finish() == b"x"
    assert not server.next_exchange()


@pytest.mark.parametrize("side", ["request", "response"])
def test_a_connection_that_one_side_wants_to_close(side: str) -> None:
    """RFC 9112 §9.6."""
    request = GET
    headers = {}
    if side == "request":
        request = GET.replace(b"\r\n\r\n", b"\r\nConnection: Keep-Alive, Close\r\n\r\n")
    else:
        headers = {"connection": "Close"}
    server = asked(request)
    server.respond(200, headers)
    assert not server.next_exchange()


def test_interim_responses() -> None:
    """RFC 8297: early hints come before the response, as many as there are."""
    server = asked()
    hint = server.inform(103, {"Link": "</a.css>"})
    assert hint == b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>\r\n\r\n"
    assert server.inform(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    server.start(200)
    with pytest.raises(RuntimeError, match="interim responses come before"):
        server.inform(103)


@pytest.mark.parametrize("status", [99, 101, 200])
def test_no_interim_status(status: int) -> None:
    """101 is a response; others are none at all."""
    with pytest.raises(ValueError, match=f"from 100 to 199 and not 101, not {status}"):
        asked().inform(status)


@pytest.mark.parametrize(
    ("request_", "status"),
    [(GET, 101), (b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 200)],
)
def test_leaving_http(request_: bytes, status: int) -> None:
    """RFC 9110 §7.8 and §9.3.6: what follows is somebody else's."""
    server = asked(request_ + b"other bytes")
    assert server.respond(status).endswith(b"\r\n\r\n")
    assert server.is_switched
    assert server.response_is_over
    assert not server.next_exchange()
    server.receive_data(b", and more")
    assert server.take_rest() == b"other bytes, and more"
    assert server.take_rest() == b""


def test_a_refused_tunnel() -> None:
    """It is a response like any other."""
    server = asked(b"CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n")
    server.respond(407, {}, b"no")
    assert not server.is_switched
    assert server.next_exchange()


@pytest.mark.parametrize("status", [0, 100, 199, 1000, "200", True, None])
def test_no_status(status: int) -> None:
    """The error says what was expected."""
    with pytest.raises((ValueError, TypeError), match="status"):
        asked().start(status)


@pytest.mark.parametrize(
    ("headers", "reason"),
    [
        ({"a b": "c"}, "not the name of a header: 'a b'"),
        ({"": "c"}, "not the name of a header: ''"),
        ({"X": "a\r\nY: b"}, "the header X must have a value of one line"),
        ([(b"X", b"\x00")], "the header X must have a value of one line"),
    ],
)
def test_no_header(headers: Headers, reason: str) -> None:
    """Nothing can be put between the lines by mistake."""
    with pytest.raises(ValueError, match=reason):
        asked().start(200, headers)
    with pytest.raises(ValueError, match=reason):
        asked().inform(103, headers)
    server = asked()
    server.start(200)
    with pytest.raises(ValueError, match=reason):
        server.finish(headers)


def test_headers_of_another_type() -> None:
    """The error names it."""
    with pytest.raises(TypeError, match="headers must be str or bytes, not int"):
        asked().start(200, {"X": 1})  # type: ignore[arg-type]


def test_a_reason_of_two_lines() -> None:
    """It would be a header."""
    with pytest.raises(ValueError, match="the reason must be one line"):
        asked().start(200, reason="a\nb")


def test_trailers_need_chunks() -> None:
    """RFC 9110 §6.5.1: there is no other place for them."""
    server = asked()
    server.start(200, {"Content-Length": "0"})
    with pytest.raises(ValueError, match="trailers need a body that is sent in chunks"):
        server.finish({"X": "y"})


def test_things_in_the_wrong_order() -> None:
    """A program error is told as what it is."""
    server = Http1Server()
    with pytest.raises(RuntimeError, match="there is no request to respond to"):
        server.respond()
    server = asked()
    with pytest.raises(RuntimeError, match="the response has not been started"):
        server.send_data(b"x")
    with pytest.raises(RuntimeError, match="the response has not been started"):
        server.finish()
    with pytest.raises(RuntimeError, match="the request or the response is not over"):
        server.next_exchange()
    server.respond()
    with pytest.raises(RuntimeError, match="the response has been started already"):
        server.start(200)
    for late in (server.send_data, lambda _: server.finish()):
        with pytest.raises(RuntimeError, match="the response is over"):
            late(b"x")


# -- any bytes

tokens = st.sampled_from(["GET", "PUT", "X-Y", "a", "!#$%&'*+-.^_`|~"])
values = st.text(st.characters(codec="utf-8", exclude_categories=["Cc"]), max_size=20)
fields = st.lists(st.tuples(st.sampled_from(["X", "Accept", "x-y"]), values), max_size=4)
bodies = st.lists(st.binary(min_size=1, max_size=30), max_size=4)


@st.composite
def requests(draw: st.DrawFn) -> bytes:
    """Well-formed requests."""
    lines = [f"{draw(tokens)} /{draw(tokens)} HTTP/1.1", "Host: a"]
    lines += [f"{name}: {value}" for name, value in draw(fields)]
    pieces = draw(bodies)
    body = b"".join(pieces)
    if draw(st.booleans()):
        lines.append("Transfer-Encoding: chunked")
        trailers = "".join(f"{name}: {value}\r\n" for name, value in draw(fields))
        body = b"".join(b"%x\r\n%b\r\n" % (len(piece), piece) for piece in pieces)
        body += b"0\r\n" + trailers.encode() + b"\r\n"
    elif body or draw(st.booleans()):
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode() + body


def cut(data: bytes, places: list[int]) -> list[bytes]:
    """Return *data* in pieces."""
    edges = sorted({0, len(data), *(place % (len(data) + 1) for place in places)})
    return [data[start:end] for start, end in pairwise(edges)]


def told(pieces: list[bytes], server: Http1Server) -> list[object]:
    """Return what the server tells of *pieces*, with each body as one."""
    found: list[object] = []
    for piece in pieces:
        server.receive_data(piece)
        while True:
            event = server.next_event()
            if event is None:
                if not server.request_is_over:
                    break
                server.respond()
                assert server.next_exchange()
            elif isinstance(event, bytes) and isinstance(found[-1], bytes):
                found[-1] += event
            else:
                found.append(event)
    return found


@given(data=st.lists(requests(), max_size=3).map(b"".join), places=st.lists(st.integers(0, 5000)))
def test_any_cut_of_the_bytes_tells_the_same(data: bytes, places: list[int]) -> None:
    """Nothing depends on how the bytes arrive."""
    whole = told([data] if data else [], Http1Server())
    assert told(cut(data, places), Http1Server()) == whole


@given(request=requests())
def test_another_server_reads_the_same(request: bytes) -> None:
    """h11 agrees on what method, target, headers, body and trailers are."""
    head, body, end = read(request)
    other = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    other.receive_data(request)
    first = other.next_event()
    assert isinstance(first, h11.Request)
    assert (head.method.encode(), head.target.encode()) == (first.method, first.target)
    # h11 strips any white space from the ends of values, and lowers the case of codings.
    ours = [(name.lower(), value.strip().lower()) for name, value in head.headers.items()]
    assert ours == [
        (name.decode(), value.decode().strip().lower()) for name, value in first.headers
    ]
    received = b""
    while isinstance(event := other.next_event(), h11.Data):
        received += event.data
    assert received == body
    assert isinstance(event, h11.EndOfMessage)
    assert [name.lower() for name, _ in end.trailers.items()] == [
        name.decode() for name, _ in event.headers
    ]


@given(data=st.binary(max_size=200), places=st.lists(st.integers(0, 300)))
def test_any_bytes_are_read_or_refused(data: bytes, places: list[int]) -> None:
    """There is no other error, and the cut decides nothing."""

    def outcome(pieces: list[bytes]) -> object:
        try:
            return told(pieces, Http1Server())
        except MalformedRequest:
            return "refused"

    noise = b"PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + data
    assert (outcome(cut(data, places)) == "refused") == (outcome([data]) == "refused")
    assert (outcome(cut(noise, places)) == "refused") == (outcome([noise]) == "refused")


@given(body=st.lists(st.binary(max_size=40), max_size=5), fields=fields, length=st.booleans())
def test_another_client_reads_what_is_sent(
    body: list[bytes], fields: list[tuple[str, str]], length: bool
) -> None:
    """h11 reads the response as it was meant."""
    server = asked()
    headers = [(name, "".join(filter(str.isalnum, value))) for name, value in fields]
    if length:
        headers.append(("Content-Length", str(len(b"".join(body)))))
    data = server.start(200, headers) + b"".join(map(server.send_data, body)) + server.finish()
    client = h11.Connection(h11.CLIENT)
    client.send(h11.Request(method="GET", target="/", headers=[("Host", "a")]))
    client.send(h11.EndOfMessage())
    client.receive_data(data)
    response = client.next_event()
    assert isinstance(response, h11.Response)
    names = [name.lower().encode() for name, _ in headers]
    assert [name for name, _ in response.headers if name != b"transfer-encoding"] == names
    received = b""
    while isinstance(event := client.next_event(), h11.Data):
        received += event.data
    assert received == b"".join(body)
    assert isinstance(event, h11.EndOfMessage)
    assert server.next_exchange()
