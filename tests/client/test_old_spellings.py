"""Spellings of older versions: each does what it did, and warns at the line that uses it."""

from __future__ import annotations

import asyncio
import base64
import inspect
import linecache
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookies import SimpleCookie
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from yarl import URL

import anyhttp
from anyhttp import (
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ConnectionTimeoutError,
    CookieJar,
    Fingerprint,
    FormData,
    HttpVersion10,
    NamedPipeConnector,
    ServerFingerprintMismatch,
    TCPConnector,
    UnixConnector,
)
from anyhttp.abc import AbstractResolver, ResolveResult
from anyhttp.client import RequestOptions
from anyhttp.client._options import overridden, overridden_request
from anyhttp.client_exceptions import ClientConnectorCertificateError
from anyhttp.connector import BaseConnector
from tests.support.api import Api
from tests.support.server import Server
from tests.support.tls import Authority


@contextmanager
def deprecated(*names: str) -> Iterator[None]:
    """Expect one ``DeprecationWarning`` for each of *names*, at a line here that holds it."""
    with pytest.warns(DeprecationWarning, match="deprecated|ignored|chunked") as caught:
        yield
    assert [str(warning.message).split()[0] for warning in caught] == [*names]
    for warning, name in zip(caught, names, strict=True):
        assert warning.filename == __file__
        assert name in linecache.getline(warning.filename, warning.lineno)


class Silent(AbstractResolver):
    """Never answers."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Wait until cancelled."""
        await anyio.sleep_forever()
        raise AssertionError

    async def close(self) -> None:
        """Hold nothing."""


# -- where a warning points --------------------------------------------------------------


async def test_a_warning_points_at_the_line_of_the_caller(api: Api) -> None:
    """Whether a request is awaited, entered, or made by a subclass of the session."""

    class Mine(ClientSession):
        def get(self, url: Any, **options: Any) -> Any:
            return super().get(url, **options)  # verify_ssl

    async with ClientSession() as session, Mine() as mine:
        with deprecated("verify_ssl"):
            (await session.get(api.url, verify_ssl=True)).release()
        with deprecated("verify_ssl"):
            async with session.post(api.url, verify_ssl=True):
                pass
        with deprecated("verify_ssl"):
            (await anyhttp.request("GET", api.url, verify_ssl=True)).release()
        with deprecated("verify_ssl"):
            (await mine.get(api.url, verify_ssl=True)).release()


async def test_a_warning_comes_with_the_call(api: Api) -> None:
    """Not when a task of somebody else awaits the request, whose line would be named then."""
    async with ClientSession() as session:
        with deprecated("files"):
            request = session.post(api.url, files=b"body")
        async with request as response:
            assert response.method == "POST"


# -- options that there are not ----------------------------------------------------------


@pytest.mark.parametrize("verb", ["get", "options", "head", "post", "put", "patch", "delete"])
async def test_an_unknown_option_is_a_type_error(verb: str, api: Api) -> None:
    """The message names what was called and the option; nothing is sent, even unawaited."""
    async with ClientSession() as session:
        with pytest.raises(TypeError) as caught:
            getattr(session, verb)(api.url, nonsense=3)
    assert str(caught.value) == (
        f"ClientSession.{verb}() got an unexpected keyword argument 'nonsense'"
    )
    assert not api.requests


async def test_an_unknown_option_of_request() -> None:
    """The two general calls are named as well."""
    untyped: Any = anyhttp
    message = r"^request\(\) got an unexpected keyword argument 'nonsense'$"
    with pytest.raises(TypeError, match=message):
        untyped.request("GET", "http://host/", nonsense=3)
    async with untyped.ClientSession() as session:
        with pytest.raises(TypeError, match=r"^ClientSession\.request\(\) got .* 'nonsense'$"):
            session.request("GET", "http://host/", nonsense=3)


def test_every_option_is_one_that_a_request_takes() -> None:
    """What type checkers allow is what is accepted, under each verb."""
    expected = RequestOptions.__optional_keys__
    named = set(inspect.signature(ClientSession._take_options).parameters)
    named |= set(inspect.signature(overridden).parameters)
    named |= set(inspect.signature(overridden_request).parameters)
    folded = {"encoding", "files", "verify_ssl", "ssl_context", "fingerprint"}
    assert expected - folded == named - {"self", "hop", "connector", "settings", "own"}


# -- options of a request ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("data", "body", "content_type"),
    [
        ("grün", b"gr\xfcn", "text/plain; charset=latin-1"),
        ({"a": "ü"}, b"a=%FC", "application/x-www-form-urlencoded; charset=latin-1"),
        ([("a", "ü")], b"a=%FC", "application/x-www-form-urlencoded; charset=latin-1"),
        (FormData({"a": "ü"}), b"a=%C3%BC", "application/x-www-form-urlencoded"),
        (b"gr\xfcn", b"gr\xfcn", "application/octet-stream"),
    ],
)
async def test_encoding_is_the_charset_of_text_and_forms(
    data: Any, body: bytes, content_type: str, api: Api
) -> None:
    """Bytes and what has a charset of its own are sent as they are."""
    async with ClientSession() as session:
        with deprecated("encoding"):
            request = session.post(api.url / "echo", data=data, encoding="latin-1")
        async with request as response:
            seen = await response.json()
    assert base64.b64decode(seen["body"]) == body
    assert ["Content-Type", content_type] in seen["headers"]


@pytest.mark.parametrize("encoding", ["no-such", "undefined"])
def test_encoding_names_a_charset(encoding: str) -> None:
    """Before anything is sent."""
    with pytest.raises(ValueError, match="encoding must be a charset"), deprecated("encoding"):
        anyhttp.request("POST", "http://host/", data=b"no text", encoding=encoding)


async def test_files_is_data(api: Api) -> None:
    """Of both, one can be given."""
    async with ClientSession() as session:
        with deprecated("files"):
            request = session.put(api.url / "echo", files={"a": "b"})
        async with request as response:
            assert base64.b64decode((await response.json())["body"]) == b"a=b"
        with pytest.raises(ValueError, match="data and files"), deprecated("files"):
            session.put(api.url / "echo", data=b"", files=b"")
        with pytest.raises(ValueError, match="data and json"), deprecated("files"):
            await session.put(api.url / "echo", json=1, files=b"")


@pytest.mark.parametrize(("size", "chunked"), [(1024, True), (1, True), (0, False)])
async def test_a_chunk_size_is_chunked(size: int, chunked: bool, api: Api) -> None:
    """The size itself is ignored."""
    size_of_chunks: Any = size
    async with ClientSession() as session:
        with deprecated("chunked"):
            request = session.post(api.url / "echo", data=b"body", chunked=size_of_chunks)
        async with request as response:
            headers = dict((await response.json())["headers"])
    assert (headers.get("Transfer-Encoding") == "chunked") is chunked


def test_chunked_is_nothing_else() -> None:
    """A str would count as True."""
    untyped: Any = anyhttp
    with pytest.raises(TypeError, match="chunked must be a bool, not str"):
        untyped.request("POST", "http://host/", chunked="no")


async def test_version_of_one_request(server: Server) -> None:
    """It goes before the session's; of :func:`request` it is a parameter that stays."""
    url = server.url / "echo"
    async with ClientSession() as session:
        with deprecated("version"):
            request = session.get(url, version=HttpVersion10)
        async with request as response:
            assert (await response.json())["version"] == "HTTP/1.0"
        async with session.get(url, version=None) as response:
            assert (await response.json())["version"] == "HTTP/1.1"
    async with anyhttp.request("GET", url, version=HttpVersion10) as response:
        assert (await response.json())["version"] == "HTTP/1.0"


async def test_request_takes_classes_and_a_loop(api: Api) -> None:
    """They are given to its session."""

    class Request(ClientRequest):
        pass

    class Response(ClientResponse):
        pass

    made = anyhttp.request(
        "GET", api.url / "echo", request_class=Request, response_class=Response, loop=None
    )
    async with made as response:
        assert type(response) is Response
    with deprecated("loop"):
        request = anyhttp.request("GET", api.url / "echo", loop=object())
    async with request as response:
        assert response.ok


# -- TLS ---------------------------------------------------------------------------------


async def test_old_tls_options_of_a_request(server: Server, tls_ca: Authority) -> None:
    """``verify_ssl``, ``ssl_context`` and ``fingerprint`` do what ``ssl`` does."""
    url = server.https_url / "json"
    async with ClientSession() as session:
        with pytest.raises(ClientConnectorCertificateError), deprecated("verify_ssl"):
            await session.get(url, verify_ssl=True)
        with deprecated("verify_ssl"):
            (await session.get(url, verify_ssl=False)).release()
        with deprecated("ssl_context"):
            (await session.get(url, ssl_context=tls_ca.client)).release()
        with deprecated("fingerprint"):
            (await session.get(url, fingerprint=tls_ca.fingerprint)).release()
        with pytest.raises(ServerFingerprintMismatch), deprecated("fingerprint"):
            await session.get(url, fingerprint=bytes(32))


async def test_old_tls_options_of_a_connector(server: Server, tls_ca: Authority) -> None:
    """They are the connector's own, for all requests."""
    url = server.https_url / "json"
    with deprecated("verify_ssl"):
        unverified = TCPConnector(verify_ssl=False)
    with deprecated("ssl_context"):
        trusting = TCPConnector(ssl_context=tls_ca.client)
    with deprecated("fingerprint"):
        pinned = TCPConnector(fingerprint=tls_ca.fingerprint)
    for connector in (unverified, trusting, pinned):
        async with ClientSession(connector=connector) as session, session.get(url) as response:
            assert response.status == 200


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
CONFLICTS: list[dict[str, Any]] = [
    {"ssl": False, "fingerprint": bytes(32)},
    {"ssl": False, "verify_ssl": True},
    {"ssl": CONTEXT, "ssl_context": CONTEXT},
    {"verify_ssl": False, "ssl_context": CONTEXT},
    {"ssl_context": CONTEXT, "fingerprint": bytes(32)},
]


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("options", CONFLICTS, ids=" ".join)
async def test_only_one_of_them_can_be_given(options: dict[str, Any], server: Server) -> None:
    """A connection that may be unverified or not is none that anybody asked for."""
    with pytest.raises(ValueError, match="only one of ssl, verify_ssl"):
        TCPConnector(**options)
    async with ClientSession() as session:
        with pytest.raises(ValueError, match="only one of ssl, verify_ssl"):
            session.get(server.https_url, **options)
    assert not server.requests


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_verification_beside_a_context_is_no_conflict() -> None:
    """``verify_ssl=True`` says what is so anyway, and older programs say it."""
    assert TCPConnector(verify_ssl=True, ssl_context=CONTEXT).ssl_context is CONTEXT


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_old_tls_options_have_types() -> None:
    """A wrong one is not taken for another."""
    untyped: Any = TCPConnector
    with pytest.raises(TypeError, match=r"ssl_context must be an ssl\.SSLContext, not str"):
        untyped(ssl_context="context")
    with pytest.raises(ValueError, match="SHA-256"):
        untyped(fingerprint=b"short")
    with pytest.raises(TypeError, match="ssl must be"):
        untyped(ssl="context", verify_ssl=False)


UNVERIFIED = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
UNVERIFIED.check_hostname = False
UNVERIFIED.verify_mode = ssl.CERT_NONE


@pytest.mark.parametrize(
    ("option", "verified", "context", "digest"),
    [
        (True, True, None, None),
        (False, False, None, None),
        (CONTEXT, True, CONTEXT, None),
        (UNVERIFIED, False, UNVERIFIED, None),
        (Fingerprint(bytes(32)), False, None, bytes(32)),
    ],
)
def test_attributes_say_what_ssl_says(
    option: Any, verified: bool, context: object, digest: object
) -> None:
    """They can be read and not set."""
    connector: Any = TCPConnector(ssl=option)
    assert connector.verify_ssl is verified
    assert connector.ssl_context is context
    assert connector.fingerprint == digest
    for name in ("verify_ssl", "ssl_context", "fingerprint"):
        with pytest.raises(AttributeError):
            setattr(connector, name, None)


async def test_no_verification_option_at_all_is_deprecated(api: Api) -> None:
    """``ssl=None`` meant the default once."""
    with pytest.warns(DeprecationWarning, match="ssl=None") as caught:
        assert TCPConnector(ssl=None).verify_ssl
    assert caught[0].filename == __file__
    async with ClientSession() as session:
        with pytest.warns(DeprecationWarning, match="ssl=None") as caught:
            (await session.get(api.url, ssl=None)).release()
        assert caught[0].filename == __file__


# -- the session -------------------------------------------------------------------------


async def test_old_names_of_time_limits() -> None:
    """``read_timeout`` was the limit of all; what is not named keeps its default."""
    with deprecated("read_timeout", "conn_timeout"):
        session = ClientSession(read_timeout=7, conn_timeout=3)
    async with session:
        assert session.timeout == ClientTimeout(total=7, connect=3, sock_connect=30)
    with deprecated("read_timeout"):
        session = ClientSession(read_timeout=None)
    async with session:
        assert session.timeout == ClientTimeout(sock_connect=30)
    with deprecated("conn_timeout"):
        session = ClientSession(conn_timeout=1.5)
    async with session:
        assert session.timeout == ClientTimeout(total=300, connect=1.5, sock_connect=30)


@pytest.mark.parametrize("name", ["read_timeout", "conn_timeout"])
def test_old_and_new_time_limits_contradict(name: str) -> None:
    """Which of them should count?"""
    options: Any = {"timeout": ClientTimeout(), name: 1}
    with pytest.raises(ValueError, match="together with timeout"):
        ClientSession(**options)
    options = {"timeout": 3}
    with pytest.raises(
        ValueError, match=r"timeout must be an anyhttp.ClientTimeout, such as .*, not int"
    ):
        ClientSession(**options)


async def test_arguments_without_effect_say_so() -> None:
    """They work around what is not there: asyncio's transports, and its loop."""
    with deprecated("ssl_shutdown_timeout"):
        session = ClientSession(ssl_shutdown_timeout=0)
    await session.close()
    with deprecated("loop"):
        session = ClientSession(loop=object())
    await session.close()
    ClientSession(loop=None, ssl_shutdown_timeout=None).detach()


async def test_loop_of_a_session(anyio_backend_name: str) -> None:
    """It is asyncio's running loop, which trio has none of."""
    async with ClientSession() as session:
        with deprecated("loop"):
            found = session.loop
    if anyio_backend_name == "asyncio":
        assert found is asyncio.get_running_loop()
    else:
        assert found is None


async def test_cookies_of_a_session() -> None:
    """What the jar holds, as ``http.cookies`` has it; names that it would refuse as well."""
    async with ClientSession(cookies={"a": "1"}) as session:
        session.cookie_jar.update_cookies_from_headers(["ü=2; Path=/x"], URL("http://host/x"))
        with deprecated("cookies"):
            found = session.cookies
    assert isinstance(found, SimpleCookie)
    assert {name: morsel.value for name, morsel in found.items()} == {"a": "1", "ü": "2"}


async def test_requote_redirect_url_can_still_be_set() -> None:
    """It is an argument of the session now."""
    async with ClientSession() as session:
        assert session.requote_redirect_url
        with pytest.warns(DeprecationWarning, match="requote_redirect_url") as caught:
            session.requote_redirect_url = False
        assert caught[0].filename == __file__
        assert not session.requote_redirect_url


# -- connectors --------------------------------------------------------------------------


async def test_conn_timeout_bounds_the_making_of_a_connection() -> None:
    """Beside the limits of the request, of which the shorter one counts."""
    with deprecated("conn_timeout"):
        connector = TCPConnector(conn_timeout=0.01, resolver=Silent())
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ConnectionTimeoutError):
            await session.get("http://example.com/", timeout=ClientTimeout(sock_connect=60))
        with pytest.raises(ConnectionTimeoutError):
            await session.get("http://example.com/", timeout=None)


async def test_conn_timeout_of_zero_is_none() -> None:
    """As elsewhere, 0 and ``None`` set no limit."""
    with deprecated("conn_timeout"):
        connector = TCPConnector(conn_timeout=0, resolver=Silent())
    async with ClientSession(connector=connector) as session:
        with pytest.raises(ConnectionTimeoutError):
            await session.get("http://example.com/", timeout=ClientTimeout(sock_connect=0.01))


async def test_old_arguments_of_a_unix_connector(server: Server) -> None:
    """The rest of its arguments can be given by position."""
    with deprecated("conn_timeout"):
        connector = UnixConnector(server.unix_path, False, 5, 10, 2, None, conn_timeout=60)
    assert (connector.path, connector.limit, connector.limit_per_host) == (server.unix_path, 10, 2)
    async with ClientSession(connector=connector) as session:
        async with session.get("http://host/json") as response:
            assert response.status == 200
    with deprecated("share_cookies"):
        await UnixConnector(server.unix_path, share_cookies=True).close()


@pytest.mark.parametrize("connector_class", [BaseConnector, TCPConnector])
def test_connector_arguments_without_effect_say_so(
    connector_class: Callable[..., BaseConnector],
) -> None:
    """False and ``None`` are what they are without being given."""
    with deprecated("share_cookies"):
        connector_class(share_cookies=True)
    with deprecated("enable_cleanup_closed"):
        connector_class(enable_cleanup_closed=True)
    with deprecated("disable_cleanup_closed"):
        connector_class(disable_cleanup_closed=True)
    with deprecated("loop"):
        connector_class(loop=object())
    connector_class(share_cookies=False, enable_cleanup_closed=False, loop=None)


def test_loop_of_a_resolver() -> None:
    """It runs wherever it is used."""
    pytest.importorskip("dns", reason="dnspython is not installed")
    for resolver_class in (anyhttp.ThreadedResolver, anyhttp.AsyncResolver):
        resolver_class(loop=None)
        with deprecated("loop"):
            resolver_class(loop=object())


def test_ssl_shutdown_timeout_of_a_connector() -> None:
    """TLS is never shut down by a handshake, so there is none to wait for."""
    with deprecated("ssl_shutdown_timeout"):
        TCPConnector(ssl_shutdown_timeout=1)


async def test_resolve_is_the_dns_cache(server: Server) -> None:
    """Names of version 0.16, for the argument, the attributes and the method."""
    with deprecated("resolve"):
        connector = TCPConnector(resolve=False)
    assert not connector.use_dns_cache
    with deprecated("resolve"):
        assert not connector.resolve
    await connector.close()
    connector = TCPConnector()
    async with ClientSession(connector=connector) as session:
        async with session.get(server.url.with_host("localhost")):
            assert server.url.port is not None
            assert connector.resolved_hosts == connector.cached_hosts
            assert list(connector.resolved_hosts) == [("localhost", server.url.port)]
            connector.clear_resolved_hosts("localhost", server.url.port)
            assert not connector.resolved_hosts
    with pytest.raises(ValueError, match="host and port"):
        connector.clear_resolved_hosts("localhost")


async def test_loop_and_transport_of_a_connection(server: Server, anyio_backend_name: str) -> None:
    """The loop as a session has it; in the place of a transport there is a stream."""
    async with ClientSession() as session:
        async with session.get(server.url / "stream/100000") as response:
            connection: Any = response.connection
            assert isinstance(connection.transport, ByteStream)
            with deprecated("loop"):
                found = connection.loop
    assert (found is not None) == (anyio_backend_name == "asyncio")
    assert connection.transport is None


def test_named_pipes_are_not_available() -> None:
    """As in aiohttp where there are none, which is said when the connector is made."""
    with pytest.raises(RuntimeError, match="named pipes"):
        NamedPipeConnector(r"\\.\pipe\name", force_close=True)


# -- elsewhere ---------------------------------------------------------------------------


def test_unsafe_by_position() -> None:
    """As the first argument of a jar, in version 2."""
    with pytest.warns(DeprecationWarning, match="unsafe") as caught:
        jar = CookieJar(True)
    assert jar.unsafe
    assert caught[0].filename == __file__


def test_private_names_that_programs_annotate_with(server: Server) -> None:
    """What the verbs and ``ws_connect()`` return has no public name in aiohttp."""
    from anyhttp import client as client_module

    session = ClientSession(server.url)
    request = session.get("/json")
    websocket = session.ws_connect("/ws")
    assert isinstance(request, client_module._RequestContextManager)
    assert isinstance(websocket, client_module._WSRequestContextManager)
    request.close()
    session.detach()


def test_modules_of_older_versions() -> None:
    """What stands there is what stands elsewhere."""
    from anyhttp import (
        abc,
        client as client_module,
        connector,
        helpers,
        http_websocket,
        protocol,
        resolver,
    )

    assert abc.AbstractCookieJar is anyhttp.AbstractCookieJar
    assert connector.TCPConnector is anyhttp.TCPConnector
    assert resolver.DefaultResolver is anyhttp.DefaultResolver
    assert protocol.HttpVersion is anyhttp.HttpVersion
    assert protocol.HttpVersion11 is anyhttp.HttpVersion11
    assert helpers.BasicAuth is anyhttp.BasicAuth
    assert helpers.DummyCookieJar is anyhttp.DummyCookieJar
    for name in ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError"):
        assert getattr(http_websocket, name) is getattr(anyhttp, name)
    for name in (
        "ClientError",
        "ClientResponse",
        "ClientTimeout",
        "ServerTimeoutError",
        "UnixConnector",
    ):
        assert getattr(client_module, name) is getattr(anyhttp, name)
    assert ClientTimeout(total=300, sock_connect=30) == client_module.DEFAULT_TIMEOUT


def test_multidicts_are_those_of_multidict() -> None:
    """So that programs need not import it."""
    import multidict

    for name in ("CIMultiDict", "CIMultiDictProxy", "MultiDict", "MultiDictProxy", "istr"):
        assert getattr(anyhttp, name) is getattr(multidict, name)
