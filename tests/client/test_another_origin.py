"""What a redirect to another origin takes along, and which URLs have the same origin."""

from __future__ import annotations

from typing import Any

import pytest
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientConnectorCertificateError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    Fingerprint,
    ServerFingerprintMismatch,
    TCPConnector,
)
from anyhttp.abc import ResolveResult
from tests.support.peer import Peer, Script, Step
from tests.support.proxies import Proxies
from tests.support.requests import fields, requests_of
from tests.support.responses import EMPTY, redirect
from tests.support.tls import Authority

AUTH = BasicAuth("user", "word")


class Mapped(TCPConnector):
    """Connects to peers in the place of origins with default ports."""

    def __init__(self, peers: dict[tuple[str, int], Peer], **options: Any) -> None:
        super().__init__(**options)
        self._peers = peers

    async def _resolve_host(self, host: str, port: int, traces: object = None) -> Any:
        found = await super()._resolve_host("127.0.0.1", self._peers[host, port].port)
        return [ResolveResult({**each, "hostname": host}) for each in found]


# -- credentials -----------------------------------------------------------------------


async def test_auth_of_a_session_is_not_for_where_a_redirect_leads(
    http1: str, script: Script
) -> None:
    """Without a base URL it is sent to what the program asks for, and to nobody else."""
    first: list[Step] = []
    peer = await script(first)
    other = await script([(b"GET /b ", redirect(peer.url / "c"))])
    first += [(b"GET /a ", redirect(other.url / "b")), (b"GET /c ", EMPTY)]
    async with ClientSession(connector=TCPConnector(http1=http1), auth=AUTH) as session:
        await session.get(peer.url / "a")
    asked, again = requests_of(peer.requests[0])
    assert fields(asked)["authorization"] == AUTH.encode()
    assert "authorization" not in fields(other.requests[0])
    assert "authorization" not in fields(again)


async def test_auth_of_a_session_with_a_base_url_is_for_its_origin(
    http1: str, script: Script
) -> None:
    """Whoever leads there, as the program said whose credentials they are."""
    peer = await script([(b"GET /b ", EMPTY)])
    other = await script([(b"GET /a ", redirect(peer.url / "b"))])
    connector = TCPConnector(http1=http1)
    async with ClientSession(peer.url, connector=connector, auth=AUTH) as session:
        await session.get(other.url / "a")
    assert "authorization" not in fields(other.requests[0])
    assert fields(peer.requests[0])["authorization"] == AUTH.encode()


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("http://h.test/a", "http://h.test:80/b"),
        ("http://h.test:80/a", "http://H.test/b"),
        ("http://h.test/a", "//h.test:80/b"),
    ],
)
async def test_a_default_port_is_no_other_origin(
    url: str, target: str, http1: str, script: Script
) -> None:
    """RFC 9110 §4.2.3: it may be written or left out."""
    peer = await script([(b"GET /a ", redirect(target)), (b"GET /b ", EMPTY)])
    connector = Mapped({("h.test", 80): peer}, http1=http1)
    async with ClientSession(connector=connector) as session:
        await session.get(url, auth=AUTH, cookies={"c": "1"}, headers={"Host": "given.test"})
    for request in requests_of(peer.requests[0]):
        found = fields(request)
        assert found["authorization"] == AUTH.encode()
        assert found["cookie"] == "c=1"
        assert found["host"] == "given.test"


@pytest.mark.parametrize("base", ["http://h.test:80/", "http://h.test/", "ws://h.test/"])
@pytest.mark.parametrize("url", ["http://h.test:80/a", "http://h.test/a"])
async def test_auth_of_a_session_and_a_default_port(
    base: str, url: str, http1: str, script: Script
) -> None:
    """The base URL and the one that is asked for may be written differently."""
    peer = await script([(b"GET /a ", EMPTY)])
    connector = Mapped({("h.test", 80): peer}, http1=http1)
    async with ClientSession(base, connector=connector, auth=AUTH) as session:
        await session.get(url)
    assert fields(peer.requests[0])["authorization"] == AUTH.encode()


@pytest.mark.parametrize("given_by", ["session", "request", "middleware"])
async def test_an_origin_never_sees_credentials_for_a_proxy(
    given_by: str, http1: str, script: Script
) -> None:
    """A ``Proxy-Authorization`` among the headers is for a proxy that forwards."""
    secret = {"Proxy-Authorization": "Basic c2VjcmV0"}
    peer = await script([(b"GET /a ", EMPTY)], [(b"GET http://other.test/b ", EMPTY)])
    headers = secret if given_by == "session" else {}
    options: dict[str, Any] = {"headers": secret} if given_by == "request" else {}
    if given_by == "middleware":

        async def give(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.headers.update(secret)
            return await handler(request)

        options = {"middlewares": [give]}
    async with ClientSession(connector=TCPConnector(http1=http1), headers=headers) as session:
        await session.get(peer.url / "a", **options)
        await session.get("http://other.test/b", proxy=peer.url, **options)
    received = [fields(request) for request in peer.requests]
    assert "proxy-authorization" not in received[0]
    assert received[1]["proxy-authorization"] == secret["Proxy-Authorization"]


# -- trust -----------------------------------------------------------------------------


@pytest.mark.parametrize("option", ["unverified", "context", "fingerprint"])
async def test_ssl_of_a_request_is_for_its_origin(
    option: str, http1: str, script: Script, tls_ca: Authority
) -> None:
    """A device whose certificate is not verified cannot make another server unverified.

    A client certificate is part of a context, so no other server is shown it either.
    """
    other = await script([], tls=tls_ca.server)
    peer = await script([(b"GET /a ", redirect(other.url))], tls=tls_ca.server)
    trust: dict[str, Any] = {
        "unverified": False,
        "context": tls_ca.client,
        "fingerprint": Fingerprint(tls_ca.fingerprint),
    }
    async with ClientSession(connector=TCPConnector(http1=http1)) as session:
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await session.get(peer.url / "a", ssl=trust[option])
    assert caught.value.port == other.port


async def test_and_not_again_where_the_chain_leads_back(
    http1: str, script: Script, tls_ca: Authority
) -> None:
    """The other server has chosen that request."""
    first: list[Step] = []
    peer = await script(first, [], tls=tls_ca.server)
    other = await script([(b"GET /b ", redirect(peer.url / "c"))])
    first += [(b"GET /a ", redirect(other.url / "b"))]
    async with ClientSession(connector=TCPConnector(http1=http1)) as session:
        with pytest.raises(ClientConnectorCertificateError):
            await session.get(peer.url / "a", ssl=False)


@pytest.mark.parametrize("honest", [True, False])
async def test_server_hostname_of_a_request_is_for_its_origin(
    honest: bool, http1: str, script: Script, tls_ca: Authority
) -> None:
    """The next server shows a certificate for the name in its URL, or is refused."""
    context = tls_ca.server if honest else tls_ca.server_for("a.test")
    other = await script([(b"GET /b ", EMPTY)] if honest else [], tls=context)
    target = other.url.with_host("localhost") / "b"
    peer = await script([(b"GET /a ", redirect(target))], tls=tls_ca.server_for("a.test"))
    connector = TCPConnector(http1=http1, ssl=tls_ca.client)
    async with ClientSession(connector=connector) as session:
        asked = session.get(peer.url / "a", server_hostname="a.test")
        if honest:
            async with asked as response:
                assert response.url == target
        else:
            with pytest.raises(ClientConnectorCertificateError):
                await asked


@pytest.mark.parametrize("option", ["unverified", "context", "fingerprint"])
async def test_ssl_of_a_connector_is_for_every_origin(
    option: str, http1: str, script: Script, tls_ca: Authority
) -> None:
    """It is how this connector verifies servers, wherever they are."""
    pinned = option == "fingerprint"
    other = await script(
        [] if pinned else [(b"GET /b ", EMPTY)],
        tls=tls_ca.server_for("127.0.0.1") if pinned else tls_ca.server,
    )
    peer = await script([(b"GET /a ", redirect(other.url / "b"))], tls=tls_ca.server)
    trust: dict[str, Any] = {
        "unverified": False,
        "context": tls_ca.client,
        "fingerprint": Fingerprint(tls_ca.fingerprint),
    }
    connector = TCPConnector(http1=http1, ssl=trust[option])
    async with ClientSession(connector=connector) as session:
        if pinned:
            with pytest.raises(ServerFingerprintMismatch):
                await session.get(peer.url / "a")
        else:
            async with session.get(peer.url / "a") as response:
                assert response.url == other.url / "b"


@pytest.mark.parametrize("option", ["unverified", "context", "fingerprint"])
async def test_tls_options_of_a_request_that_begins_without_tls(
    option: str, http1: str, script: Script, tls_ca: Authority
) -> None:
    """They are for the same host behind TLS, as there is nothing else that they could mean."""
    plain = await script([(b"GET /a ", redirect("https://device.test/b"))])
    steps: list[Step] = [] if option == "fingerprint" else [(b"GET /b ", EMPTY)]
    secure = await script(steps, tls=tls_ca.server_for("own.test"))
    trust: dict[str, Any] = {
        "unverified": {"ssl": False},
        "context": {"ssl": tls_ca.client, "server_hostname": "own.test"},
    }
    connector = Mapped({("device.test", 80): plain, ("device.test", 443): secure}, http1=http1)
    async with ClientSession(connector=connector) as session:
        asked = session.get(
            "http://device.test/a",
            auth=AUTH,
            **trust.get(option, {"ssl": Fingerprint(tls_ca.fingerprint)}),
        )
        if option == "fingerprint":
            with pytest.raises(ServerFingerprintMismatch):
                await asked
            return
        async with asked as response:
            assert response.url == URL("https://device.test/b")
    assert "authorization" not in fields(secure.requests[0])


async def test_a_proxy_is_verified_by_the_connector_after_a_redirect(
    http1: str, script: Script, proxies: Proxies, tls_ca: Authority
) -> None:
    """``ssl`` of a request verifies an https proxy too, until a redirect leaves its origin."""
    proxy = proxies("https")
    other = await script()
    peer = await script([(b"GET /a ", redirect(other.url / "b"))])
    async with ClientSession(connector=TCPConnector(http1=http1), proxy=proxy.url) as session:
        with pytest.raises(ClientConnectorCertificateError):
            await session.get(peer.url / "a", ssl=False)
