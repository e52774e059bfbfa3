"""HTTP/2 by the option of httpx: what it offers, and what a program sees of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest

pytest.importorskip("h2")

from tests.support.http2_server import Http2Server
from tests.support.httpx_libraries import Library
from tests.support.peer import Script
from tests.support.tls import Authority
from tests.support.waiting import until

#: Steps of the connection, of which only the request tells that happens to do them.
OF_CONNECTION = {"receive_remote_settings", "send_connection_init"}


async def test_a_server_over_tls_chooses_it(
    library: Library, http2_server: Http2Server, tls_ca: Authority
) -> None:
    """The version is told as by httpx's own transport; HTTP/2 has no reason, so httpx makes one."""
    transport = library.ours(http2=True, verify=tls_ca.client)
    async with library.package.AsyncClient(transport=transport) as client:
        response = await client.get(str(http2_server.https_url / "json"))
        assert (response.status_code, response.http_version) == (200, "HTTP/2")
        assert (response.reason_phrase, response.json()["title"]) == ("OK", "anyhttp")
        assert "reason_phrase" not in response.extensions
        body = b"x" * 300_000
        assert (
            await client.post(str(http2_server.https_url / "echo-body"), content=body)
        ).content == body

        async def pieces() -> AsyncIterator[bytes]:
            for _ in range(10):
                yield b"y" * 1000

        response = await client.post(str(http2_server.https_url / "echo-body"), content=pieces())
        assert response.content == b"y" * 10_000
        assert http2_server.http2_connections == 1


@pytest.mark.parametrize(
    ("options", "version"),
    [({}, "HTTP/1.1"), ({"http2": True}, "HTTP/1.1"), ({"http2": True, "http1": False}, "HTTP/2")],
)
async def test_without_tls(
    library: Library, http2_server: Http2Server, options: dict[str, bool], version: str
) -> None:
    """Nobody can choose there: without HTTP/1.1 the server is expected to speak HTTP/2."""
    async with library.package.AsyncClient(transport=library.ours(**options)) as client:
        response = await client.get(str(http2_server.url / "json"))
        assert (response.status_code, response.http_version) == (200, version)


async def test_the_same_as_with_its_own_transport(
    library: Library, http2_server: Http2Server, tls_ca: Authority
) -> None:
    """Status, fields, trace and what else a response has."""
    seen: dict[str, tuple[Any, ...]] = {}
    for name, made in (("ours", library.ours), ("theirs", library.own)):
        events: list[str] = []

        async def trace(event: str, info: dict[str, Any], into: list[str] = events) -> None:
            into.append(event)

        transport = made(http2=True, verify=tls_ca.new_client())
        async with library.package.AsyncClient(transport=transport) as client:
            extensions = {"trace": trace}
            response = await client.get(str(http2_server.https_url / "json"), extensions=extensions)
            stream = response.extensions["network_stream"]
            seen[name] = (
                response.status_code,
                response.http_version,
                response.reason_phrase,
                response.headers.raw,
                response.content,
                stream.get_extra_info("server_addr"),
                stream.get_extra_info("ssl_object").selected_alpn_protocol(),
                [event for event in events if event.split(".")[1] not in OF_CONNECTION],
            )
    assert seen["ours"] == seen["theirs"]
    sent = [sorted(each.head.headers) for each in http2_server.exchanges]
    assert sent[0] == sent[1]


async def test_one_of_many_is_cancelled(
    library: Library, http2_server: Http2Server, tls_ca: Authority
) -> None:
    """The others on the connection do not notice."""
    transport = library.ours(http2=True, verify=tls_ca.client)
    async with library.package.AsyncClient(transport=transport) as client:
        url = http2_server.https_url
        await client.get(str(url / "json"))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(client.get, str(url / "hang"))
            await until(lambda: len(http2_server.exchanges) == 2, "the request")
            for _ in range(3):
                assert (await client.get(str(url / "json"))).status_code == 200
            tasks.cancel_scope.cancel()
        assert (await client.get(str(url / "json"))).status_code == 200
        assert http2_server.http2_connections == 1
    assert http2_server.exchanges[1].reset_code == 8  # CANCEL


async def test_its_bytes_are_no_program_s(
    library: Library, http2_server: Http2Server, tls_ca: Authority
) -> None:
    """They belong to all requests on the connection."""
    transport = library.ours(http2=True, verify=tls_ca.client)
    async with library.package.AsyncClient(transport=transport) as client:
        response = await client.get(str(http2_server.https_url / "json"))
        stream = response.extensions["network_stream"]
        for use in (stream.read(1), stream.write(b"x"), stream.aclose()):
            with pytest.raises(RuntimeError, match="belong to all requests"):
                await use
        assert stream.get_extra_info("is_readable") is None


async def test_an_upgrade_goes_by_http1(library: Library, script: Script) -> None:
    """HTTP/2 has none; packages that open WebSockets over httpx send one."""
    switch = b"HTTP/1.1 101 S\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n"
    peer = await script([(b"GET /a HTTP/1.1\r\n", switch)])
    fields = {"Upgrade": "x", "Connection": "Upgrade"}
    async with library.package.AsyncClient(
        transport=library.ours(http2=True, http1=False)
    ) as client:
        async with client.stream("GET", str(peer.url / "a"), headers=fields) as response:
            assert (response.status_code, response.http_version) == (101, "HTTP/1.1")


def test_one_version_has_to_be_spoken(library: Library) -> None:
    """Rather than HTTP/1.1 all the same."""
    with pytest.raises(ValueError, match="one of them"):
        library.ours(http1=False)


def test_without_its_extra(library: Library, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with httpx, that is an ``ImportError`` when the transport is made."""
    monkeypatch.setattr("anyhttp.connector._http2_mode.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"anyhttp-client\[http2\]"):
        library.ours(http2=True, verify=False)
