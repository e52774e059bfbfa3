"""The bytes of recorded responses, and the stream that sends them."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import anyio
import hypothesis
import pytest
from hypothesis import strategies as st
from yarl import URL

from anyhttp.testing._cassette import Cassette, CassetteOptions, UnrecordedRequest
from anyhttp.testing._har import (
    HarContent,
    RecordedRequest,
    RecordedResponse,
    entry_of,
    write_har,
)
from anyhttp.testing._http1_server import MalformedRequest, RequestHead
from anyhttp.testing._memory import memory_connection
from anyhttp.testing._observed import ExchangeObserver, ObservedStream, decoded_request
from anyhttp.testing._replay import encoded_body, response_bytes, without_codings
from anyhttp.testing._replay_stream import ReplayStream
from tests.support.examples import examples

# -- codings ----------------------------------------------------------------------------

ALL_CODINGS = ["gzip", "x-gzip", "deflate", "br", "zstd"]


@hypothesis.given(
    st.binary(max_size=300).flatmap(
        lambda body: st.integers(0, 1000).map(lambda times: (body * times)[:300_000])
    ),
    st.lists(st.sampled_from(ALL_CODINGS), min_size=1, max_size=3).map(", ".join),
)
@examples(60)
def test_any_body_can_be_put_into_any_coding(body: bytes, coding: str) -> None:
    """Also where the library that would compress it is missing."""
    encoded = encoded_body(body, coding)
    assert encoded is not None
    assert without_codings(encoded, coding) == body


@pytest.mark.parametrize("size", [0, 1, 65535, 65536, 65537, 131071, 131072, 131073])
@pytest.mark.parametrize("coding", ALL_CODINGS)
def test_bodies_at_the_sizes_of_blocks(size: int, coding: str) -> None:
    """The formats hold blocks of 64 and of 128 KiB."""
    body = bytes(number % 251 for number in range(size))
    encoded = encoded_body(body, coding)
    assert encoded is not None
    assert without_codings(encoded, coding) == body


@pytest.mark.parametrize(
    ("coding", "body", "decoded"),
    [
        ("", b"x", b"x"),
        ("identity", b"x", b"x"),
        ("gzip", b"no gzip", None),
        ("unheard-of", b"x", None),
        ("gzip," * 6, b"x", None),
        ("gzip", (encoded_body(b"hello", "gzip") or b"")[:-3], None),
    ],
)
def test_codings_that_can_and_that_cannot_be_undone(
    coding: str, body: bytes, decoded: bytes | None
) -> None:
    """What cannot is left as it was sent."""
    assert without_codings(body, coding) == decoded


# -- responses --------------------------------------------------------------------------


def response(*headers: tuple[str, str], text: str | None = "hello", **changes: Any) -> Any:
    """A response in a file."""
    content = HarContent(mime_type="", text=text, is_base64=False, size=5)
    parts: dict[str, Any] = {"status": 200, "reason": "OK", "http_version": "HTTP/1.1"}
    return RecordedResponse(**{**parts, **changes}, headers=headers, content=content)


@pytest.mark.parametrize(
    ("recorded", "sent"),
    [
        (response(), b"\r\n\r\nhello"),
        (response(http_version="h2"), b"\r\nContent-Length: 5\r\n\r\nhello"),
        (response(http_version=""), b"\r\nContent-Length: 5\r\n\r\nhello"),
        (
            response(("content-length", "7"), ("X", "1"), ("Content-Length", "8")),
            b"\r\ncontent-length: 5\r\nX: 1\r\n\r\nhello",
        ),
        (
            response(("Transfer-Encoding", "chunked"), ("Content-Length", "8")),
            b"\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ),
        (
            response(("Transfer-Encoding", "chunked"), text=""),
            b"\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        ),
        (response(("Transfer-Encoding", "gzip, chunked")), b"\r\n\r\nhello"),
        (response(("Content-Encoding", "unheard-of")), b"\r\n\r\nhello"),
        (response(("Content-Encoding", "gzip," * 6)), b"\r\n\r\nhello"),
        (
            response(("Content-Encoding", "x"), is_encoded=True),
            b"\r\nContent-Encoding: x\r\n\r\nhello",
        ),
        (
            response(("Content-Length", "8"), is_cut=True),
            b"\r\nContent-Length: 8\r\n\r\nhello",
        ),
        (response(("Content-Encoding", "gzip"), text=""), b"\r\nContent-Encoding: gzip\r\n\r\n"),
        (response(("Content-Length", "5"), status=304), b"\r\nContent-Length: 5\r\n\r\n"),
    ],
)
def test_the_headers_are_those_of_the_file_where_they_fit_the_body(
    recorded: RecordedResponse, sent: bytes
) -> None:
    """Tools write bodies decoded and without chunks."""
    assert response_bytes(recorded, "GET").partition(b" OK")[2] == sent


def test_a_response_to_head_has_no_body() -> None:
    """Its headers are as they were, and so is its version."""
    recorded = response(("Content-Length", "9"), text=None, http_version="HTTP/1.0")
    assert response_bytes(recorded, "HEAD") == b"HTTP/1.0 200 OK\r\nContent-Length: 9\r\n\r\n"
    with pytest.raises(ValueError, match="its body was not saved"):
        response_bytes(recorded, "GET")


# -- the stream -------------------------------------------------------------------------

ASK = b"GET /a HTTP/1.1\r\nHost: a.test\r\n\r\n"
URL_A = URL("http://a.test/a")


class Playing:
    """What a stream asks for its answer."""

    def __init__(
        self, path: str, *, mode: Any = "none", text: str = "hello", is_early: bool = False
    ) -> None:
        request = decoded_request("GET", URL_A, [], b"", is_websocket=False)
        recorded = response(("Content-Length", "5"), text=text, is_early=is_early)
        write_har(path, {}, [entry_of(request, recorded, name="", started=0)])
        self.cassette = Cassette(path, CassetteOptions(mode=mode))
        self.theirs: Any = None
        self.begun = anyio.Event()
        self.goes_on = anyio.Event()
        self.goes_on.set()

    def request(self, head: RequestHead, body: bytes) -> RecordedRequest:
        """The request, which needs no filters here."""
        return decoded_request(head.method, URL_A, head.headers.items(), body, is_websocket=False)

    def refuse(self, request: RecordedRequest) -> UnrecordedRequest:
        """The error for a request that was not recorded."""
        return self.cassette.refusal(request)

    async def connect(self) -> ObservedStream:
        """A connection in memory."""
        self.begun.set()
        await self.goes_on.wait()
        ours, self.theirs = memory_connection()
        return ObservedStream(ours, ours, ExchangeObserver(URL_A, lambda observer: None))


@pytest.fixture
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Where the cassette is."""
    return str(tmp_path_factory.mktemp("replay") / "some.har")


async def test_an_answer_comes_in_pieces_and_then_its_end(path: str) -> None:
    """As large as the reader asks for."""
    stream = ReplayStream(Playing(path))
    assert dict(stream.extra_attributes) == {}
    await stream.send(ASK[:10])
    await stream.send(ASK[10:])
    await stream.send_eof()
    assert await stream.receive(4) == b"HTTP"
    assert (await stream.receive()).endswith(b"hello")
    for _ in range(2):
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
    await stream.aclose()


async def test_a_large_answer_comes_in_pieces_as_from_a_socket(path: str) -> None:
    """Not all at once, and no byte is lost."""
    stream = ReplayStream(Playing(path, text="x" * 200_000))
    await stream.send(ASK)
    sizes = []
    with suppress(anyio.EndOfStream):
        while True:
            sizes.append(len(await stream.receive(128 * 1024)))
    assert max(sizes) == 65536
    assert sum(sizes) > 200_000
    await stream.aclose()


async def test_the_rest_of_a_request_that_has_been_answered_is_taken(path: str) -> None:
    """The answer was early when it was recorded."""
    stream = ReplayStream(Playing(path, is_early=True))
    await stream.send(ASK.replace(b"\r\n\r\n", b"\r\nContent-Length: 2\r\n\r\n1"))
    assert (await stream.receive()).endswith(b"hello")
    await stream.send(b"2")
    with pytest.raises(anyio.EndOfStream):
        await stream.receive()
    await stream.aclose()


async def test_receiving_waits_for_the_request(path: str) -> None:
    """And closing ends the wait."""
    for sends in (True, False):
        stream = ReplayStream(Playing(path))
        ended: list[Any] = []

        async def receive(stream: ReplayStream = stream, ended: list[Any] = ended) -> None:
            try:
                ended.append(await stream.receive())
            except anyio.ClosedResourceError as exc:
                ended.append(exc)

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(receive)
            await anyio.wait_all_tasks_blocked()
            assert not ended
            if sends:
                await stream.send(ASK)
            else:
                stream.abort()
        assert isinstance(ended[0], bytes) == sends
        await stream.aclose()
        for use in (stream.receive(), stream.send(b"x")):
            with pytest.raises(anyio.ClosedResourceError):
                await use


async def test_what_is_no_request_is_an_error_of_the_answer(path: str) -> None:
    """The client must not take it for an error of sending."""
    stream = ReplayStream(Playing(path))
    await stream.send(b"GET / HTTP/1.1\r\n\r\n")
    with pytest.raises(MalformedRequest, match="Host"):
        await stream.receive()
    await stream.aclose()


async def test_a_request_that_is_not_in_the_cassette_goes_on_for_real(path: str) -> None:
    """With all that has been sent, and all that will be."""
    playing = Playing(path, mode="new_episodes")
    stream = ReplayStream(playing)
    other = ASK.replace(b"GET", b"PUT").replace(b"\r\n\r\n", b"\r\nContent-Length: 1\r\n\r\n")
    await stream.send(other)
    assert not playing.begun.is_set()
    await stream.send(b"1")
    assert await playing.theirs.receive() == other + b"1"
    await stream.send(b"more")
    assert await playing.theirs.receive() == b"more"
    await playing.theirs.send(b"answer")
    assert await stream.receive() == b"answer"
    assert dict(stream.extra_attributes)
    stream.abort()
    with pytest.raises(anyio.BrokenResourceError):
        await playing.theirs.receive()
    await stream.aclose()


async def test_closing_while_it_connects_closes_the_connection(path: str) -> None:
    """Nobody else would."""
    playing = Playing(path, mode="new_episodes")
    playing.goes_on = anyio.Event()
    stream = ReplayStream(playing)

    async def send() -> None:
        with pytest.raises(anyio.ClosedResourceError):
            await stream.send(ASK.replace(b"GET", b"PUT"))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(send)
        await playing.begun.wait()
        await stream.aclose()
        playing.goes_on.set()
    with pytest.raises(anyio.EndOfStream):
        await playing.theirs.receive()
