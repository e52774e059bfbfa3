"""Bodies made of aiohttp's classes that are sent by a session here."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import AsyncIterator, Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import anyhttp
from anyhttp import ClientPayloadError, ClientSession
from tests.compat.comparison import aiohttp
from tests.support.client import wait_free
from tests.support.server import Server
from tests.support.waiting import until

BIG = bytes(range(256)) * 4096  # several times what is written at once


async def echoed(session: ClientSession, server: Server, data: object, **options: Any) -> Any:
    """Return what arrives when *data* is sent."""
    async with session.post(server.url / "echo", data=data, **options) as response:
        seen = json.loads(await response.read())
    seen["body"] = base64.b64decode(seen["body"])
    seen["headers"] = {name.lower(): value for name, value in seen["headers"]}
    return seen


async def in_pieces(*pieces: bytes) -> AsyncIterator[bytes]:
    """Yield *pieces*."""
    for piece in pieces:
        await anyio.lowlevel.checkpoint()
        yield piece


def form(**values: str) -> Any:
    """Return a form without files."""
    made = aiohttp.FormData()
    for name, value in values.items():
        made.add_field(name, value)
    return made


def multipart(*parts: Any) -> Any:
    """Return a body of several parts."""
    writer = aiohttp.MultipartWriter("mixed", boundary="line")
    for part in parts:
        writer.append(part)
    return writer


@pytest.mark.parametrize(
    ("make", "body", "content_type"),
    [
        (lambda: aiohttp.JsonPayload({"a": 1}), b'{"a": 1}', "application/json"),
        (lambda: aiohttp.BytesPayload(b"ab"), b"ab", "application/octet-stream"),
        (lambda: aiohttp.payload.StringPayload("\xfc"), b"\xc3\xbc", "text/plain; charset=utf-8"),
        (lambda: aiohttp.get_payload(io.BytesIO(b"abc")), b"abc", "application/octet-stream"),
        (lambda: aiohttp.BytesPayload(b""), b"", "application/octet-stream"),
        (lambda: form(a="1", b="2 3"), b"a=1&b=2+3", "application/x-www-form-urlencoded"),
        (
            lambda: multipart("x", b"y"),
            (
                b"--line\r\nContent-Type: text/plain; charset=utf-8\r\n"
                b"Content-Length: 1\r\n\r\nx\r\n"
                b"--line\r\nContent-Type: application/octet-stream\r\n"
                b"Content-Length: 1\r\n\r\ny\r\n"
                b"--line--\r\n"
            ),
            "multipart/mixed; boundary=line",
        ),
    ],
)
async def test_bodies_of_a_known_length(
    server: Server, make: Callable[[], Any], body: bytes, content_type: str
) -> None:
    """They are announced with it, and described as aiohttp describes them."""
    async with ClientSession() as session:
        seen = await echoed(session, server, make())
    assert seen["body"] == body
    assert seen["headers"]["content-type"] == content_type
    assert seen["headers"]["content-length"] == str(len(body))
    assert "transfer-encoding" not in seen["headers"]


async def test_a_body_of_an_unknown_length(server: Server) -> None:
    """It is sent in chunks, once: a second time it is an error and no empty body."""
    payload = aiohttp.get_payload(in_pieces(b"a", b"", b"bc"))
    async with ClientSession() as session:
        seen = await echoed(session, server, payload)
        assert seen["body"] == b"abc"
        assert seen["headers"]["transfer-encoding"] == "chunked"
        with pytest.raises(ClientPayloadError, match="used up"):
            await echoed(session, server, payload)


async def test_options_of_the_request_apply(server: Server) -> None:
    """Headers, compression, and what the server of a redirect gets."""
    async with ClientSession() as session:
        headers = {"Content-Type": "text/x"}
        seen = await echoed(session, server, aiohttp.BytesPayload(b"a" * 99), headers=headers)
        assert seen["headers"]["content-type"] == "text/x"
        async with session.post(
            server.url / "echo-body", data=aiohttp.BytesPayload(b"a" * 99), compress="gzip"
        ) as response:
            assert response.request_info.headers["Content-Encoding"] == "gzip"
        url = (server.url / "redirect-to").with_query(url="/echo-body", status=307)
        async with session.post(url, data=aiohttp.JsonPayload([1])) as response:
            assert await response.read() == b"[1]"
        async with session.post(url, data=aiohttp.get_payload(io.BytesIO(b"abc"))) as response:
            assert await response.read() == b"abc"


@pytest.mark.once
async def test_a_file(server: Server, tmp_path: Path) -> None:
    """Aiohttp reads it, in threads of asyncio; it is closed when the request is over."""
    path = tmp_path / "file.bin"
    path.write_bytes(BIG)
    file = path.open("rb")
    payload = aiohttp.get_payload(file)
    async with ClientSession() as session:
        async with session.post(server.url / "upload", data=payload) as response:
            seen = await response.json()
        assert seen == {"length": len(BIG), "sha256": sha256(BIG).hexdigest()}
        assert response.request_info.headers["Content-Length"] == str(len(BIG))
        await until(lambda: file.closed, "the file to be closed")
        with pytest.raises(ClientPayloadError, match="used up"):
            await echoed(session, server, payload)


async def test_a_form_with_a_file(server: Server) -> None:
    """The same form can be sent again."""
    sent = form(text="t")
    sent.add_field("file", io.BytesIO(b"abc"), filename="a b.txt", content_type="text/x")
    async with ClientSession() as session:
        for _ in range(2):
            async with session.post(server.url / "anything", data=sent) as response:
                seen = await response.json()
            assert seen["form"] == {"text": "t"}
            assert seen["files"] == {"file": "abc"}


@pytest.mark.once
async def test_files_of_a_form_are_closed(server: Server, tmp_path: Path) -> None:
    """Then it has been used up, as ours has."""
    path = tmp_path / "file.bin"
    path.write_bytes(b"abc")
    files = [path.open("rb") for _ in range(2)]
    sent = form(text="t")
    sent.add_field("file", files[0], filename="name")
    async with ClientSession() as session:
        for data in (sent, multipart(b"a", files[1])):
            async with session.post(server.url / "upload", data=data) as response:
                assert response.status == 200
        await until(lambda: files[0].closed and files[1].closed, "the files to be closed")
        with pytest.raises(ClientPayloadError, match="used up"):
            await session.post(server.url / "upload", data=sent)


async def test_a_form_of_an_older_aiohttp() -> None:
    """Its payloads do not say whether they have been used up, so they are refused."""

    class BytesPayload:
        """Has less than one of the present aiohttp."""

    class Form(aiohttp.FormData):  # type: ignore[misc, name-defined]
        def __call__(self) -> BytesPayload:
            return BytesPayload()

    async with ClientSession() as session:
        with pytest.raises(TypeError, match=r"BytesPayload can be sent only if .* 3\.12"):
            await session.post("http://host/", data=Form())


async def test_a_payload_as_a_part_of_ours(server: Server) -> None:
    """A form and a multipart of this package may hold some of aiohttp."""
    sent = anyhttp.FormData()
    sent.add_field("part", aiohttp.JsonPayload([1]))
    assert sent.is_multipart
    writer = anyhttp.MultipartWriter("mixed", boundary="line")
    part = writer.append(aiohttp.BytesPayload(b"ab"), {"X-Part": "1"})
    async with ClientSession() as session:
        async with session.post(server.url / "anything", data=sent) as response:
            seen = await response.json()
        assert seen["form"] == {"part": "[1]"}
        seen = await echoed(session, server, writer)
    assert part.headers["X-Part"] == "1"
    assert seen["body"] == (
        b"--line\r\nContent-Type: application/octet-stream\r\nX-Part: 1\r\n"
        b"Content-Length: 2\r\n\r\nab\r\n--line--\r\n"
    )


async def test_headers_of_a_part_are_checked() -> None:
    """A part must not end its headers by itself, whoever made it."""
    writer = anyhttp.MultipartWriter("mixed")
    payload = aiohttp.BytesPayload(b"ab", headers={"X-Part": "1\r\n\r\nbody"})
    with pytest.raises(ValueError, match="control character"):
        writer.append(payload)
    async with ClientSession() as session:
        payload = aiohttp.BytesPayload(b"ab", content_type="text/x\r\nX-More: 1")
        with pytest.raises(ValueError, match="control character"):
            await session.post("http://host/", data=payload)


async def test_what_a_middleware_sees(server: Server) -> None:
    """A payload like any other."""
    seen: list[object] = []

    async def look(request: anyhttp.ClientRequest, handler: Any) -> anyhttp.ClientResponse:
        body = request.body
        assert isinstance(body, anyhttp.Payload)
        seen.extend((await body.as_bytes(), body.decode(), body.size, body.content_type))
        seen.extend((body.filename, body.encoding, body.consumed, body.autoclose))
        await request.update_body(aiohttp.JsonPayload([2]))
        response: anyhttp.ClientResponse = await handler(request)
        return response

    async with ClientSession(middlewares=[look]) as session:
        arrived = await echoed(session, server, aiohttp.JsonPayload([1]))
    assert seen == [b"[1]", "[1]", 3, "application/json", None, "utf-8", False, True]
    assert arrived["body"] == b"[2]"


async def test_a_payload_of_ones_own(server: Server) -> None:
    """It may use the other methods of a writer, and buffers of any kind."""

    class Own(aiohttp.Payload):  # type: ignore[misc, name-defined]
        def decode(self, encoding: str = "utf-8", errors: str = "strict") -> str:
            raise TypeError

        async def write(self, writer: Any) -> None:
            await writer.write(bytearray(b"ab"))
            await writer.write(memoryview(b"cd"))
            await writer.drain()
            await writer.write_eof(b"ef")
            await writer.write_eof()

    async with ClientSession() as session:
        seen = await echoed(session, server, Own(None))
        assert seen["body"] == b"abcdef"
        # No more than what is announced is sent.
        own = Own(None)
        own._size = 3
        seen = await echoed(session, server, own)
        assert seen["body"] == b"abc"
        own._size = 7
        with pytest.raises(ClientPayloadError, match="ended after 6 bytes"):
            await echoed(session, server, own)
        await wait_free(session)


@pytest.mark.once
async def test_errors_of_a_payload(server: Server) -> None:
    """They are those of the request, as with ours."""

    async def failing() -> AsyncIterator[bytes]:
        yield b"a"
        raise RuntimeError("the source failed")

    async with ClientSession() as session:
        with pytest.raises(anyhttp.ClientConnectionError, match="the source failed"):
            await echoed(session, server, aiohttp.get_payload(failing()))


def test_a_file_on_trio(server: Server, tmp_path: Path) -> None:
    """Aiohttp can read it with asyncio alone: the error says what to do."""
    path = tmp_path / "file.bin"
    path.write_bytes(BIG)

    async def send() -> None:
        async with ClientSession() as session:
            with path.open("rb") as file:
                for source in (file, io.BytesIO(BIG)):
                    with pytest.raises(ClientPayloadError, match="on trio: give what it was made"):
                        await echoed(session, server, aiohttp.get_payload(source))
                assert (await echoed(session, server, file))["body"] == BIG

    anyio.run(send, backend="trio")


@pytest.mark.once
async def test_the_body_of_a_response(server: Server) -> None:
    """One of aiohttp is passed on as it comes, not by lines, which binary data does not have."""
    async with (
        aiohttp.ClientSession() as source,
        ClientSession() as session,
        source.get(server.url / "bytes" / "1000000") as response,
        session.post(server.url / "upload", data=response.content) as passed_on,
    ):
        seen = await passed_on.json()
    body = (bytes(range(256)) * 4000)[:1000000]
    assert seen == {"length": len(body), "sha256": sha256(body).hexdigest()}
