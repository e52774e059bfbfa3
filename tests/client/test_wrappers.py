"""What a program puts around or in the place of a session's methods and connector is called.

Monitoring tools wrap ``ClientSession._request``, some of them with proxies that show every
attribute of what they wrap, and put a proxy in the place of the session's connector.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any
from unittest import mock

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    BaseConnector,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    ClientWebSocketResponse,
    TCPConnector,
    UnixConnector,
    WSMsgType,
    WSServerHandshakeError,
    client_reqrep,
)
from anyhttp.client_middlewares import ClientHandlerType
from anyhttp.client_reqrep import take_exchange
from anyhttp.testing import WebSocketPeer
from tests.support.api import Api
from tests.support.client import assert_free
from tests.support.server import Server

wrapt: Any = pytest.importorskip("wrapt")


@pytest.fixture
def socket_url(api: Api) -> URL:
    """The URL of a server that accepts any WebSocket, and sends it a text."""

    async def greet(peer: WebSocketPeer) -> None:
        await peer.send("hello")
        async for _ in peer:
            pass

    url = api.url.with_scheme("ws")
    api.mock.ws(url, greet, match_query={})
    return url


def subclassed(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Override it in a subclass."""

    class Seeing(ClientSession):
        async def _request(self, *args: Any, **kwargs: Any) -> ClientResponse:
            see(*args, **kwargs)
            return await super()._request(*args, **kwargs)

    return Seeing()


def on_the_object(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Assign a function to the object."""
    session = ClientSession()
    own = session._request

    async def seeing(*args: Any, **kwargs: Any) -> ClientResponse:
        see(*args, **kwargs)
        return await own(*args, **kwargs)

    session._request = seeing  # type: ignore[method-assign]  # on purpose
    return session


def of_another_session(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Assign the method of another session."""
    session, other = ClientSession(), subclassed(monkeypatch, see)
    session._request = other._request  # type: ignore[method-assign]  # on purpose
    session.others = other  # type: ignore[attr-defined]  # closed by the test
    return session


def on_the_class(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Assign a function to the class."""
    own = ClientSession._request

    @functools.wraps(own)
    async def seeing(self: ClientSession, *args: Any, **kwargs: Any) -> ClientResponse:
        see(*args, **kwargs)
        return await own(self, *args, **kwargs)

    monkeypatch.setattr(ClientSession, "_request", seeing)
    return ClientSession()


def by_wrapt(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Wrap that of the class in a proxy."""
    # monkeypatch restores what wrapt replaces.
    monkeypatch.setattr(ClientSession, "_request", ClientSession._request)
    wrapt.wrap_function_wrapper(anyhttp, "ClientSession._request", wrapper_of(see))
    return ClientSession()


def by_wrapt_on_the_object(
    monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]
) -> ClientSession:
    """Wrap that of the object in a proxy."""
    session = ClientSession()
    wrapt.wrap_function_wrapper(session, "_request", wrapper_of(see))
    return session


def wrapper_of(see: Callable[..., None]) -> Callable[..., Awaitable[ClientResponse]]:
    """Return a wrapper of the kind that wrapt takes."""

    async def wrapper(
        wrapped: Callable[..., Awaitable[ClientResponse]],
        instance: object,
        args: Sequence[Any],
        kwargs: Mapping[str, Any],
    ) -> ClientResponse:
        see(*args, **kwargs)
        return await wrapped(*args, **kwargs)

    return wrapper


def partially(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Assign what is no function."""
    session = ClientSession()
    own = session._request

    async def seeing(extra: str, *args: Any, **kwargs: Any) -> ClientResponse:
        see(*args, **kwargs)
        return await own(*args, **kwargs)

    session._request = functools.partial(seeing, "extra")  # type: ignore[method-assign]
    return session


def mocked(monkeypatch: pytest.MonkeyPatch, see: Callable[..., None]) -> ClientSession:
    """Assign a mock with the same signature."""
    own = ClientSession._request

    async def seeing(self: ClientSession, *args: Any, **kwargs: Any) -> ClientResponse:
        see(*args, **kwargs)
        return await own(self, *args, **kwargs)

    fake = mock.create_autospec(own, side_effect=seeing)
    monkeypatch.setattr(ClientSession, "_request", fake)
    return ClientSession()


#: each puts something in the place of ``_request()`` that calls what it is given and goes on
WAYS: list[Callable[[pytest.MonkeyPatch, Callable[..., None]], ClientSession]] = [
    subclassed,
    on_the_object,
    of_another_session,
    on_the_class,
    by_wrapt,
    by_wrapt_on_the_object,
    partially,
    mocked,
]


@pytest.mark.parametrize("put", WAYS, ids=lambda way: way.__name__)
async def test_request_of_any_kind_is_called(
    put: Callable[[pytest.MonkeyPatch, Callable[..., None]], ClientSession],
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    socket_url: URL,
) -> None:
    """By each verb, awaited and entered, and for the handshake of a WebSocket."""
    seen: list[tuple[str, str]] = []
    session = put(monkeypatch, lambda method, url, **options: seen.append((method, str(url))))
    url = str(api.url / "json")
    async with session:
        for verb in ("get", "options", "head", "post", "put", "patch", "delete"):
            async with getattr(session, verb)(url) as response:
                assert response.status == 200
            assert seen.pop() == (verb.upper(), url)
        assert (await session.request("PUT", url)).status == 200
        assert seen.pop() == ("PUT", url)
        if put is not of_another_session:
            async with session.ws_connect(socket_url) as ws:
                assert (await ws.receive()).data == "hello"
            assert seen.pop() == ("GET", str(socket_url))
            ws = await session.ws_connect(socket_url)
            await ws.close()
            assert seen.pop() == ("GET", str(socket_url))
        else:
            await session.others.close()  # type: ignore[attr-defined]
    assert not seen


@pytest.mark.parametrize("put", [on_the_class, by_wrapt, mocked], ids=lambda way: way.__name__)
async def test_functions_without_a_session(
    put: Callable[[pytest.MonkeyPatch, Callable[..., None]], ClientSession],
    monkeypatch: pytest.MonkeyPatch,
    api: Api,
    socket_url: URL,
) -> None:
    """``request()`` and ``ws_connect()`` make sessions, so they call it too."""
    seen: list[str] = []
    await put(monkeypatch, lambda method, url, **options: seen.append(method)).close()
    async with anyhttp.request("DELETE", api.url / "json") as response:
        assert response.status == 200
    async with anyhttp.ws_connect(socket_url) as ws:
        assert (await ws.receive()).data == "hello"
    assert seen == ["DELETE", "GET"]


async def test_a_wrapper_changes_what_is_asked_for(
    monkeypatch: pytest.MonkeyPatch, api: Api, socket_url: URL
) -> None:
    """It may add and take away options, and answer with another request, as retries do."""

    class Signed(ClientSession):
        async def _request(
            self, method: str, str_or_url: Any, *, key: str = "", **options: Any
        ) -> Any:
            headers = {**dict(options.pop("headers", None) or {}), "X-Signature": key}
            await super()._request("GET", api.url / "json")  # a token, say
            return await super()._request(method, str_or_url, headers=headers, **options)

    options: Any = {"key": "secret"}
    async with Signed() as session:
        async with session.get(api.url / "echo", **options) as response:
            sent = dict((await response.json())["headers"])
            assert sent["X-Signature"] == "secret"
        async with session.ws_connect(socket_url, origin="http://o.test") as ws:
            assert (await ws.receive()).type is WSMsgType.TEXT
        assert api.requests.count("GET /json") == 2
        with pytest.raises(WSServerHandshakeError):
            await session.ws_connect(api.url / "json")
    assert not session._scope.handshakes


async def test_an_override_that_refuses_a_websocket(socket_url: URL) -> None:
    """What checks the URL in ``_request()`` checks that of a WebSocket as well."""

    class Careful(ClientSession):
        async def _request(self, method: str, str_or_url: Any, **options: Any) -> Any:
            raise PermissionError(f"{str_or_url} is not for you")

    async with Careful() as session:
        with pytest.raises(PermissionError, match="is not for you"):
            await session.ws_connect(socket_url)
        with pytest.raises(PermissionError):
            async with session.ws_connect(socket_url):
                pass
    assert not session._scope.handshakes


async def test_request_itself_is_called_for_a_websocket(socket_url: URL) -> None:
    """As in aiohttp: a subclass may have ``request()`` add what each request needs."""
    seen: list[str] = []

    class Adding(ClientSession):
        def request(self, method: str, url: Any, **options: Any) -> Any:
            seen.append(method)
            return super().request(method, url, **options)

    async with Adding() as session, session.ws_connect(socket_url) as ws:
        assert (await ws.receive()).data == "hello"
    assert seen == ["GET"]


async def test_ws_connect_of_a_subclass(socket_url: URL) -> None:
    """``_ws_connect()`` gets the options unchecked, as ``_request()`` does."""

    class Rooms(ClientSession):
        async def _ws_connect(
            self, url: Any, *, room: str = "", **options: Any
        ) -> ClientWebSocketResponse:
            return await super()._ws_connect(url.with_query(room=room), **options)

    options: Any = {"room": "7"}
    async with Rooms() as session:
        async with session.ws_connect(socket_url, **options) as ws:
            assert (await ws.receive()).data == "hello"
        ws = await session.ws_connect(socket_url, **options)
        await ws.close()
        with pytest.raises(TypeError, match="nonsense"):
            await session._ws_connect(socket_url, nonsense=1)


async def test_a_handshake_whose_response_was_released(api: Api, socket_url: URL) -> None:
    """The WebSocket would have no connection, so there is none."""

    class Releasing(ClientSession):
        async def _request(self, *args: Any, **options: Any) -> Any:
            response = await super()._request(*args, **options)
            exchange = take_exchange(response)
            assert exchange is not None
            exchange.close()
            return response

    async with Releasing() as session:
        with pytest.raises(RuntimeError, match="has no connection"):
            await session.ws_connect(socket_url)


class TestClose:
    async def test_that_of_a_subclass(self, api: Api) -> None:
        """The end of the block calls it once, and closes the session even if it does not."""
        closed: list[str] = []

        class Closing(ClientSession):
            async def close(self) -> None:
                closed.append("mine")
                await super().close()

        class Forgetful(ClientSession):
            async def close(self) -> None:
                closed.append("forgetful")

        async with Closing() as session:
            await (await session.get(api.url / "json")).read()
        assert session.closed
        async with Forgetful() as forgetful:
            await (await forgetful.get(api.url / "json")).read()
        assert forgetful.closed
        assert closed == ["mine", "forgetful"]

    async def test_one_that_fails(self, api: Api) -> None:
        """Its error is raised, and the session is closed all the same."""

        class Failing(ClientSession):
            async def close(self) -> None:
                raise OSError("the disk is full")

        session = Failing()
        with pytest.raises(OSError, match="disk is full"):
            async with session:
                await (await session.get(api.url / "json")).read()
        assert session.closed

    async def test_one_that_is_cancelled_does_not_hide_the_error_of_the_block(self) -> None:
        """The scope raises its cancellation again by itself."""

        class Slow(ClientSession):
            async def close(self) -> None:
                await anyio.sleep_forever()

        session = Slow()

        async def fail() -> None:
            async with session:
                scope.cancel()
                raise ZeroDivisionError

        with anyio.CancelScope() as scope, pytest.raises(ZeroDivisionError):
            await fail()
        assert session.closed


class TestConnector:
    """What is put in the place of a session's connector."""

    @pytest.mark.parametrize("entered_before", [True, False])
    async def test_a_proxy_is_asked(self, server: Server, entered_before: bool) -> None:
        """For each connection, one that is kept included."""
        seen: list[str] = []

        class Proxy(wrapt.ObjectProxy):  # type: ignore[misc]  # it has no types
            async def connect(self, *args: Any, **kwargs: Any) -> Any:
                seen.append("connect")
                return await self.__wrapped__.connect(*args, **kwargs)

        session = ClientSession()
        if entered_before:
            await session.__aenter__()
        session._connector = Proxy(session._connector)
        async with session:
            for _ in range(2):
                async with session.get(server.url / "json") as response:
                    await response.read()
        assert seen == ["connect", "connect"]
        assert server.connections == 1

    async def test_a_proxy_that_adds_nothing(self, api: Api) -> None:
        """It passes everything on."""
        async with ClientSession() as session:
            connector = session._connector
            session._connector = wrapt.ObjectProxy(connector)
            await (await session.get(api.url / "json")).read()
            assert session.connector is not connector
        assert connector is not None
        assert connector.closed

    @pytest.mark.parametrize("name", ["connect", "close", "_create_connection"])
    @pytest.mark.parametrize("on_class", [True, False])
    async def test_a_wrapped_method(
        self, server: Server, monkeypatch: pytest.MonkeyPatch, name: str, on_class: bool
    ) -> None:
        """On the class and on the object."""
        seen: list[str] = []
        connector = TCPConnector()
        target: Any = TCPConnector if on_class else connector
        monkeypatch.setattr(target, name, getattr(target, name))
        wrapt.wrap_function_wrapper(
            target, name, wrapper_of(lambda *args, **kwargs: seen.append(name))
        )
        async with ClientSession(connector=connector) as session:
            await (await session.get(server.url / "json")).read()
        assert seen == [name]
        assert connector.closed

    async def test_one_that_is_none(self) -> None:
        """It is as if the connector had been detached."""
        async with ClientSession() as session:
            connector, session._connector = session._connector, None
            with pytest.raises(RuntimeError, match="Session is closed"):
                await session.get("http://any.test/")
            assert connector is not None
            await connector.close()

    async def test_what_is_no_connector(self) -> None:
        """It is refused at once."""
        wrong: Any = 5
        async with ClientSession() as session:
            with pytest.raises(TypeError, match="connector must be"):
                session._connector = wrong

    async def test_one_of_a_class_with_a_step_that_nobody_calls(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """It is refused as by the constructor of a session, also if the step was added later."""

        class Direct(TCPConnector):
            pass

        other = Direct()
        monkeypatch.setattr(Direct, "_wrap_create_connection", lambda self: None, raising=False)
        async with ClientSession() as session:
            before = session._connector
            with pytest.raises(TypeError, match="_wrap_create_connection would be passed over"):
                session._connector = other
            assert session._connector is before
        await other.close()

    async def test_one_that_cannot_use_the_proxy_of_the_session(self, server: Server) -> None:
        """Requests would go past the proxy."""
        async with ClientSession(proxy="http://proxy.test:3128") as session:
            other = UnixConnector(server.unix_path)
            with pytest.raises(ValueError, match="a UnixConnector cannot use one"):
                session._connector = other
            await other.close()

    @pytest.mark.filterwarnings("ignore:ProxyConnector is deprecated:DeprecationWarning")
    async def test_one_with_a_proxy_of_its_own(self, server: Server) -> None:
        """Its proxy becomes that of the session."""
        proxied = anyhttp.ProxyConnector(server.url)
        async with ClientSession() as session:
            own, session._connector = session._connector, proxied
            async with session.get("http://any.test/json") as response:
                assert response.status in {200, 404}
            assert server.requests == ["GET http://any.test/json"]
            session._connector = own
            await proxied.close()


class TestSending:
    """``ClientRequest.send()``, which New Relic's agent wraps to add its headers."""

    @pytest.fixture
    def sent(self, monkeypatch: pytest.MonkeyPatch) -> list[str]:
        """Wrap it; what is sent has a header more, and its path is listed here."""
        sent: list[str] = []

        def add(wrapped: Any, request: Any, args: Any, kwargs: Any) -> Any:
            request.headers.update([("X-Trace", str(len(sent)))])
            sent.append(request.url.path)
            return wrapped(*args, **kwargs)

        monkeypatch.setattr(ClientRequest, "send", ClientRequest.send)  # to undo what comes now
        wrapt.wrap_function_wrapper(client_reqrep, "ClientRequest.send", add)
        return sent

    async def test_each_request_goes_through_it(self, api: Api, sent: list[str]) -> None:
        """So does each redirect."""
        async with ClientSession(api.url) as session:
            async with session.get("/redirect/2") as response:
                assert response.request_info.headers["X-Trace"] == "2"
            async with session.post("/echo", data=b"x", timeout=ClientTimeout(60)) as response:
                assert ["X-Trace", "3"] in (await response.json())["headers"]
        assert len(sent) == 4

    async def test_the_handshake_of_a_websocket(self, socket_url: URL, sent: list[str]) -> None:
        """It is a request, too."""
        async with ClientSession() as session, session.ws_connect(socket_url) as ws:
            assert (await ws.receive()).type is WSMsgType.TEXT
        assert sent == ["/"]

    async def test_middlewares_come_before_it(self, api: Api, sent: list[str]) -> None:
        """Those of the session, of one request, and those that are set later."""

        async def twice(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            assert "X-Trace" not in request.headers
            await handler(request)
            del request.headers["X-Trace"]
            return await handler(request)

        async with ClientSession(api.url, middlewares=[twice]) as session:
            assert session._middlewares == (twice,)
            await (await session.get("/json")).read()
            assert len(sent) == 2
            await (await session.get("/json", middlewares=())).read()
            assert len(sent) == 3
            await (await session.get("/json", middlewares=[twice])).read()
            assert len(sent) == 5
            session._middlewares = ()
            await (await session.get("/json")).read()
            assert len(sent) == 6

    async def test_a_request_class_made_later(self, api: Api, sent: list[str]) -> None:
        """It inherits the wrapper; so does one that a session is given later."""

        class Mine(ClientRequest):
            pass

        async with ClientSession(api.url, request_class=Mine) as session:
            await (await session.get("/json")).read()
            session._request_class = ClientRequest
            await (await session.get("/json")).read()
        assert len(sent) == 2

    async def test_sessions_that_were_there_before(
        self, api: Api, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """They know nothing of it, until they are given a request class."""

        async def refuse(self: ClientRequest, conn: object) -> ClientResponse:
            raise ZeroDivisionError

        async with ClientSession(api.url) as session:
            monkeypatch.setattr(ClientRequest, "send", refuse)
            await (await session.get("/json")).read()
            session._request_class = ClientRequest
            with pytest.raises(ZeroDivisionError):
                await session.get("/json")

    async def test_there_is_no_connection_yet(
        self, server: Server, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """One that looks for it is told what to write instead, also if it could do without."""

        async def look(self: ClientRequest, conn: object) -> ClientResponse:
            getattr(conn, "protocol", None)
            raise AssertionError

        with monkeypatch.context() as patch:
            patch.setattr(ClientRequest, "send", look)
            async with ClientSession(server.url) as session:
                with pytest.raises(RuntimeError, match="no 'protocol': give socket_factory"):
                    await session.get("/json")
        assert not server.requests
        with pytest.raises(TypeError, match="only a session sends a request"):
            await ClientRequest("GET", server.url).send(None)


@pytest.mark.once
async def test_a_websocket_in_a_task_of_its_own(socket_url: URL) -> None:
    """What ``ws_connect()`` returns is a coroutine: a task may run it, and be cancelled."""

    class Slow(BaseConnector):
        async def _create_connection(self, *_: Any, **__: Any) -> Any:
            await anyio.sleep_forever()

    async with ClientSession() as session:
        websocket = await asyncio.create_task(session.ws_connect(socket_url))
        assert await websocket.receive_str() == "hello"
        await websocket.close()
    async with ClientSession(connector=Slow()) as session:
        task = asyncio.create_task(session.ws_connect("ws://a.test/"))
        await anyio.wait_all_tasks_blocked()
        assert not task.done()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert_free(session, idle=0)
