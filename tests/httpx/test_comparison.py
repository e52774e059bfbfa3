"""The same request through the library's own transport and through ours: the same on the wire.

Differences that are meant are in ``test_differences.py``.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, Self

import anyio
import pytest

from tests.support.httpx_libraries import Do, Library, Outcome, assert_same, compare, outcome
from tests.support.peer import CLOSE, CUT, DEAF, HELLO, RESET, STALL, Head, Script, Step

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


def get(path: str = "/", **options: Any) -> Do:
    """Return what requests *path*."""

    async def do(client: Any, url: str) -> Any:
        return await client.get(url + path, **options)

    return do


def request(method: str, path: str = "/", **options: Any) -> Do:
    """Return what makes a request."""

    async def do(client: Any, url: str) -> Any:
        return await client.request(method, url + path, **options)

    return do


async def body(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield *pieces*, with other tasks in between."""
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        yield piece


REQUESTS: dict[str, Do] = {
    "plain": get("/"),
    "query and escapes as given": get("/a%2Fb;c/%7e?x=%20y&z=a+b&e=%C3%A9"),
    "text beyond ASCII in the path": get("/é?ü=ö"),
    "headers: order, case, duplicates": get(
        headers=[("X-b", "1"), ("x-A", "2"), ("X-b", "3"), ("UPPER", "x y")]
    ),
    "a Host of its own": get(headers={"host": "other.example:1"}),
    "a Host that is not first": request("GET", headers=[("X", "1"), ("Host", "h.example")]),
    "Connection: close": get(headers={"Connection": "close"}),
    "bytes beyond ASCII in a value": get(headers=[(b"X", b"\xe9\xff")]),
    "an empty value": get(headers={"X": ""}),
    "another target": get(extensions={"target": b"http://x.example/y?%"}),
    "asterisk": request("OPTIONS", extensions={"target": b"*"}),
    "HEAD-like method of one's own": request("PURGE"),
    "POST without a body": request("POST"),
    "POST with bytes": request("POST", content=b"hello"),
    "POST with JSON": request("POST", json={"a": [1, "é"]}),
    "POST with a form": request("POST", data={"a": "1", "b": "x y"}),
    "GET with a body": request("GET", content=b"hello"),
    "large bytes": request("POST", content=b"x" * 200_000),
    "a length of one's own": request(
        "POST", content=b"hello", headers={"content-length": "5"}
    ),
    "Expect is not waited for": request("POST", content=b"a", headers={"Expect": "100-continue"}),
}  # fmt: skip


@pytest.mark.parametrize("do", REQUESTS.values(), ids=REQUESTS)
async def test_requests_are_sent_byte_for_byte(library: Library, script: Script, do: Do) -> None:
    """Nothing is added, taken away or put in another order: httpx decides what is sent."""
    found = await assert_same(library, script, [[(b"", OK)]], do)
    assert found.body == b"ok"


RESPONSES: dict[str, bytes] = {
    "no body": b"HTTP/1.1 204 No Content\r\nX: 1\r\n\r\n",
    "raw headers": b"HTTP/1.1 200 Fine, thanks\r\nx-B: 1\r\nX-a:2  \r\nx-B: 3\r\n"
    b"Set-Cookie: a=b\r\nSet-Cookie: c=d\r\nContent-Length: 0\r\n\r\n",
    "no reason": b"HTTP/1.1 299 \r\nContent-Length: 0\r\n\r\n",
    "a reason beyond ASCII": b"HTTP/1.1 200 \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    "a value beyond ASCII": b"HTTP/1.1 200 OK\r\nX: \xe9\xff\r\nContent-Length: 0\r\n\r\n",
    "chunked": b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    b"3\r\nabc\r\n2;x=y\r\nde\r\n0\r\nTrailer: x\r\n\r\n",
    "error status": b"HTTP/1.1 500 Oh\r\nContent-Length: 3\r\n\r\nwhy",
    "redirect, which httpx does not follow": b"HTTP/1.1 302 Found\r\nLocation: /b\r\n"
    b"Content-Length: 0\r\n\r\n",
    "informational heads before": b"HTTP/1.1 103 Early\r\nX: y\r\n\r\nHTTP/1.1 100 C\r\n\r\n" + OK,
    "not modified with a length": b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
    "gzip": b"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 23\r\n\r\n"
    + bytes.fromhex("1f8b08000000000002ffcbc840000086a6103605000000")[:23],
    "many fields": b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 500 + b"Content-Length: 0\r\n\r\n",
    "a long field": b"HTTP/1.1 200 OK\r\nX: " + b"y" * 60_000 + b"\r\nContent-Length: 0\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("reply", RESPONSES.values(), ids=RESPONSES)
async def test_responses_are_the_same(library: Library, script: Script, reply: bytes) -> None:
    """Status, reason, version, fields and body are those that the peer has sent."""

    async def do(client: Any, url: str) -> Any:
        async with client.stream("GET", url) as response:
            raw = b"".join([piece async for piece in response.aiter_raw()])
            ends = {**response.extensions}
            del ends["network_stream"]
            return response.status_code, response.headers.raw, raw, ends

    found = await assert_same(library, script, [[(b"", reply)]], do)
    assert found.result is not None


UNTIL_CLOSED: dict[str, list[Step]] = {
    "HTTP/1.0": [(b"", [b"HTTP/1.0 200 OK\r\nX: 1\r\n\r\nall of it", CLOSE])],
    "HTTP/1.1": [(b"", [b"HTTP/1.1 200 OK\r\n\r\n", b"all ", b"of it", CLOSE])],
}


@pytest.mark.parametrize("steps", UNTIL_CLOSED.values(), ids=UNTIL_CLOSED)
async def test_bodies_that_end_with_the_connection(
    library: Library, script: Script, steps: Sequence[Step]
) -> None:
    """RFC 9112 §6.3: without a length, the end of the connection is that of the body."""
    found = await assert_same(library, script, [steps], get())
    assert found.body == b"all of it"


async def test_connections_are_used_again(library: Library, script: Script) -> None:
    """A body that has been read leaves the connection for the next request."""

    async def do(client: Any, url: str) -> Any:
        first = await client.get(url + "/a")
        second = await client.post(url + "/b", content=b"x")
        third = await client.get(url + "/c")
        return [each.text for each in (first, second, third)]

    found = await assert_same(
        library, script, [[(b"GET /a ", OK), (b"POST /b ", OK), (b"GET /c ", OK)]], do
    )
    assert found.result == ["ok", "ok", "ok"]


async def test_a_connection_that_the_peer_closes_is_not_used_again(
    library: Library, script: Script
) -> None:
    """``Connection: close`` in a response, and one that is closed while it is idle."""
    close = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nok"

    async def do(client: Any, url: str) -> Any:
        return [(await client.get(url + path)).text for path in ("/a", "/b", "/c")]

    connections: list[list[Step]] = [
        [(b"GET /a ", close)],
        [(b"GET /b ", close)],
        [(b"GET /c ", OK)],
    ]
    found = await assert_same(library, script, connections, do)
    assert found.result == ["ok", "ok", "ok"]


async def test_half_read_bodies_close_the_connection(
    library: Library, script: Script, anyio_backend_name: str
) -> None:
    """The rest is not read: the next request gets another connection."""

    async def do(client: Any, url: str) -> Any:
        async with client.stream("GET", url + "/a") as response:
            pieces = aiter(response.stream)
            piece = await anext(pieces)
            await pieces.aclose()
        return piece, (await client.get(url + "/b")).text

    steps: list[list[Step]] = [
        [(b"GET /a ", [b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n", b"hel", STALL])],
        [(b"GET /b ", OK)],
    ]
    if anyio_backend_name == "trio":  # where httpcore's generators are not closed
        peer = await script(*steps)
        ours = library.ours(verify=False)
        found = await outcome(ours, library.package, do, str(peer.url).rstrip("/"))
    else:
        found = await assert_same(library, script, steps, do)
    assert found.result == (b"hel", "ok")


# -- streamed bodies of requests


async def test_bodies_in_chunks(library: Library, script: Script) -> None:
    """An iterator without a length is sent in chunks; how they are cut may differ."""
    for transport in (library.own, library.ours):
        peer = await script([(b"POST / ", OK)])
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            response = await client.post(str(peer.url), content=body(b"hel", b"lo"))
        assert response.text == "ok"
        head, _, rest = peer.requests[0].partition(b"\r\n\r\n")
        assert b"\r\nTransfer-Encoding: chunked" in head
        assert dechunked(rest) == b"hello"


def dechunked(data: bytes) -> bytes:
    """Return the content of a body in chunks."""
    content = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        content += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return content


async def test_streamed_bodies_with_a_length(library: Library, script: Script) -> None:
    """``Content-Length`` that the program gives makes an iterator a plain body."""

    async def do(client: Any, url: str) -> Any:
        headers = {"Content-Length": "5"}
        return await client.post(url, content=body(b"hel", b"lo"), headers=headers)

    await assert_same(library, script, [[(b"POST / ", OK)]], do)


async def test_files_and_forms(library: Library, script: Script) -> None:
    """A multipart of httpx: its length is known, and it is read piece by piece."""

    async def do(client: Any, url: str) -> Any:
        files = {"f": ("a.txt", b"x" * 100_000, "text/plain")}
        headers = {"Content-Type": "multipart/form-data; boundary=b"}
        return await client.post(url, data={"a": "1"}, files=files, headers=headers)

    await assert_same(library, script, [[(b"POST / ", OK)]], do)


# -- failures

FAILURES: dict[str, tuple[list[Step], str]] = {
    "closed before a response": ([(b"", CLOSE)], "RemoteProtocolError"),
    "reset before a response": ([(b"", RESET)], "ReadError"),
    "closed in the head": ([(b"", [b"HTTP/1.1 200 OK\r\nX", CLOSE])], "RemoteProtocolError"),
    "no HTTP": ([(b"", [b"220 mail.example ESMTP\r\n\r\n", CLOSE])], "RemoteProtocolError"),
    "a field without a colon": (
        [(b"", [b"HTTP/1.1 200 OK\r\nbad\r\n\r\n", CLOSE])],
        "RemoteProtocolError",
    ),
    "two lengths": (
        [(b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", CLOSE])],
        "RemoteProtocolError",
    ),
    "a switch that was not asked for": (
        [(b"", [b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", CLOSE])],
        "RemoteProtocolError",
    ),
    "an endless head": (
        [(b"", [b"HTTP/1.1 200 OK\r\nX: " + b"y" * 200_000, CLOSE])],
        "RemoteProtocolError",
    ),
    "closed in the body": (
        [(b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CLOSE])],
        "RemoteProtocolError",
    ),
    "closed in a chunk": (
        [(b"", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\nabc", CLOSE])],
        "RemoteProtocolError",
    ),
    "reset in the body": (
        [(b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", b"abc", RESET])],
        "ReadError",
    ),
    "a bad chunk": (
        [(b"", [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"zz\r\n", CLOSE])],
        "RemoteProtocolError",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("steps", "error"), FAILURES.values(), ids=FAILURES)
async def test_failures_have_the_same_exceptions(
    library: Library, script: Script, steps: list[Step], error: str
) -> None:
    """The exceptions are httpx's; the client adds the request, and ours is the cause."""
    found = await assert_same(library, script, [steps], get(), partial=True)
    assert found.error == error


REFUSED: dict[str, Do] = {
    "a line break in a value": get(headers=[(b"X", b"a\r\nY: b")]),
    "NUL in a value": get(headers=[(b"X", b"a\0b")]),
    "a space before a value": get(headers={"X": " a"}),
    "a space after a value": get(headers={"X": "a "}),
    "a value that is a space": get(headers={"X": " "}),
    "a bad name": get(headers=[(b"X Y", b"a")]),
    "a name with a line break": get(headers=[(b"X: 1\r\nY", b"a")]),
    "a target with a space": get(extensions={"target": b"/a b"}),
    "a target that is not ASCII": get(extensions={"target": b"/\xff"}),
    "a bad method": request("GE T"),
    "two hosts": get(headers=[("Host", "a"), ("Host", "b")]),
    "another coding": request("POST", content=b"a", headers={"Transfer-Encoding": "gzip"}),
    "no number as length": request("POST", content=b"a", headers={"Content-Length": "x"}),
}


@pytest.mark.parametrize("do", REFUSED.values(), ids=REFUSED)
async def test_requests_that_cannot_be_sent(library: Library, script: Script, do: Do) -> None:
    """A program's mistakes are ``LocalProtocolError``, and split no request."""
    for transport in (library.own, library.ours):
        peer = await script([STALL], partial=True)
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            with pytest.raises(library.package.LocalProtocolError) as caught:
                await do(client, str(peer.url))
        assert caught.value.request is not None
        assert isinstance(caught.value.__cause__, Exception)


# -- time limits


def timed(library: Library, do: Do, **limits: float) -> Do:
    """Return what does *do* with these limits alone."""

    async def run(client: Any, url: str) -> Any:
        client.timeout = library.package.Timeout(None, **limits)
        return await do(client, url)

    return run


async def test_read_timeout_before_the_response(library: Library, script: Script) -> None:
    """``read`` limits the wait for the first byte of the response."""
    found = await assert_same(library, script, [[(b"", STALL)]], timed(library, get(), read=0.1))
    assert found.error == "ReadTimeout"


async def test_read_timeout_in_the_body(library: Library, script: Script) -> None:
    """``read`` limits each wait for more of the body."""
    found = await assert_same(
        library,
        script,
        [[(b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", STALL])]],
        timed(library, get(), read=0.1),
    )
    assert found.error == "ReadTimeout"


async def test_read_timeout_of_zero(library: Library, script: Script) -> None:
    """0 is a limit that is over at once, and not none."""
    do = timed(library, get(), read=0)
    (own, ours), _ = await compare(library, script, [[(b"", STALL)]], do, partial=True)
    assert own == ours == Outcome(error="ReadTimeout")


class Large:
    """An iterator that yields a large piece; it is no generator, which httpx would not close."""

    def __init__(self) -> None:
        self.pieces = [b"x" * 20_000_000]

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        await anyio.lowlevel.checkpoint()
        if not self.pieces:
            raise StopAsyncIteration
        return self.pieces.pop()


@pytest.mark.parametrize("streamed", [False, True])
async def test_write_timeout(
    library: Library, script: Script, anyio_backend_name: str, streamed: bool
) -> None:
    """``write`` limits how long the peer may take nothing of the body."""

    async def do(client: Any, url: str) -> Any:
        return await client.post(url, content=Large() if streamed else b"x" * 20_000_000)

    limited = timed(library, do, write=0.2)
    # On trio httpcore leaves a generator to the garbage collector, of which trio warns.
    transports = [library.ours] if anyio_backend_name == "trio" else [library.own, library.ours]
    for transport in transports:
        peer = await script([(Head(b"POST / "), DEAF)])
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            with pytest.raises(library.package.WriteTimeout):
                await limited(client, str(peer.url))


async def test_pool_timeout(library: Library, script: Script) -> None:
    """``pool`` limits the wait for one of the connections that are allowed."""

    async def do(client: Any, url: str) -> Any:
        async with client.stream("GET", url):
            return await client.get(url)

    found = await assert_same(
        library,
        script,
        [[(b"", [b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", STALL])]],
        timed(library, do, pool=0.1),
        limits=library.package.Limits(max_connections=1),
    )
    assert found.error == "PoolTimeout"


@pytest.mark.parametrize("end", [CUT, RESET])
async def test_connect_errors(library: Library, script: Script, end: Any) -> None:
    """Nobody listens; and a peer that ends the connection instead of starting TLS."""

    async def refused(client: Any, url: str) -> Any:
        return await client.get("http://127.0.0.1:1/")

    async def broken(client: Any, url: str) -> Any:
        return await client.get(url.replace("http:", "https:"))

    found = await assert_same(library, script, [], refused)
    assert found.error == "ConnectError"
    (own, ours), _ = await compare(library, script, [[(HELLO, end)]], broken)
    assert own == ours == Outcome(error="ConnectError")


async def test_connect_timeout(library: Library, script: Script) -> None:
    """``connect`` limits the TLS handshake, too."""

    async def do(client: Any, url: str) -> Any:
        return await client.get(url.replace("http:", "https:"))

    limited = timed(library, do, connect=0.1)
    for transport in (library.own, library.ours):
        peer = await script([STALL])
        async with library.package.AsyncClient(transport=transport(verify=False)) as client:
            with pytest.raises(library.package.ConnectTimeout):
                await limited(client, str(peer.url))


async def test_unsupported_protocols(library: Library, script: Script) -> None:
    """Only http and https, and ws and wss for those that speak WebSocket over it."""

    async def do(client: Any, url: str) -> Any:
        return await client.get("ftp://localhost/")

    found = await assert_same(library, script, [], do)
    assert found.error == "UnsupportedProtocol"
