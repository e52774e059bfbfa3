"""More sections of the guides in ``tests/test_guides.py``: old spellings, proxies, tracing."""

from __future__ import annotations

import hashlib
import socket
import ssl
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio
import pytest

import anyhttp
from anyhttp import ClientSession
from tests.support.api import Api
from tests.support.nameserver import NameServer
from tests.support.peer import Script
from tests.support.routes import DOCUMENT
from tests.support.server import Server
from tests.support.tls import Authority

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 2\r\n\r\nhi"
CREDENTIALS = b"\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n"  # user, pass
THROUGH = (b"GET http://python.org/ HTTP/1.1\r\nHost: python.org\r\n", OK)


@contextmanager
def ignored_deprecations() -> Iterator[None]:
    """Whether a warning comes before an error does not matter."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


class TestBasics:
    async def test_ssl_control_for_tcp_sockets(
        self, server: Server, tls_ca: Authority, tmp_path: Path
    ) -> None:
        """Section "SSL control for tcp sockets": old spellings of ``ssl``, one at a time."""
        with pytest.warns(DeprecationWarning, match="verify_ssl"):
            conn = anyhttp.TCPConnector(verify_ssl=False)
        session = anyhttp.ClientSession(connector=conn)
        r = await session.get(server.https_url / "json")
        assert await r.json() == DOCUMENT
        await session.close()

        ca_bundle = tmp_path / "ca-bundle.crt"
        ca_bundle.write_bytes(tls_ca.ca_pem)
        sslcontext = ssl.create_default_context(cafile=ca_bundle)
        with pytest.warns(DeprecationWarning, match="ssl_context"):
            conn = anyhttp.TCPConnector(ssl_context=sslcontext)
        session = anyhttp.ClientSession(connector=conn)
        r = await session.get(server.https_url / "json")
        assert await r.json() == DOCUMENT
        await session.close()

        with ignored_deprecations(), pytest.raises(ValueError):
            anyhttp.TCPConnector(verify_ssl=False, ssl_context=sslcontext)

    async def test_ssl_control_by_fingerprint(self, server: Server, tls_ca: Authority) -> None:
        """The same section: a digest of SHA-256; those of MD5 and SHA-1 are refused."""
        for too_weak in (hashlib.md5, hashlib.sha1):
            with ignored_deprecations(), pytest.raises(ValueError):
                anyhttp.TCPConnector(fingerprint=too_weak(b"").digest())

        bad_fp = hashlib.sha256(b"").digest()
        with pytest.warns(DeprecationWarning, match="fingerprint"):
            conn = anyhttp.TCPConnector(fingerprint=bad_fp)
        session = anyhttp.ClientSession(connector=conn)
        exc = None
        try:
            await session.get(server.https_url)
        except anyhttp.FingerprintMismatch as e:
            exc = e
        assert exc is not None
        assert exc.expected == bad_fp
        assert exc.got == tls_ca.fingerprint
        await session.close()

    async def test_proxy_support(self, script: Script) -> None:
        """Section "Proxy support": a connector, with credentials beside or in its URL."""
        peer = await script(*[[THROUGH]] * 3)
        url = f"http://127.0.0.1:{peer.port}"
        spellings: list[dict[str, Any]] = [
            {"proxy": url},
            {"proxy": url, "proxy_auth": anyhttp.BasicAuth("user", "pass")},
            {"proxy": url.replace("//", "//user:pass@")},
        ]
        for options in spellings:
            with pytest.warns(DeprecationWarning, match="ProxyConnector"):
                conn = anyhttp.ProxyConnector(**options)
            r = await anyhttp.request("get", "http://python.org", connector=conn)
            assert await r.text() == "hi"
            await conn.close()
        assert [CREDENTIALS in request for request in peer.requests] == [False, True, True]


class TestAdvanced:
    async def test_client_tracing(self, api: Api) -> None:
        """Section "Client Tracing": coroutines that are told of the start and the end."""
        seen: list[str] = []

        async def on_request_start(
            session: ClientSession,
            trace_config_ctx: SimpleNamespace,
            params: anyhttp.TraceRequestStartParams,
        ) -> None:
            seen.append("Starting request")

        async def on_request_end(
            session: ClientSession,
            trace_config_ctx: SimpleNamespace,
            params: anyhttp.TraceRequestEndParams,
        ) -> None:
            seen.append("Ending request")

        trace_config = anyhttp.TraceConfig()
        trace_config.on_request_start.append(on_request_start)
        trace_config.on_request_end.append(on_request_end)
        async with anyhttp.ClientSession(trace_configs=[trace_config]) as client:
            async with client.get(api.url / "redirect" / "1") as response:
                assert response.status == 200
        assert seen == ["Starting request", "Ending request"]

    async def test_client_tracing_by_several(self, api: Api) -> None:
        """The same section: each configuration does its own part of each signal."""
        seen: list[str] = []

        class Tracer(anyhttp.TraceConfig):
            def __init__(self, name: str) -> None:
                super().__init__()
                self.name = name
                self.on_request_start.append(self.note)

            async def note(
                self,
                session: ClientSession,
                trace_config_ctx: SimpleNamespace,
                params: anyhttp.TraceRequestStartParams,
            ) -> None:
                seen.append(f"{self.name} {params.method} {params.url.path}")

        configs = [Tracer("AuditRequest"), Tracer("XRay")]
        async with anyhttp.ClientSession(trace_configs=configs) as client:
            await client.head(api.url / "json")
        assert seen == ["AuditRequest HEAD /json", "XRay HEAD /json"]

    async def test_client_tracing_with_state(self, api: Api) -> None:
        """The same section: one object for each request, from its start to its end."""
        elapsed: list[float] = []

        async def on_request_start(
            session: ClientSession,
            trace_config_ctx: SimpleNamespace,
            params: anyhttp.TraceRequestStartParams,
        ) -> None:
            trace_config_ctx.start = anyio.current_time()

        async def on_request_end(
            session: ClientSession,
            trace_config_ctx: SimpleNamespace,
            params: anyhttp.TraceRequestEndParams,
        ) -> None:
            elapsed.append(anyio.current_time() - trace_config_ctx.start)

        trace_config = anyhttp.TraceConfig()
        trace_config.on_request_start.append(on_request_start)
        trace_config.on_request_end.append(on_request_end)
        async with anyhttp.ClientSession(trace_configs=[trace_config]) as client:
            for _ in range(2):
                async with client.get(api.url / "json") as response:
                    await response.read()
        assert len(elapsed) == 2
        assert all(seconds >= 0 for seconds in elapsed)

    async def test_client_tracing_with_something_of_the_request(self, api: Api) -> None:
        """The same section: ``trace_request_ctx`` goes to the factory, whichever that is."""
        contexts: list[object] = []

        async def on_request_start(
            session: ClientSession, trace_config_ctx: Any, params: anyhttp.TraceRequestStartParams
        ) -> None:
            contexts.append(trace_config_ctx.trace_request_ctx)

        class Context(SimpleNamespace):
            pass

        for config in (
            anyhttp.TraceConfig(),
            anyhttp.TraceConfig(trace_config_ctx_factory=Context),
        ):
            config.on_request_start.append(on_request_start)
            async with anyhttp.ClientSession(trace_configs=[config]) as session:
                async with session.get(api.url / "json", trace_request_ctx={"foo": "bar"}):
                    pass
        assert contexts == [{"foo": "bar"}] * 2

    async def test_resolving_using_custom_nameservers(self, server: Server) -> None:
        """Section "Resolving using custom nameservers": they are asked, and no one else."""
        from anyhttp.resolver import AsyncResolver

        own = NameServer({"python.test": ["A 127.0.0.1"]})
        try:
            resolver = AsyncResolver(nameservers=[own.address])
            conn = anyhttp.TCPConnector(resolver=resolver, family=socket.AF_INET)
            async with anyhttp.ClientSession(connector=conn) as session:
                async with session.get(server.url.with_host("python.test") / "json") as resp:
                    assert await resp.json() == DOCUMENT
            await resolver.close()
        finally:
            own.stop()

    async def test_proxy_support(self, script: Script) -> None:
        """Section "Proxy support": an argument, with credentials beside or in it."""
        peer = await script(*[[THROUGH]] * 3)
        proxy = f"http://127.0.0.1:{peer.port}"
        async with anyhttp.ClientSession() as session:
            async with session.get("http://python.org", proxy=proxy) as resp:
                assert resp.status == 200

            proxy_auth = anyhttp.BasicAuth("user", "pass")
            async with session.get("http://python.org", proxy=proxy, proxy_auth=proxy_auth) as resp:
                assert resp.status == 200

            async with session.get(
                "http://python.org", proxy=proxy.replace("//", "//user:pass@")
            ) as resp:
                assert resp.status == 200
        assert [CREDENTIALS in request for request in peer.requests] == [False, True, True]

    @pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy"])
    async def test_proxy_support_by_the_environment(
        self, name: str, script: Script, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
    ) -> None:
        """The same section: only if the session is told to; credentials from the netrc file."""
        for other in ("HTTP_PROXY", "http_proxy", "NO_PROXY", "no_proxy", "REQUEST_METHOD"):
            monkeypatch.delenv(other, raising=False)
        netrc = tmp_path / "netrc"
        netrc.touch(0o600)
        monkeypatch.setenv("NETRC", str(netrc))
        peer = await script([THROUGH], [THROUGH])
        monkeypatch.setenv(name, f"http://127.0.0.1:{peer.port}")
        for credentials in (False, True):
            if credentials:
                netrc.write_text("machine 127.0.0.1 login user password pass\n")
            async with anyhttp.ClientSession(trust_env=True) as session:
                async with session.get("http://python.org") as resp:
                    assert resp.status == 200
            assert (CREDENTIALS in peer.requests[-1]) == credentials

        class Nowhere(anyhttp.abc.AbstractResolver):
            async def resolve(
                self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
            ) -> list[anyhttp.abc.ResolveResult]:
                raise OSError(None, f"{host} was to be asked directly")

            async def close(self) -> None:
                pass

        conn = anyhttp.TCPConnector(resolver=Nowhere())
        async with anyhttp.ClientSession(connector=conn) as session:
            with pytest.raises(anyhttp.ClientConnectorDNSError, match="directly"):
                await session.get("http://python.org")
