"""Values of another package, which are known by the attributes of their classes."""

from __future__ import annotations

import json
from enum import Enum
from http.cookies import Morsel
from typing import Any
from unittest.mock import Mock

import pytest
from yarl import URL

import anyhttp
from anyhttp import ClientPayloadError, ClientSession
from anyhttp._headers import make_morsel
from tests.support import lookalikes
from tests.support.api import Api
from tests.support.client import get
from tests.support.server import Server


async def sent(api: Api, data: object) -> bytes:
    """Return what arrives when *data* is sent."""
    async with (
        ClientSession() as session,
        session.post(api.url / "echo-body", data=data) as response,
    ):
        return await response.read()


async def test_a_buffer_that_a_payload_uses_again(api: Api) -> None:
    """What it has written stays what it was."""

    async def write(writer: Any) -> None:
        buffer = bytearray(b"ab")
        await writer.write(buffer)
        buffer[:] = b"cd"
        await writer.write(memoryview(buffer))

    assert await sent(api, lookalikes.Payload(write, 4)) == b"abcd"


@pytest.mark.once
async def test_options_of_a_session() -> None:
    """They are converted."""
    options: dict[str, Any] = {
        "timeout": lookalikes.ClientTimeout(total=5, sock_connect=2.0),
        "auth": lookalikes.BasicAuth("user", "secret", "utf-8"),
        "proxy": "http://proxy/",
        "proxy_auth": lookalikes.BasicAuth("other", "secret"),
        "version": lookalikes.HttpVersion(1, 0),
    }
    async with ClientSession(**options) as session:
        assert session.timeout == anyhttp.ClientTimeout(total=5, sock_connect=2.0)
        assert session.auth == anyhttp.BasicAuth("user", "secret", "utf-8")
        assert session.version == anyhttp.HttpVersion10


async def test_options_of_a_request(server: Server) -> None:
    """So are these, and what is refused of ours is refused of them."""
    timeout: Any = lookalikes.ClientTimeout(total=5)
    auth: Any = lookalikes.BasicAuth("user", "secret")
    wrong: list[tuple[str, Any, str]] = [
        ("timeout", lookalikes.ClientTimeout(total="5"), "total must be a number of seconds"),
        ("timeout", lookalikes.ClientWSTimeout(), "timeout must be an anyhttp.ClientTimeout"),
        ("auth", lookalikes.BasicAuth("a:b", "secret"), "login must not hold"),
        ("auth", lookalikes.HttpVersion(1, 1), "auth must be an anyhttp.BasicAuth"),
        ("proxy_auth", lookalikes.HttpVersion(1, 1), "proxy_auth must be an anyhttp.BasicAuth"),
        ("ssl", lookalikes.Fingerprint(bytes(20)), "a SHA-256 digest of 32 bytes"),
        ("auth", lookalikes.Bearer("me", "secret"), r"Bearer.encode\(\) would be passed over"),
        ("proxy_auth", lookalikes.Bearer("me", "secret"), "derive it from anyhttp.BasicAuth"),
        ("ssl", lookalikes.Strict(bytes(32)), r"Strict.check\(\) would be passed over"),
        ("ssl", lookalikes.Fingerprint("ab"), "ssl must be True, False"),  # type: ignore[arg-type]
    ]
    async with ClientSession() as session:
        url = server.url / "basic-auth" / "user" / "secret"
        await get(session, url, timeout=timeout, auth=auth, raise_for_status=True)
        for option, value, complaint in wrong:
            with pytest.raises((TypeError, ValueError), match=complaint):
                await session.post("http://host/", **{option: value})
        pinned: Any = lookalikes.Fingerprint(bytes(32))
        with pytest.raises(anyhttp.ServerFingerprintMismatch):
            await get(session, server.https_url, ssl=pinned)


async def test_time_limits_of_a_websocket(server: Server) -> None:
    """They are checked before the request is sent."""
    async with ClientSession() as session:
        limits: Any = lookalikes.ClientWSTimeout(ws_close=3.0)
        with pytest.raises(anyhttp.WSServerHandshakeError):
            await session.ws_connect(server.url / "json", timeout=limits)
        limits = lookalikes.ClientTimeout()
        with pytest.raises(TypeError, match=r"timeout must be an anyhttp\.ClientWSTimeout"):
            await session.ws_connect(server.url / "json", timeout=limits)


class Marker(Enum):
    """As aiohttp marks arguments that have been left out."""

    sentinel = 1


@pytest.mark.parametrize("marker", [..., Marker.sentinel])
async def test_what_stands_for_a_time_limit_that_is_left_out(server: Server, marker: Any) -> None:
    """A wrapper passes it on, and the default applies."""
    async with ClientSession(timeout=marker) as session:
        assert session.timeout == anyhttp.ClientTimeout(total=300, sock_connect=30)
    async with ClientSession(timeout=anyhttp.ClientTimeout(sock_read=0.1)) as session:
        with pytest.raises(anyhttp.SocketTimeoutError):
            await get(session, server.url / "hang", timeout=marker)
        with pytest.raises(anyhttp.WSServerHandshakeError):
            await session.ws_connect(server.url / "json", timeout=marker)


async def test_handlers(api: Api) -> None:
    """They are taken over, and the other object is told that they cannot be changed any more."""
    told: list[tuple[object, int]] = []

    async def on_end(session: object, context: Any, params: Any) -> None:
        told.append((context.trace_request_ctx, params.response.status))

    config: Any = lookalikes.TraceConfig()
    config.on_request_end = [on_end]
    async with ClientSession(trace_configs=[config]) as session:
        assert config.frozen
        await get(session, api.url / "json", trace_request_ctx="mine")
    assert told == [("mine", 200)]


async def test_names_of_our_own_signals(api: Api) -> None:
    """What a class derived from aiohttp's has under these names is its own affair."""

    class Mine(lookalikes.TraceConfig):
        on_request_retry = "text"

        async def on_response_end(self) -> None:
            raise AssertionError

    config: Any = Mine()
    async with ClientSession(trace_configs=[config]) as session:
        assert await get(session, api.url / "json")


async def test_a_jar(api: Api) -> None:
    """It is used as it is, and what it chooses is checked."""
    jar: Any = lookalikes.Jar()
    async with ClientSession(cookie_jar=jar) as session:
        assert session.cookie_jar is jar
        seen = await get(session, (api.url / "cookies" / "set").with_query(a="1"))
        assert json.loads(seen) == {"cookies": {"a": "1"}}


async def test_a_cookie_that_would_be_more(api: Api) -> None:
    """What another jar chooses is checked before it is sent."""

    class Jar(lookalikes.Jar):
        def filter_cookies(self, url: URL) -> dict[str, Morsel[str]]:
            return {"a": make_morsel("a", "1", "1; b=2")}

    jar: Any = Jar()
    async with ClientSession(cookie_jar=jar) as session:
        with pytest.raises(ValueError, match="cookie_jar: cookie 'a' holds a semicolon"):
            await get(session, api.url / "cookies")


async def test_a_reader(api: Api) -> None:
    """It is not read by lines."""
    assert await sent(api, lookalikes.StreamReader(b"a", b"b")) == b"ab"


async def test_a_payload(api: Api) -> None:
    """It writes itself, with the methods that a writer of aiohttp has."""

    async def write(writer: Any) -> None:
        await writer.write(bytearray(b"ab"))
        await writer.drain()
        await writer.write_eof(b"cd")
        await writer.write_eof()

    payload = lookalikes.Payload(write)
    payload.autoclose = False
    assert await sent(api, payload) == b"abcd"
    assert payload.closed == 1
    assert await sent(api, lookalikes.Payload(write, size=4)) == b"abcd"
    assert await sent(api, lookalikes.Payload(write, size=3)) == b"abc"
    odd: list[Any] = [-1, True, "3", 3.0]
    for size in odd:  # it would be sent as Content-Length
        with pytest.raises((TypeError, ValueError), match="size of the body must"):
            await sent(api, lookalikes.Payload(write, size=size))
    assert await sent(api, lookalikes.FormData(lookalikes.Payload(write))) == b"abcd"
    form = anyhttp.FormData({"part": lookalikes.Payload(write)})
    assert b'name="part"\r\n\r\nabcd\r\n' in await sent(api, form)
    payload.consumed = True
    with pytest.raises(ClientPayloadError, match="used up"):
        await sent(api, payload)


async def test_a_multipart(api: Api) -> None:
    """It is closed if one of its parts has to be."""

    async def write(writer: Any) -> None:
        await writer.write(b"ab")

    part = lookalikes.Payload(write)
    multipart = lookalikes.MultipartWriter(part)
    assert await sent(api, multipart) == b"ab"
    assert multipart.closed == 0
    part.autoclose = False
    assert await sent(api, multipart) == b"ab"
    assert multipart.closed == 1


@pytest.mark.once
async def test_what_a_payload_says_of_itself() -> None:
    """It is asked each time."""

    async def write(writer: Any) -> None:
        await writer.write(b"ab")

    theirs = lookalikes.Payload(write, size=2)
    ours = anyhttp.get_payload(theirs, headers={"X-Part": "1"})
    assert (ours.size, ours.content_type, ours.filename, ours.encoding) == (2, "text/x", None, None)
    assert (ours.decode(), await ours.as_bytes()) == ("decoded", b"as bytes")
    assert theirs.headers["X-Part"] == "1"
    theirs.consumed = True
    assert ours.consumed
    assert ours.autoclose
    with pytest.raises(ClientPayloadError, match=r"the tests\.Payload has been used up"):
        await ours.write(Mock())


async def test_a_form_whose_body_is_not_understood(api: Api) -> None:
    """The error says what is missing."""
    with pytest.raises(TypeError, match="data: int can be sent only if it is of aiohttp"):
        await sent(api, lookalikes.FormData(5))


@pytest.mark.parametrize("error", [RuntimeError("no loop"), TypeError("not of trio")], ids=repr)
async def test_a_payload_that_needs_asyncio(
    api: Api, error: Exception, anyio_backend_name: str
) -> None:
    """On trio the error says what to do; on asyncio it is an error like any other."""

    async def write(writer: Any) -> None:
        raise error

    expected: type[Exception] = anyhttp.ClientConnectionError
    complaint = str(error)
    if anyio_backend_name == "trio":
        expected, complaint = ClientPayloadError, "on trio: give what it was made from"
    with pytest.raises(expected, match=complaint):
        await sent(api, lookalikes.Payload(write))
