"""The exceptions that a mock brings about are those that the same fault has on a socket."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import (
    ClientConnectionError,
    ClientConnectorCertificateError,
    ClientConnectorDNSError,
    ClientConnectorError,
    ClientConnectorSSLError,
    ClientError,
    ClientOSError,
    ClientPayloadError,
    ClientProxyConnectionError,
    ClientSession,
    ClientSSLError,
    ClientTimeout,
    ConnectionTimeoutError,
    ServerConnectionError,
    ServerDisconnectedError,
    ServerTimeoutError,
    SocketTimeoutError,
    TCPConnector,
    UnixClientConnectorError,
)
from anyhttp.abc import AbstractResolver, ResolveResult
from anyhttp.testing import Answer, MockConnector, WebSocketPeer, drip, garbage, reset, stall
from tests.support.census import assert_no_tokens
from tests.support.errors import KEY
from tests.support.peer import CLOSE, HELLO, RESET, STALL, Reply, Script
from tests.support.server import Server

HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
HALF = HEAD + b"4\r\nhalf\r\n"
LONGER = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"


@dataclass(frozen=True)
class Outcome:
    """What a request has raised, and where."""

    phase: str
    kind: type[BaseException]
    text: str
    number: int | None
    body: bytes = b""


async def outcome(connector: Any, url: URL, **options: Any) -> Outcome:
    """Make a request whose response fails, and return how."""
    phase, body = "head", b""
    async with ClientSession(connector=connector) as session:
        try:
            async with session.get(url, **options) as response:
                phase = "body"
                async for piece in response.content.iter_any():
                    body += piece
        except Exception as exc:  # noqa: BLE001  (whatever it is, it is compared)
            text = re.sub(r"(?:localhost|127\.0\.0\.1|api\.test)(?::\d+)?", "HOST", str(exc))
            number = getattr(exc, "errno", None)
            return Outcome(phase, type(exc), text, number, body)
        finally:
            assert_no_tokens(connector, idle=0)
    raise AssertionError("the request did not fail")


@dataclass(frozen=True)
class Case:
    """A fault: how a mock is told of it, and how a peer on a socket behaves."""

    name: str
    mocked: dict[str, Any]
    real: Reply
    expected: type[BaseException]
    timeout: ClientTimeout = field(default_factory=ClientTimeout)


SOON = ClientTimeout(sock_read=0.02)
IN_ALL = ClientTimeout(total=0.02)

CASES = [
    Case("reset", {"exception": ConnectionResetError()}, RESET, ClientOSError),
    Case("reset-class", {"exception": ConnectionResetError}, RESET, ClientOSError),
    Case("reset-ours", {"exception": ClientOSError}, RESET, ClientOSError),
    Case("reset-helper", {"answer": reset()}, RESET, ClientOSError),
    Case(
        "reset-number",
        {"exception": OSError(errno.ECONNRESET, "Connection reset by peer")},
        RESET,
        ClientOSError,
    ),
    Case("end", {"exception": EOFError()}, CLOSE, ServerDisconnectedError),
    Case("end-ours", {"exception": ServerDisconnectedError}, CLOSE, ServerDisconnectedError),
    Case(
        "end-ours-given", {"exception": ServerDisconnectedError()}, CLOSE, ServerDisconnectedError
    ),
    Case("end-base", {"exception": ServerConnectionError}, CLOSE, ServerDisconnectedError),
    Case("end-in-head", {"raw": b"HTTP/1.1 2"}, [b"HTTP/1.1 2", CLOSE], ServerDisconnectedError),
    Case(
        "reset-in-body",
        {"body": b"half", "exception": ConnectionResetError()},
        [HALF, RESET],
        ClientPayloadError,
    ),
    Case("reset-in-body-helper", {"answer": reset(b"half")}, [HALF, RESET], ClientPayloadError),
    Case("reset-after-head", {"answer": reset(b"")}, [HEAD, RESET], ClientPayloadError),
    Case(
        "end-in-body",
        {"body": b"half", "exception": EOFError},
        [HALF, CLOSE],
        ClientPayloadError,
    ),
    Case(
        "end-in-body-ours",
        {"body": b"half", "exception": ClientPayloadError},
        [HALF, CLOSE],
        ClientPayloadError,
    ),
    Case("payload", {"exception": ClientPayloadError}, [HEAD, CLOSE], ClientPayloadError),
    Case(
        "end-in-length",
        {"body": b"half", "headers": {"Content-Length": "10"}},
        [LONGER, CLOSE],
        ClientPayloadError,
    ),
    Case("timeout", {"exception": TimeoutError()}, STALL, SocketTimeoutError, SOON),
    Case("timeout-ours", {"exception": SocketTimeoutError}, STALL, SocketTimeoutError, SOON),
    Case("timeout-base", {"exception": ServerTimeoutError}, STALL, SocketTimeoutError, SOON),
    Case("timeout-in-all", {"exception": TimeoutError()}, STALL, TimeoutError, IN_ALL),
    Case("stall", {"answer": stall()}, STALL, SocketTimeoutError, SOON),
    Case("stall-in-all", {"answer": stall()}, STALL, TimeoutError, IN_ALL),
    Case(
        "timeout-in-body",
        {"body": b"half", "exception": TimeoutError},
        [HALF, STALL],
        SocketTimeoutError,
        ClientTimeout(sock_read=0.25),  # in which the head has come from the peer
    ),
    Case(
        "timeout-in-all-in-body",
        {"body": b"half", "exception": TimeoutError},
        [HALF, STALL],
        TimeoutError,
        ClientTimeout(total=0.25),
    ),
    Case(
        "garbage", {"answer": garbage(b"no HTTP\r\n\r\n")}, [b"no HTTP\r\n\r\n", CLOSE], ClientError
    ),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_a_fault_in_the_exchange_is_that_of_a_socket(
    case: Case, http1: str, script: Script
) -> None:
    """Class, text, number, how much of the body came, and whether a head did."""
    mock = MockConnector(http1=http1)
    mock.get("/a", **case.mocked)
    mocked = await outcome(mock, URL("http://api.test/a"), timeout=case.timeout)
    peer = await script([(b"GET /a ", case.real)])
    real = await outcome(TCPConnector(http1=http1), URL(f"{peer.url}a"), timeout=case.timeout)
    assert mocked == real
    assert issubclass(mocked.kind, case.expected)
    assert len(mock.calls) == 1


@pytest.mark.parametrize("iterated", ["plain", "async"])
async def test_a_fault_follows_a_body_that_is_iterated(iterated: str) -> None:
    """It is the same as after bytes in memory."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"ha"
        yield b"lf"

    body: Any = [b"ha", b"lf"] if iterated == "plain" else pieces()
    outcomes = []
    for given in (body, b"half"):
        mock = MockConnector()
        mock.get("/a", body=given, exception=ConnectionResetError())
        outcomes.append(await outcome(mock, URL("http://api.test/a")))
    assert outcomes[0] == outcomes[1]
    assert outcomes[0].body == b"half"


# -- failures to connect


class FailingResolver(AbstractResolver):
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    async def close(self) -> None:
        pass


def closed_port() -> int:
    """Return a port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port


@pytest.mark.parametrize(
    "given",
    [ConnectionRefusedError(), ConnectionRefusedError, ClientConnectorError, ClientConnectionError],
)
async def test_a_refused_connection_is_that_of_a_socket(given: Any) -> None:
    """The exception names the host, and the error of the system."""
    mock = MockConnector()
    mock.get("/", exception=given)
    mocked = await outcome(mock, URL("http://api.test/"))
    real = await outcome(TCPConnector(), URL(f"http://127.0.0.1:{closed_port()}/"))
    assert mocked == real
    assert mocked.kind is ClientConnectorError


@pytest.mark.parametrize("given", [socket.gaierror(), socket.gaierror, ClientConnectorDNSError])
async def test_an_unknown_host_is_that_of_a_resolver(given: Any) -> None:
    """The error of the resolver is the cause."""
    mock = MockConnector()
    mock.get("/", exception=given)
    mocked = await outcome(mock, URL("http://api.test/"))
    real = await outcome(TCPConnector(resolver=FailingResolver()), URL("http://api.test/"))
    assert mocked == real
    assert mocked.kind is ClientConnectorDNSError


@pytest.mark.parametrize(
    "given",
    [ssl.SSLCertVerificationError(), ssl.SSLCertVerificationError, ClientConnectorCertificateError],
)
async def test_an_untrusted_certificate_is_that_of_tls(given: Any, server: Server) -> None:
    """The class is the same; the text tells of the certificate that there was."""
    mock = MockConnector()
    mock.get("/", exception=given)
    mocked = await outcome(mock, URL("https://api.test/"))
    real = await outcome(TCPConnector(ssl=ssl.create_default_context()), server.https_url)
    assert mocked.kind is real.kind is ClientConnectorCertificateError
    assert mocked.text.startswith("Cannot connect to host HOST ssl:True [SSLCertVerificationError")
    assert real.text.startswith("Cannot connect to host HOST ssl:True [SSLCertVerificationError")


@pytest.mark.parametrize(
    "given", [ssl.SSLError(), ssl.SSLError, ClientConnectorSSLError, ClientSSLError]
)
async def test_a_failed_handshake_is_that_of_tls(given: Any, script: Script) -> None:
    """It is no failure of the certificate."""
    mock = MockConnector()
    mock.get("/", exception=given)
    mocked = await outcome(mock, URL("https://api.test/"))
    peer = await script([(HELLO, [b"no TLS at all\r\n", CLOSE])])
    real = await outcome(TCPConnector(), peer.url.with_scheme("https"))
    assert mocked.kind is real.kind is ClientConnectorSSLError


async def test_a_connection_that_is_not_made_in_time() -> None:
    """That it takes long, or that it is over at once, is the same to the client."""
    mock = MockConnector()
    mock.get("/now", exception=ConnectionTimeoutError)
    mock.get("/late", exception=ConnectionRefusedError(), delay=3600)
    timeout = ClientTimeout(sock_connect=0.01)
    now = await outcome(mock, URL("http://api.test/now"), timeout=timeout)
    mock = MockConnector()
    mock.get("/late", exception=ConnectionRefusedError(), delay=3600)
    late = await outcome(mock, URL("http://api.test/late"), timeout=timeout)
    assert now.kind is late.kind is ConnectionTimeoutError
    assert late.text.replace("late", "now") == now.text


async def test_a_proxy_that_cannot_be_reached() -> None:
    """It is told from an origin that cannot be."""
    mock = MockConnector()
    mock.get("/", exception=ClientProxyConnectionError)
    proxy = f"http://127.0.0.1:{closed_port()}"
    url = URL("http://api.test/")
    mocked = await outcome(mock, url, proxy=proxy)
    real = await outcome(TCPConnector(), url, proxy=proxy)
    assert mocked == real


@pytest.mark.parametrize(
    "given",
    [
        ClientProxyConnectionError(KEY, ConnectionRefusedError(errno.ECONNREFUSED, "no")),
        ClientConnectorCertificateError(KEY, ssl.SSLCertVerificationError(1, "too old")),
        ClientOSError(errno.EPIPE, "gone"),
    ],
)
async def test_an_object_of_this_package_says_what_its_cause_is(given: ClientOSError) -> None:
    """So an exception that a program has caught elsewhere can be given again."""
    mock = MockConnector()
    mock.get("https://api.test/", exception=given)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(type(given)) as caught:
            await session.get("https://api.test/")
    assert caught.value.errno == given.errno
    assert caught.value.strerror == given.strerror
    assert_no_tokens(mock, idle=0)


async def test_an_object_says_what_the_cause_is() -> None:
    """Its error of the system is what happens; the endpoint is that of the request."""
    error = OSError(errno.EHOSTUNREACH, "No route to host")
    mock = MockConnector()
    mock.get("/", exception=ClientConnectorError(None, error))
    async with ClientSession(connector=mock) as session:
        with pytest.raises(ClientConnectorError, match=r"api\.test") as caught:
            await session.get("http://api.test/")
    assert caught.value.os_error is error


@pytest.mark.parametrize(
    "given",
    [
        RuntimeError("what the program did not expect"),
        UnixClientConnectorError("/run/a", None, ConnectionRefusedError()),
        KeyError("a"),
    ],
)
@pytest.mark.parametrize("body", [None, b"half"])
async def test_any_other_exception_comes_out_as_it_is(given: Exception, body: bytes | None) -> None:
    """The very object, whether a body comes before or not."""
    mock = MockConnector()
    if isinstance(given, OSError) and body is not None:
        return  # it is a failure to connect
    mock.get("/", exception=given, body=body)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(type(given)) as caught:
            await (await session.get("http://api.test/")).read()
        assert_no_tokens(mock, idle=0)
    assert caught.value is given


@pytest.mark.parametrize("raised", [LookupError("a mistake"), FileNotFoundError(2, "no data")])
async def test_what_a_function_raises_comes_out_as_it_is(raised: Exception) -> None:
    """It is a mistake in the test, even if it looks like an error of the network."""

    def answer(request: object) -> Answer:
        raise raised

    mock = MockConnector()
    mock.get("/", answer=answer)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(type(raised)) as caught:
            await session.get("http://api.test/")
        assert_no_tokens(mock, idle=0)
    assert caught.value is raised


async def test_what_pytest_raises_in_a_function_comes_out_too() -> None:
    """``pytest.fail()`` and ``pytest.skip()`` raise what is no :exc:`Exception`."""
    mock = MockConnector()
    mock.get("/", answer=lambda request: pytest.fail("not this one"))
    async with ClientSession(connector=mock) as session:
        with pytest.raises(pytest.fail.Exception, match="not this one"):
            await session.get("http://api.test/")
        assert_no_tokens(mock, idle=0)


async def test_what_pytest_raises_comes_out_if_no_request_waits_for_it() -> None:
    """The end of the session raises it."""

    async def script(peer: WebSocketPeer) -> None:
        await peer.receive()
        pytest.fail("not this message")

    mock = MockConnector()
    mock.ws("ws://api.test/", script)
    session = ClientSession(connector=mock)
    websocket = await session.ws_connect("ws://api.test/")
    await websocket.send_str("hello")
    with pytest.raises(pytest.fail.Exception, match="not this message"):
        await session.close()


async def test_an_exception_that_a_function_returns_is_a_fault() -> None:
    """It is brought about as if it had been given; the connection exists already."""
    mock = MockConnector()
    mock.get("/returned", answer=lambda request: ConnectionResetError())
    mock.get("/given", exception=ConnectionResetError())
    returned = await outcome(mock, URL("http://api.test/returned"))
    mock = MockConnector()
    mock.get("/given", exception=ConnectionResetError())
    assert returned == await outcome(mock, URL("http://api.test/given"))


@pytest.mark.parametrize("returned", [None, object(), 3.5])
async def test_a_function_that_returns_no_answer_is_named(returned: Any) -> None:
    """A forgotten ``return`` is the usual mistake."""

    def forgetful(request: object) -> Any:
        return returned

    mock = MockConnector()
    mock.get("/", answer=forgetful)
    async with ClientSession(connector=mock) as session:
        with pytest.raises(TypeError, match=r"forgetful\(\) returns must be an Answer"):
            await session.get("http://api.test/")


async def test_without_time_limits_a_timeout_is_that_of_the_system() -> None:
    """As when the kernel gives up: no limit of the client has run out."""
    mock = MockConnector()
    mock.get("/", exception=TimeoutError())
    result = await outcome(mock, URL("http://api.test/"), timeout=ClientTimeout())
    assert (result.kind, result.number) == (ClientOSError, errno.ETIMEDOUT)


async def test_a_timeout_of_reading_comes_without_such_a_limit_too() -> None:
    """The program may set it elsewhere, and has to handle the exception."""
    mock = MockConnector()
    mock.get("/", exception=SocketTimeoutError)
    result = await outcome(mock, URL("http://api.test/"))
    assert result.kind is SocketTimeoutError


async def test_a_request_is_not_sent_again_on_its_own() -> None:
    """Each connection of a mock is new, and only a kept one is tried again."""
    mock = MockConnector()
    mock.get("/", answers=[ServerDisconnectedError, 200])
    async with ClientSession(connector=mock) as session:
        with pytest.raises(ServerDisconnectedError):
            await session.get("http://api.test/")
        async with session.get("http://api.test/") as response:
            assert response.status == 200


async def test_a_fault_after_a_dripping_body() -> None:
    """What dripped has arrived."""
    mock = MockConnector()
    mock.get("/", body=drip(b"half", size=1), exception=ConnectionResetError())
    result = await outcome(mock, URL("http://api.test/"))
    assert (result.phase, result.body) == ("body", b"half")


async def test_cancelling_a_request_that_stalls_frees_all() -> None:
    """Neither slot nor task is left."""
    mock = MockConnector()
    mock.get("/", answer=stall())
    async with ClientSession(connector=mock) as session:
        with anyio.move_on_after(0.01):
            await session.get("http://api.test/")
        assert_no_tokens(mock, idle=0)
