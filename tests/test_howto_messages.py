"""docs/howto/: programs get the messages that troubleshooting.md explains and other pages quote."""

from __future__ import annotations

import asyncio
import errno
import gc
import io
import re
import socket
import ssl
import sys
import threading
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from functools import cache, partial
from tempfile import TemporaryDirectory
from typing import Any, Final
from unittest.mock import patch

import anyio
import anyio.lowlevel
import pytest

from anyhttp import (
    AddrInfoType,
    AsyncResolver,
    ClientSession,
    ClientTimeout,
    Fingerprint,
    FormData,
    TCPConnector,
    UnixConnector,
)
from anyhttp.abc import AbstractResolver, ResolveResult
from anyhttp.testing import Answer, WebSocketPeer, garbage, mock_requests, serve, stall
from tests.support.fresh_python import ROOT
from tests.support.multiplexed import jumping
from tests.support.programs import free_port
from tests.support.tls import Authority

PAGE: Final = (ROOT / "docs" / "howto" / "troubleshooting.md").read_text("utf-8")
#: The text below each message.
ENTRIES: Final = dict(re.findall(r"^### `(.*)`\n\n(.*)$", PAGE, re.MULTILINE))

URL: Final = "https://api.test/"

#: A certificate authority of which only some cases know.
authority: Final = cache(Authority)

Case = Callable[[], Awaitable[object]]
CASES: Final[dict[str, Case]] = {}


def shows(message: str) -> Callable[[Case], Case]:
    """Say which message a case makes the client give."""

    def remember(case: Case) -> Case:
        assert message not in CASES
        CASES[message] = case
        return case

    return remember


async def read(answer: Any = None, *, session: Any = None, **options: Any) -> str:
    """Read the text of the response to a request with these *options*.

    :param answer: what the request is answered with; ``None`` when it is not sent
    :param session: options of the session
    """
    with mock_requests(assert_all_called=False) as mock:
        mock.fallback(answer=answer or Answer())
        async with ClientSession(URL, **(session or {})) as client:
            async with client.post("x", **options) as response:
                return await response.text()


async def read_json(content_type: str, body: bytes) -> object:
    """Read the JSON of a response."""
    with mock_requests() as mock:
        mock.get(URL, body=body, headers={"Content-Type": content_type})
        async with ClientSession() as client, client.get(URL) as response:
            return await response.json()


async def fetch(url: str, connector: TCPConnector | UnixConnector | None = None) -> None:
    """Ask for *url*, on the real network."""
    async with ClientSession(connector=connector) as session, session.get(url):
        pass


async def talk(peer: Callable[[WebSocketPeer], Awaitable[None]] | None, use: Any) -> None:
    """Open a WebSocket to *peer*, and let the program use it."""
    with mock_requests() as mock:
        mock.ws("wss://api.test/", answers=[peer or 404])
        async with ClientSession() as session:
            async with session.ws_connect("wss://api.test/", max_msg_size=50) as ws:
                await use(ws)


# -- connecting


@shows("Cannot connect to host … [Connection refused]")
async def _nobody_listens() -> None:
    await fetch(f"http://localhost:{free_port()}/")


class Resolver(AbstractResolver):
    """Gives answers of its own, or fails."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        await anyio.lowlevel.checkpoint()
        if not self._addresses:
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self._addresses
        ]

    async def close(self) -> None:
        pass


@shows("Cannot connect to host … [all … addresses failed (…)]")
async def _nobody_listens_anywhere() -> None:
    resolver = Resolver("127.0.0.1", "127.0.0.2")
    await fetch(f"http://a.test:{free_port()}/", TCPConnector(resolver=resolver))


@shows("Cannot connect to host … [Name or service not known]")
async def _nobody_knows_the_name() -> None:
    await fetch("http://a.test/", TCPConnector(resolver=Resolver()))


@shows("Cannot connect to host … [Too many open files]")
async def _no_descriptor_is_left() -> None:
    def refuse(address: AddrInfoType) -> socket.socket:
        raise OSError(errno.EMFILE, "Too many open files")

    await fetch("http://127.0.0.1:1/", TCPConnector(socket_factory=refuse))


@shows("Cannot connect to unix socket … [No such file or directory]")
async def _no_unix_socket() -> None:
    await fetch("http://docker/", UnixConnector("/nonexistent/docker.sock"))


@shows("Connection timeout to host …")
async def _no_connection_is_free() -> None:
    with mock_requests() as mock:
        mock.get(URL, body=b"x" * 1_000_000)
        timeout = ClientTimeout(connect=1)
        async with (
            ClientSession(connector=TCPConnector(limit=1), timeout=timeout) as session,
            session.get(URL, timeout=None),
            session.get(URL),
        ):
            pass


@shows("Server disconnected")
async def _plain_http_for_a_port_of_https() -> None:
    async with serve(tls=authority().server) as server:
        await fetch(f"http://127.0.0.1:{server.port}/")


@shows("Cannot write to closing transport")
async def _a_message_for_nobody() -> None:
    async def send(ws: Any) -> None:
        await ws.receive()
        await ws.send_str("hello")

    await talk(lambda peer: peer.close(1000), send)


# -- TLS


async def fetch_over_tls(context: ssl.SSLContext, trust: Any) -> None:
    """Ask a server that has *context*, and verify it by *trust*."""
    async with serve(tls=context) as server:
        await fetch(f"https://localhost:{server.port}/", TCPConnector(ssl=trust))


@shows("certificate verify failed: unable to get local issuer certificate")
async def _a_certificate_of_nobody() -> None:
    await fetch_over_tls(authority().server, True)


@shows("certificate verify failed: Hostname mismatch, certificate is not valid for …")
async def _a_certificate_of_another_host() -> None:
    await fetch_over_tls(authority().server_for("other.test"), authority().client)


@shows("certificate verify failed: certificate has expired")
async def _an_old_certificate() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue("localhost", not_after=datetime(2020, 1, 1, tzinfo=UTC)).configure_cert(
        context
    )
    await fetch_over_tls(context, authority().client)


@shows("certificate of … has fingerprint …, expected …")
async def _another_certificate() -> None:
    await fetch_over_tls(authority().server, Fingerprint(b"x" * 32))


# -- proxies


@shows("Cannot connect through proxy … [Connection refused]")
async def _no_proxy() -> None:
    async with ClientSession(proxy=f"http://localhost:{free_port()}") as session:
        await session.get("http://a.test/")


@shows("the proxy refused to connect: 407, message='Proxy Authentication Required', …")
async def _a_proxy_that_wants_a_password() -> None:
    async with serve() as server:
        server.fallback(status=407)
        async with ClientSession(proxy=str(server.url)) as session:
            await session.get("https://a.test/")


@shows("socks5:// proxies need socksio: pip install 'anyhttp-client[socks]'")
async def _no_extra() -> None:
    with patch.dict(sys.modules, {"socksio": None}):
        async with ClientSession() as session:
            await session.get("http://a.test/", proxy="socks5://localhost:1080")


# -- time limits


@shows("Timeout on reading data from socket")
async def _a_silent_server() -> None:
    await read(stall(), timeout=ClientTimeout(sock_read=60))


@shows("the request's total timeout of … s ran out while …")
async def _a_slow_request() -> None:
    await read(stall(), timeout=60)


# -- responses


@shows("404, message='Not Found', url=…")
async def _a_refusal() -> None:
    await read(404, raise_for_status=True)


@shows("message='Attempt to decode JSON with unexpected mimetype: text/html'")
async def _a_page_for_people() -> None:
    await read_json("text/html", b"<html>")


@shows("Expecting value: line 1 column 1 (char 0)")
async def _no_json() -> None:
    await read_json("application/json", b"<html>")


@shows("'utf-8' codec can't decode byte …")
async def _another_charset() -> None:
    await read(Answer(body=b"\xff", headers={"Content-Type": "text/plain; charset=utf-8"}))


@shows("Response payload is not completed: …")
async def _half_a_body() -> None:
    await read(garbage(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"))


@shows("Can not decode content-encoding: gzip")
async def _no_gzip() -> None:
    await read(Answer(body=b"x" * 20, headers={"Content-Encoding": "gzip"}))


@shows("the response body is larger than max_body_size (… bytes)")
async def _a_large_body() -> None:
    await read("x" * 20, max_body_size=10)


@shows("a header line is longer than 8190 bytes")
async def _a_long_header() -> None:
    await read(garbage(b"HTTP/1.1 200 OK\r\nX: " + b"x" * 8190 + b"\r\n\r\n"))


@shows("not an HTTP/1.x response: it starts with …")
async def _another_protocol() -> None:
    await read(garbage(b"SSH-2.0-OpenSSH\r\n"))


@shows('the server speaks HTTP/2: give the connector http2="prior-knowledge"')
async def _http2() -> None:
    await read(garbage(b"\0\0\0\4\0\0\0\0\0"))


@shows("the limit of 10 redirects was reached")
async def _a_circle() -> None:
    await read(Answer(302, headers={"Location": "/x"}))


@shows("the body has been used up and cannot be sent again to follow a redirect")
async def _a_generator_twice() -> None:
    async def once() -> AsyncIterator[bytes]:
        yield b"x"

    await read(Answer(307, headers={"Location": "/x"}), data=once())


@shows("Got more than … characters when reading: …")
async def _a_long_line() -> None:
    with mock_requests() as mock:
        mock.get(URL, text="x" * 20)
        async with ClientSession() as session, session.get(URL) as response:
            async for _ in response.lines(max_line_length=10):
                pass


@shows("Connection closed: the response was released before; …")
async def _too_late() -> None:
    with mock_requests() as mock:
        mock.get(URL, text="x")
        async with ClientSession() as session:
            async with session.get(URL) as response:
                pass
            await response.text()


# -- URLs and options


@shows("the scheme is missing: write http:// before it")
async def _no_scheme() -> None:
    await fetch("localhost:8000")


@shows("the URL is relative: it has no scheme, and the session has no base_url")
async def _no_base_url() -> None:
    await fetch("/users")


@shows("base_url must have a path that ends in '/'")
async def _no_slash() -> None:
    ClientSession("https://api.example/v1")


@shows("params: Invalid variable type: value should be str, int or float, got None …")
async def _a_parameter_that_is_none() -> None:
    await read(params={"page": None})


@shows("data: field … a value of type NoneType cannot be sent as text: …")
async def _a_field_that_is_none() -> None:
    await read(data={"page": None})


@shows("data and json cannot be given together")
async def _two_bodies() -> None:
    await read(data={}, json={})


@shows("headers: the value of … holds a control character")
async def _a_line_end_in_a_header() -> None:
    await read(headers={"X-Token": "abc\n"})


@shows("headers: … must be a str, not int")
async def _a_number_as_a_header() -> None:
    await read(headers={"X-Number": 5})


@shows("auth must be an anyhttp.BasicAuth, not tuple")
async def _a_pair_as_auth() -> None:
    await read(auth=("user", "password"))


@shows("Object of type datetime is not JSON serializable")
async def _no_json_of_that() -> None:
    await read(json=datetime.now(UTC))


# -- sessions and responses


@shows("Session is closed")
async def _a_closed_session() -> None:
    session = ClientSession()
    await session.close()
    await session.get(URL)


@shows("… has no 'status': await it, or use 'async with', first")
async def _no_await() -> None:
    async with ClientSession() as session:
        request: Any = session.get(URL)
        try:
            request.status  # noqa: B018 (it raises)
        finally:
            request.close()


@shows("'coroutine' object is not subscriptable")
async def _no_await_of_json() -> None:
    with mock_requests() as mock:
        mock.get(URL, json={})
        async with ClientSession() as session, session.get(URL) as response:
            coroutine: Any = response.json()
            try:
                coroutine["name"]
            finally:
                coroutine.close()


@shows("use 'async with', not 'with'")
async def _no_async() -> None:
    session: Any = ClientSession()
    try:
        with session:
            pass
    finally:
        await session.close()


async def raise_warning(forget: Case) -> None:
    """Raise the warning about what was forgotten."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        await forget()
        gc.collect()
    raise next(each.message for each in caught if each.category is ResourceWarning)  # type: ignore[misc]


@shows("Unclosed client session …")
async def _a_forgotten_session() -> None:
    async def forget() -> None:
        ClientSession()

    await raise_warning(forget)


@shows("Unclosed response …")
async def _a_forgotten_response() -> None:
    async def forget() -> None:
        with mock_requests() as mock:
            mock.get(URL, body=b"x" * 1_000_000)
            async with ClientSession() as session:
                await session.get(URL)
                gc.collect()

    await raise_warning(forget)


@shows("a session, or a connector, is being used by two threads at once: …")
async def _two_threads() -> None:
    failures: list[BaseException] = []

    def run(session: ClientSession) -> None:
        try:
            anyio.run(session.get, URL)
        except RuntimeError as error:
            failures.append(error)

    with mock_requests() as mock:
        mock.get(URL, body=b"x" * 1_000_000)
        async with ClientSession() as session, session.get(URL):
            thread = threading.Thread(target=run, args=[session])
            thread.start()
            thread.join()
    raise failures[0]


@shows("unhandled errors in a TaskGroup (… sub-exception)")
async def _a_task_that_fails() -> None:
    async def fail() -> None:
        await anyio.lowlevel.checkpoint()
        raise ValueError

    async with anyio.create_task_group() as group:
        group.start_soon(fail)


# -- WebSockets


@shows("Invalid response status")
async def _no_websocket() -> None:
    await talk(None, None)


@shows("Received message <WSMsgType.CLOSE: 8> is not WSMsgType.TEXT")
async def _the_end_in_place_of_a_text() -> None:
    await talk(lambda peer: peer.close(1000), lambda ws: ws.receive_str())


@shows("another task is receiving from this websocket already")
async def _two_receivers() -> None:
    async def listen(peer: WebSocketPeer) -> None:
        async for _ in peer:
            pass

    async def receive(ws: Any) -> None:
        try:
            async with anyio.create_task_group() as group:
                group.start_soon(ws.receive)
                group.start_soon(ws.receive)
        except* RuntimeError as raised:
            failures.extend(raised.exceptions)

    failures: list[Exception] = []
    await talk(listen, receive)
    raise failures[0]


@shows("a message of … bytes or more exceeds the limit of … bytes")
async def _a_large_message() -> None:
    async def receive(ws: Any) -> None:
        message = await ws.receive()
        failures.append(message.data)

    failures: list[Exception] = []
    await talk(lambda peer: peer.send("x" * 100), receive)
    raise failures[0]


# -- tests


@shows("no route answers GET …")
async def _no_route() -> None:
    with mock_requests():
        await fetch(URL)


# -- on other pages


async def run_on(backend: str, function: Case) -> None:
    """Run *function* in an event loop of its own."""
    await anyio.to_thread.run_sync(partial(anyio.run, function, backend=backend))


@shows("ClientConnectorError: … [Cannot assign requested address]")
async def _an_address_of_another_machine() -> None:
    await fetch("http://127.0.0.1:1/", TCPConnector(local_addr=("192.0.2.7", 0)))


@shows("UnixClientConnectorError: … [Connection refused]")
async def _a_unix_socket_of_nobody() -> None:
    with TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{folder}/socket")
        await fetch("http://docker/", UnixConnector(f"{folder}/socket"))


@shows("RuntimeError: AsyncResolver needs dnspython")
async def _no_dnspython() -> None:
    with patch.dict(sys.modules, {"dns": None, "dns.asyncresolver": None}):
        AsyncResolver()


@shows("AttributeError: 'State' object has no attribute 'session'")
async def _no_lifespan() -> None:
    State = pytest.importorskip("starlette.datastructures").State  # noqa: N806 (a class)
    State().session  # noqa: B018 (it raises)


@shows("TypeError: … a value of type dict cannot be sent as text: encode it, as with json.dumps()")
async def _a_field_that_is_a_dict() -> None:
    await read(data={"options": {"notify": True}})


@shows("DeprecationWarning: bytes will no longer be sent as a file")
async def _a_field_of_bytes() -> None:
    FormData({"file": b""})


@shows("ValueError: I/O operation on closed file")
async def _a_closed_file() -> None:
    file = io.BytesIO()
    file.close()
    await read(data={"file": file})


@shows("ExceptionGroup: Exceptions from Trio nursery (1 sub-exception)")
async def _a_task_that_fails_on_trio() -> None:
    await run_on("trio", _a_task_that_fails)


@shows("RuntimeError: no running event loop")
async def _asyncio_on_trio() -> None:
    await run_on("trio", partial(asyncio.sleep, 1))


@shows("TypeError: trio.run received unrecognized yield message …")
async def _a_future_on_trio() -> None:
    await run_on("trio", partial(asyncio.sleep, 0))


@shows("TypeError: 'coroutine' object is not callable")
async def _a_coroutine_in_place_of_a_function() -> None:
    coroutine: Any = anyio.lowlevel.checkpoint()
    try:
        await run_on("asyncio", coroutine)
    finally:
        coroutine.close()


@shows("SyntaxError: 'break', 'continue' and 'return' cannot appear in an except* block")
async def _a_return_too_early() -> None:
    compile("def f():\n try: f()\n except* ValueError: return", "f.py", "exec")


@shows("RuntimeError: Attempted to exit cancel scope in a different task than it was entered in")
async def _a_scope_of_another_task() -> None:
    async def leave(scope: anyio.CancelScope, failures: list[Exception]) -> None:
        try:
            scope.__exit__(None, None, None)
        except RuntimeError as error:
            failures.append(error)

    async def enter() -> None:
        failures: list[Exception] = []
        with anyio.CancelScope() as scope:
            async with anyio.create_task_group() as group:
                group.start_soon(leave, scope, failures)
        raise failures[0]

    await run_on("asyncio", enter)


#: What is quoted on other pages, with the name of its exception, as the last line of a traceback.
QUOTED: Final = {
    quote
    for page in (ROOT / "docs" / "howto").glob("*.md")
    if page.stem not in {"troubleshooting", "testing-ported"}  # the latter quotes other packages
    for quote in re.findall(r"`(\w*(?:Error|Group|Warning): [^`]+)`", page.read_text("utf-8"))
}


def name_of_exception(entry: str) -> str:
    """Return the name that an entry of the page begins with."""
    named = re.match(r"\{exc\}`~(?:\w+\.)+(\w+)`|`(\w+)`", entry)
    assert named is not None
    return named[1] or named[2]


def test_each_message_has_a_case() -> None:
    """Whoever adds one shows that it is true."""
    assert [*ENTRIES] == [message for message in CASES if message not in QUOTED]


@pytest.mark.parametrize("quote", sorted(QUOTED - CASES.keys()))
def test_a_message_on_another_page_is_an_entry(quote: str) -> None:
    """Or has a case of its own."""
    name, _, text = quote.partition(": ")
    text = text.removeprefix("… ").removesuffix(" …").replace("(1 sub-", "(… sub-")
    assert [
        entry
        for message, entry in ENTRIES.items()
        if text in message and name_of_exception(entry) == name
    ]


#: Messages that come when time has passed.
LATE: Final = (
    "Connection timeout to host …",
    "Timeout on reading data from socket",
    "the request's total timeout of … s ran out while …",
)


@pytest.mark.parametrize("message", [message for message in CASES if message not in LATE])
async def test_the_client_gives_the_message(message: str, anyio_backend_name: str) -> None:
    """With the exception that the page names."""
    await check(message, anyio_backend_name)


@jumping
@pytest.mark.parametrize("message", LATE)
async def test_the_client_gives_the_message_in_the_end(message: str) -> None:
    """With the exception that the page names."""
    await check(message)


async def check(message: str, backend: str = "") -> None:
    """Let the case of *message* fail, and compare how it does."""
    with pytest.raises(BaseException) as raised:
        await CASES[message]()
    if message in ENTRIES:
        assert type(raised.value).__name__ == name_of_exception(ENTRIES[message])
    pattern = re.escape(message).replace("…", ".*")
    if backend == "trio":
        pattern = pattern.replace(
            r"unhandled\ errors\ in\ a\ TaskGroup", "Exceptions from Trio nursery"
        )
    text = f"{type(raised.value).__name__}: {raised.value}"
    assert re.search(pattern, text, re.DOTALL)
