"""Steps of aiohttp's connector that subclasses override, and that are called here too."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from functools import partial
from typing import Any
from unittest.mock import Mock

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import (
    ClientConnectorCertificateError,
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    Fingerprint,
    TCPConnector,
)
from tests.support.client import get
from tests.support.proxies import Proxies
from tests.support.server import Server
from tests.support.tls import Authority

pytestmark = pytest.mark.uvloop


def trusting(tls_ca: Authority) -> ssl.SSLContext:
    """Return a context that trusts the authority of the tests."""
    context = ssl.create_default_context()
    tls_ca.trust(context)
    return context


def put_in_a_subclass(choose: Callable[..., Any]) -> TCPConnector:
    """Override it."""
    mine: type[TCPConnector] = type("Mine", (TCPConnector,), {"_get_ssl_context": choose})
    return mine()


def put_onto_the_object(choose: Callable[..., Any]) -> TCPConnector:
    """Assign it to a connector."""
    connector = TCPConnector()
    connector._get_ssl_context = partial(choose, connector)  # type: ignore[method-assign]
    return connector


class TestContext:
    """``_get_ssl_context()``, which says how a server is verified."""

    @pytest.mark.parametrize(
        "put", [put_in_a_subclass, put_onto_the_object], ids=["subclass", "object"]
    )
    async def test_of_a_subclass(
        self,
        put: Callable[[Callable[..., Any]], TCPConnector],
        server: Server,
        tls_ca: Authority,
    ) -> None:
        """It is used, and asked for each new connection with TLS."""
        asked: list[str] = []

        def choose(self: TCPConnector, req: Any) -> ssl.SSLContext | None:
            asked.append(req.host)
            return trusting(tls_ca)

        async with ClientSession(connector=put(choose)) as session:
            for _ in range(2):
                await get(session, server.https_url / "json")
            await get(session, server.url / "json")
        assert asked == ["localhost"]

    async def test_one_that_trusts_nobody(self, server: Server, tls_ca: Authority) -> None:
        """It is stricter than the connector's own, and is not passed over."""

        class Strict(TCPConnector):
            def _get_ssl_context(self, req: Any) -> ssl.SSLContext:
                return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

        for given in (True, False, trusting(tls_ca)):
            connector = Strict(ssl=given)
            async with ClientSession(connector=connector) as session:
                with pytest.raises(ClientConnectorCertificateError):
                    await get(session, server.https_url / "json")

    async def test_one_that_leaves_it_to_the_base(self, server: Server, tls_ca: Authority) -> None:
        """That returns the context of the request, or else of the connector."""
        mine, other = trusting(tls_ca), trusting(tls_ca)
        found: list[ssl.SSLContext | None] = []

        class Asking(TCPConnector):
            def _get_ssl_context(self, req: Any) -> ssl.SSLContext | None:
                found.append(super()._get_ssl_context(req))
                return None if len(found) == 3 else found[-1]

        async with ClientSession(connector=Asking(ssl=mine, force_close=True)) as session:
            await get(session, server.https_url / "json")
            async with session.get(server.https_url / "json", ssl=other) as response:
                await response.read()
            await get(session, server.https_url / "json")
            async with session.get(server.https_url / "json", ssl=False) as response:
                await response.read()
        assert found[:3] == [mine, other, mine]
        assert found[3] is not None
        assert found[3].verify_mode is ssl.CERT_NONE

    async def test_one_that_asks_the_base_for_a_request_without_tls(self) -> None:
        """There is no context for it."""
        async with TCPConnector() as connector:
            for url, expected in (("http://a.test/", True), ("https://a.test/", False)):
                found = connector._get_ssl_context(ClientRequest("GET", URL(url)))
                assert (found is None) is expected

    async def test_beside_a_fingerprint(self, server: Server, tls_ca: Authority) -> None:
        """One of the two would be passed over, so it is an error."""

        class Strict(TCPConnector):
            def _get_ssl_context(self, req: Any) -> ssl.SSLContext:
                return trusting(tls_ca)

        connector = Strict(ssl=Fingerprint(tls_ca.fingerprint))
        async with ClientSession(connector=connector) as session:
            with pytest.raises(ValueError, match="cannot be combined with a fingerprint"):
                await get(session, server.https_url / "json")
        assert not server.requests

    @pytest.mark.parametrize(
        "value", [False, True, "no", Mock()], ids=["False", "True", "text", "mock"]
    )
    async def test_one_that_returns_no_context(self, server: Server, value: Any) -> None:
        """False would stand for no verification at all."""

        class Mine(TCPConnector):
            def _get_ssl_context(self, req: Any) -> Any:
                return value

        async with ClientSession(connector=Mine()) as session:
            with pytest.raises(TypeError, match=r"must return an ssl\.SSLContext, not"):
                await get(session, server.https_url / "json")
        assert not server.requests

    async def test_through_a_proxy(
        self, server: Server, tls_ca: Authority, proxies: Proxies
    ) -> None:
        """The proxy and the origin are verified by it, each asked for by itself."""
        proxy = proxies("https")
        asked: list[tuple[str, str | None]] = []

        class Mine(TCPConnector):
            def _get_ssl_context(self, req: Any) -> ssl.SSLContext:
                asked.append((type(req).__name__, req.url.host))
                return trusting(tls_ca)

        async with ClientSession(connector=Mine(), proxy=proxy.url) as session:
            await get(session, server.https_url / "json")
        assert asked == [("ClientRequest", "localhost"), ("ProxyRequest", proxy.url.host)]


class TestSslOfARequest:
    """``ClientRequest._ssl``, which programs set as aiohttp's ``ssl`` cannot be set."""

    @pytest.mark.parametrize("by_middleware", [True, False])
    async def test_that_is_set(
        self, server: Server, tls_ca: Authority, by_middleware: bool
    ) -> None:
        """The server is verified by it, and a kept connection is not lent to the request."""
        chosen: list[Any] = [trusting(tls_ca), True, ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)]
        options: dict[str, Any] = {}

        class Mine(ClientRequest):
            def __init__(self, *args: Any, **arguments: Any) -> None:
                super().__init__(*args, **arguments)
                self._ssl = chosen[0]

        async def choose(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request._ssl = chosen[0]
            assert request.ssl is request._ssl is chosen[0]
            return await handler(request)

        options = {"middlewares": [choose]} if by_middleware else {"request_class": Mine}
        async with ClientSession(**options) as session:
            await get(session, server.https_url / "json", ssl=False)
            for _ in range(2):
                del chosen[0]
                with pytest.raises(ClientConnectorCertificateError):
                    await get(session, server.https_url / "json", ssl=False)
            chosen[0] = "no"
            with pytest.raises(TypeError, match="ssl must be"):
                await get(session, server.https_url / "json")
        assert server.requests == ["GET /json"]


class TestProxyRequest:
    """``_update_proxy_auth_header_and_build_proxy_req()``, as aiobotocore verifies a proxy."""

    async def test_that_verifies_the_proxy_by_itself(
        self, server: Server, tls_ca: Authority, proxies: Proxies
    ) -> None:
        """The context for the proxy is used for it, and not for the origin."""
        proxy = proxies("https")

        class Mine(TCPConnector):
            context: ssl.SSLContext

            def _update_proxy_auth_header_and_build_proxy_req(self, req: Any) -> Any:
                asked = super()._update_proxy_auth_header_and_build_proxy_req(req)
                assert asked.is_ssl()
                assert asked.ssl is asked._ssl
                asked._ssl = self.context
                asked.headers["X-Proxy"] = "seen"
                return asked

        connector = Mine(ssl=trusting(tls_ca))
        connector.context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # which trusts nobody
        async with ClientSession(connector=connector, proxy=proxy.url) as session:
            with pytest.raises(ClientConnectorCertificateError, match="through proxy"):
                await get(session, server.https_url / "json")
            connector.context = trusting(tls_ca)
            await get(session, server.https_url / "json")
        assert server.requests == ["GET /json"]
        (seen,) = proxy.seen
        assert seen.head is not None
        assert "X-Proxy" in str(seen.head)

        connector = Mine()  # which does not trust the authority of the origin
        connector.context = trusting(tls_ca)
        async with ClientSession(connector=connector, proxy=proxy.url) as session:
            with pytest.raises(ClientConnectorCertificateError):
                await get(session, server.https_url / "json")

    async def test_that_gives_no_verification(
        self, server: Server, tls_ca: Authority, proxies: Proxies
    ) -> None:
        """What is none of the kinds of ``ssl`` is refused."""

        class Mine(TCPConnector):
            def _update_proxy_auth_header_and_build_proxy_req(self, req: Any) -> Any:
                asked = super()._update_proxy_auth_header_and_build_proxy_req(req)
                assert isinstance(asked.headers, CIMultiDict)
                setattr(asked, "_ssl", "no")  # noqa: B010  (of a wrong type)
                return asked

        async with ClientSession(connector=Mine(), proxy=proxies("https").url) as session:
            with pytest.raises(TypeError, match="ssl must be"):
                await get(session, server.https_url / "json")

    async def test_that_names_another_proxy(self, server: Server, proxies: Proxies) -> None:
        """The request would still go through the first one."""

        class Mine(TCPConnector):
            def _update_proxy_auth_header_and_build_proxy_req(self, req: Any) -> Any:
                asked = super()._update_proxy_auth_header_and_build_proxy_req(req)
                asked.url = asked.url.with_port(1)
                return asked

        proxy = proxies("http")
        for url in (server.url, server.https_url):
            async with ClientSession(connector=Mine(), proxy=proxy.url) as session:
                with pytest.raises(ValueError, match="give proxy to the request"):
                    await get(session, url / "json")
        assert not proxy.seen
