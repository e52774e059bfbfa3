from __future__ import annotations

import socket
import ssl
import warnings
from types import ModuleType
from typing import Any
from unittest.mock import AsyncMock, Mock, patch

from yarl import URL

from tests.compat.comparison import compared, different, failure, headers_seen, read


def session_class(client: ModuleType, **members: object) -> Any:
    """Return a subclass of the session; aiohttp advises against them."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return type("Session", (client.ClientSession,), members)


@compared
async def test_a_session_with_a_request_of_its_own(client: ModuleType, base: URL) -> object:
    """Every verb goes through ``_request``, where subclasses add headers, retry and count."""
    calls = []

    async def request(self: Any, method: str, url: URL, **options: Any) -> Any:
        calls.append((method, url.path, sorted(options)))
        headers = {**(options.pop("headers", None) or {}), "X-Added": "1"}
        return await client.ClientSession._request(self, method, url, headers=headers, **options)

    url = base / "echo"
    async with session_class(client, _request=request)() as session:
        return [
            await headers_seen(session.get(url, params={"a": "b"})),
            await headers_seen(session.post(url, json=1, headers={"X-Own": "2"})),
            await headers_seen(session.request("PUT", url, data=b"x")),
            await read(session.head(url)),
            calls,
        ]


@compared
async def test_a_request_made_through_the_private_name(client: ModuleType, base: URL) -> object:
    """Wrappers call ``_request`` for a coroutine in the place of a context manager."""
    async with client.ClientSession() as session:
        response = await session._request("GET", base / "json", params={"a": "b"})
        seen = [response.status, response.url.query_string, await response.json()]
        named = await session._request(method="GET", str_or_url=base / "json")
        return seen, await named.json()


@compared
async def test_requests_that_a_test_replaces(client: ModuleType, base: URL) -> object:
    """Tests put a mock in the place of ``_request``, of all sessions or of one."""
    results = []
    answer = AsyncMock(return_value=Mock(status=418))
    with patch.object(client.ClientSession, "_request", answer):
        async with client.ClientSession() as session:
            results.append((await session.get("http://host/", params={"a": "b"})).status)
    async with client.ClientSession() as session:
        with patch.object(session, "_request", answer):
            results.append((await session.delete("http://host/")).status)
    return results, answer.call_args_list


@compared
async def test_a_request_class_whose_constructor_takes_names(
    client: ModuleType, base: URL
) -> object:
    """Options come by name for a subclass that says so, and by name or position for others."""

    class Named(client.ClientRequest):  # type: ignore[name-defined, misc]
        def __init__(self, method: str, url: URL, **options: Any) -> None:
            super().__init__(method, url, **options)
            self.headers["X-Kind"] = type(options["response_class"]).__name__

    class Anything(client.ClientRequest):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.headers["X-Kind"] = "any"

    results = []
    for request_class in (Named, Anything):
        async with client.ClientSession(request_class=request_class) as session:
            results.append(await headers_seen(session.post(base / "echo", json=1)))
    return results


@compared
async def test_a_constructor_and_a_method_of_requests_that_a_test_replaces(
    client: ModuleType, base: URL
) -> object:
    """Mocking libraries note in the headers what was asked for, and send it without TLS."""
    original = client.ClientRequest.__init__
    is_ssl = client.ClientRequest.is_ssl

    def replaced(self: Any, *args: Any, **options: Any) -> None:
        original(self, *args, **options)
        self.update_headers({**self.headers, "X-Asked": "TLS" if is_ssl(self) else "plain"})

    results: list[object] = []
    with (
        patch.object(client.ClientRequest, "__init__", replaced),
        patch.object(client.ClientRequest, "is_ssl", lambda self: False),
    ):
        async with client.ClientSession() as session:
            for scheme in ("http", "https"):
                url = (base / "echo").with_scheme(scheme).with_port(base.port)
                async with session.get(url) as response:
                    sent = dict((await response.json())["headers"])
                    results.append((sent["X-Asked"], sent["Host"] == f"{base.host}:{base.port}"))
    async with client.ClientSession() as session:
        unchanged = await headers_seen(session.get(base / "echo"))
        results.append([name for name, _ in unchanged if name.startswith("X-")])
    return results


@compared
async def test_a_wrapper_around_the_sending_of_requests(client: ModuleType, base: URL) -> object:
    """Monitoring tools add headers there, to each request of a call."""
    send = client.ClientRequest.send
    sent: list[str] = []

    def wrapper(self: Any, *args: Any, **options: Any) -> Any:
        self.headers.update([("X-Trace", str(len(sent)))])
        sent.append(self.url.path)
        return send(self, *args, **options)

    with patch.object(client.ClientRequest, "send", wrapper):
        async with client.ClientSession() as session:
            async with session.get(base / "redirect" / "1") as response:
                traced = response.request_info.headers["X-Trace"]
            seen = await headers_seen(session.post(base / "echo", data=b"x"))
    return sent, traced, [value for name, value in seen if name == "X-Trace"]


@compared
async def test_requests_that_decide_about_tls(client: ModuleType, base: URL) -> object:
    """A request class may say that its requests go out without, whatever the scheme is."""

    class Plain(client.ClientRequest):  # type: ignore[name-defined, misc]
        def is_ssl(self) -> bool:
            return False

    async with client.ClientSession(request_class=Plain) as session:
        url = (base / "redirect" / "1").with_scheme("https").with_port(base.port)
        async with session.get(url) as response:
            return response.status, str(response.url), (await response.json())["path"]


@compared
async def test_headers_that_are_replaced(client: ModuleType, base: URL) -> object:
    """``Host`` stays unless it is given; several of one name stay several."""

    class Own(client.ClientRequest):  # type: ignore[name-defined, misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            given = self.headers.getall("X-Given", ["nothing"])
            self.update_headers([("X-A", "1"), ("X-A", "2"), ("X-Given", given[0])])
            names = [name for name in self.headers if name != "Host"]
            self.update_headers({"hOST": "other.test"})
            options["session"].seen = [names, self.headers.getall("Host")]
            self.update_headers(None)

    async with client.ClientSession(request_class=Own) as session:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            status, _ = await read(session.get(base / "json", headers={"X-Given": "b"}))
            return status, session.seen


@compared
async def test_the_response_of_a_context_manager(client: ModuleType, base: URL) -> object:
    """Tests look at it by a private name, in the block of a request."""
    async with client.ClientSession() as session:
        asked = session.get(base / "json")
        async with asked as response:
            return asked._resp is response


@compared
async def test_a_class_of_the_standard_library(client: ModuleType, base: URL) -> object:
    """Mocking libraries import it from here, to annotate with."""
    return client.connector.SSLContext is ssl.SSLContext


@different(there=[], here=["TypeError"] * 4 + ["RuntimeWarning"] * 3)
async def test_steps_that_do_not_exist(client: ModuleType, base: URL) -> object:
    """A subclass with a step of aiohttp's that nobody calls is refused, or told so."""
    told = []
    for parent, step in (
        (client.ClientRequest, "send"),
        (client.ClientRequest, "update_headers"),
        (client.ClientResponse, "start"),
        (client.TCPConnector, "_wrap_create_connection"),
        (client.ClientRequest, "terminate"),
        (client.ClientResponse, "_response_eof"),
        (client.BaseConnector, "_close"),
    ):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            try:
                type("Own", (parent,), {step: None})
            except TypeError:
                told.append("TypeError")
        told += [each.category.__name__ for each in caught if each.filename == __file__]
    return told


@compared
async def test_a_response_that_carries_something(client: ModuleType, base: URL) -> object:
    """Programs attach what they know to a response, and tests replace its methods."""
    async with client.ClientSession() as session, session.get(base / "json") as response:
        response.elapsed = 5
        with patch.object(response, "json", AsyncMock(return_value="replaced")):
            replaced = await response.json()
        return response.elapsed, replaced, (await response.json())["title"]


@compared
async def test_a_stream_after_its_block(client: ModuleType, base: URL) -> object:
    """What was not read is gone, and is not taken for an empty body."""
    results = []
    async with client.ClientSession() as session:
        for path in ("json", "bytes/5000000"):
            async with session.get(base / path) as response:
                pass
            content = response.content
            actions = (content.read, content.readany, content.readline)
            results += [await failure(action) for action in actions]
    return results


@compared
async def test_a_session_whose_connector_is_closed(client: ModuleType, base: URL) -> object:
    """It is closed with it, so that who shares a connector knows when to make another."""
    connector = client.TCPConnector()
    session = client.ClientSession(connector=connector)
    before = session.closed
    await connector.close()
    return before, session.closed, await failure(session.get(base / "json"))


@compared
async def test_a_connector_that_refuses_addresses(client: ModuleType, base: URL) -> object:
    """The cookbook keeps requests away from inner hosts so: by name, by address, from the cache."""

    class RefusedError(client.ClientError):  # type: ignore[name-defined, misc]
        pass

    class Refusing(client.TCPConnector):  # type: ignore[name-defined, misc]
        refused: frozenset[str] = frozenset()

        async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
            found = await super()._resolve_host(host, port, traces)
            if self.refused.intersection(each["host"] for each in found):
                raise RefusedError(host)
            return found

    connector = Refusing(family=socket.AF_INET)
    results: list[object] = []
    async with client.ClientSession(connector=connector) as session:
        for refused in ((), ("127.0.0.1",)):
            connector.refused = frozenset(refused)
            for host in ("localhost", "127.0.0.1"):
                url = base.with_host(host) / "json"
                results.append(await failure(session.get(url, headers={"Connection": "close"})))
    return results


@compared
async def test_a_connector_that_resolves_by_itself(client: ModuleType, base: URL) -> object:
    """What it raises is an error of DNS, as that of a resolver is."""

    class Own(client.TCPConnector):  # type: ignore[name-defined, misc]
        async def _resolve_host(self, host: str, port: int, traces: Any = None) -> Any:
            if host == "missing.example":
                raise OSError(None, "no such host")
            return await super()._resolve_host("127.0.0.1", port, traces)

    async with client.ClientSession(connector=Own()) as session:
        found = await read(session.get(base.with_host("inner.example") / "json"))
        return found, await failure(session.get(base.with_host("missing.example")))


def resolver_class(client: ModuleType, **extra: object) -> Any:
    """Return a resolver that says of every host that it is here."""

    async def resolve(self: Any, host: str, port: int = 0, family: int = 0) -> object:
        address = {"hostname": host, "host": "127.0.0.1", "port": port}
        return [{**address, **({"family": family} if extra.get("echoes") else {})}]

    async def close(self: Any) -> None:
        pass

    return type("Resolver", (client.abc.AbstractResolver,), {"resolve": resolve, "close": close})


@compared
async def test_resolvers_that_say_little(client: ModuleType, base: URL) -> object:
    """The family is that of the address, whatever the resolver says of it."""
    results = []
    for echoes in (True, False):
        connector = client.TCPConnector(resolver=resolver_class(client, echoes=echoes)())
        async with client.ClientSession(connector=connector) as session:
            results.append(await read(session.get(base.with_host("host.test") / "json")))
    return results


@compared
async def test_names_to_annotate_with(client: ModuleType, base: URL) -> object:
    """Wrappers say that they return what a verb returns, for which aiohttp has private names."""
    names = ("_RequestContextManager", "_RequestOptions")
    return [name for name in names if hasattr(client.client, name)]


@compared
async def test_errors_that_tests_make(client: ModuleType, base: URL) -> object:
    """Tests raise errors that have no connection key, and whoever catches them shows them."""
    return [
        repr(kind(None, OSError(1, "reason"))).count("reason")
        for kind in (
            client.ClientConnectorError,
            client.ClientConnectorDNSError,
            client.ClientConnectorSSLError,
            client.ClientConnectorCertificateError,
            client.ClientProxyConnectionError,
        )
    ]


@compared
async def test_sessions_that_are_given_nothing(client: ModuleType, base: URL) -> object:
    """Wrappers pass on their own defaults, so ``None`` stands for the session's."""
    names = "connector cookies headers cookie_jar timeout trace_configs loop base_url auth"
    options = dict.fromkeys((names + " response_class raise_for_status middlewares").split())
    async with client.ClientSession(**options) as session:
        status, _ = await read(session.get(base / "status" / "404"))
        return status, session.raise_for_status in {None, False}
