"""Names that packages written for aiohttp use, although its documentation has no word of them.

The table "Names that packages use" in ``docs/compatibility.md`` says which package uses which.
"""

from __future__ import annotations

import asyncio
import pickle
import re
from functools import partial
from http.cookies import SimpleCookie
from importlib import import_module
from types import ModuleType
from typing import Any

import attr
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from tests.compat.comparison import compared, failure, failures, headers_seen, read, seen
from tests.support import websocket
from tests.support.peer import CLOSE, Peer
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.websocket import Accept, Frame


def module_of(client: ModuleType, name: str) -> ModuleType:
    """Return a module of the package *client*."""
    return import_module(f"{client.__name__}.{name}")


# -- modules


@compared
async def test_errors_made_by_hand(client: ModuleType, base: URL) -> object:
    """They take what aiohttp's take, say the same, and are pickled."""
    errors = module_of(client, "http_exceptions")
    headers = CIMultiDict({"A": "b"})
    made = [
        errors.HttpProcessingError(),
        errors.HttpProcessingError(code=418, message="two\nlines", headers=headers),
        errors.BadHttpMessage("text", headers=headers),
        errors.HttpBadRequest("text"),
        errors.PayloadEncodingError("text"),
        errors.ContentEncodingError("text"),
        errors.TransferEncodingError("text"),
        errors.ContentLengthError("text"),
        errors.DecompressSizeError("text"),
        errors.InvalidHeader(b"a\xff"),
        errors.InvalidHeader("a"),
        errors.BadStatusLine("line"),
        errors.BadStatusLine(b"line"),
        errors.BadHttpMethod("line"),
        errors.BadHttpMethod("line", "error"),
        errors.InvalidURLError("text"),
    ]
    return [
        (
            [each.__name__ for each in type(error).__mro__],
            error.code,
            error.message,
            error.headers,
            error.args,
            str(error),
            repr(error),
            str(pickle.loads(pickle.dumps(error))),
            getattr(error, "line", None),
            getattr(error, "hdr", None),
        )
        for error in made
    ]


@compared
async def test_errors_need_their_arguments(client: ModuleType, base: URL) -> object:
    """A message is wanted, and the base takes no argument by position."""
    errors = module_of(client, "http_exceptions")
    return [
        await failure(errors.BadHttpMessage),
        await failure(errors.InvalidHeader),
        await failure(lambda: errors.HttpProcessingError("text")),
    ]


@compared
async def test_names_of_the_module_client(client: ModuleType, base: URL) -> object:
    """Libraries import some names from where aiohttp itself imports them."""
    place, reqrep = module_of(client, "client"), module_of(client, "client_reqrep")
    return (
        place.ClientWSTimeout is client.ClientWSTimeout,
        place.URL is URL,
        place.hdrs is client.hdrs,
        place.DEFAULT_TIMEOUT.total,
        reqrep.MappingProxyType.__name__,
        reqrep.ContentDisposition("attachment", {"a": "b"}, "file").filename,
    )


@compared
async def test_names_of_the_module_http(client: ModuleType, base: URL) -> object:
    """Phrases of statuses, and the messages that a WebSocket ends with."""
    place, websocket = module_of(client, "http"), module_of(client, "http_websocket")
    text = websocket.WSMessageTextBytes(client.WSMsgType.TEXT, b'{"a": 1}', "")
    return (
        {int(status): texts for status, texts in place.RESPONSES.items()},
        tuple(place.WS_CLOSED_MESSAGE),
        tuple(place.WS_CLOSING_MESSAGE),
        websocket.WS_CLOSED_MESSAGE is place.WS_CLOSED_MESSAGE,
        websocket.WS_CLOSING_MESSAGE is place.WS_CLOSING_MESSAGE,
        (text.type, text.data, text.extra, text.json()),
    )


@compared
async def test_a_url_without_its_credentials(client: ModuleType, base: URL) -> object:
    """They come apart from it."""
    strip = module_of(client, "helpers").strip_auth_from_url
    found = [
        strip(URL(f"http://{user_info}host:1/path?query#fragment"))
        for user_info in ("", "user@", "user:pass@", ":pass@", "%40:%3A@")
    ]
    return [(str(url), auth and tuple(auth)) for url, auth in found]


@compared
async def test_media_types_in_parts(client: ModuleType, base: URL) -> object:
    """All in lower case but for the values of parameters."""
    parse = module_of(client, "helpers").parse_mimetype
    parsed = [
        parse(text)
        for text in (
            "",
            "*",
            "text",
            "TEXT/HTML",
            "text/html; Charset=UTF-8; a=b",
            'application/vnd.api+json; charset="utf-8"',
            " application/rdap+json ;",
        )
    ]
    return [(each.type, each.subtype, each.suffix, dict(each.parameters)) for each in parsed]


@compared
async def test_a_class_with_headers_of_ones_own(client: ModuleType, base: URL) -> object:
    """The mixin tells what the headers of the class say of its body."""

    class Stored(module_of(client, "helpers").HeadersMixin):  # type: ignore[misc]  # a module
        def __init__(self, **headers: str) -> None:
            self._headers = CIMultiDictProxy(CIMultiDict(headers))

    stored = [
        Stored(),
        Stored(**{"Content-Type": "text/html; charset=latin-1", "Content-Length": "12"}),
        Stored(**{"Content-Type": "nothing"}),
    ]
    return [(each.content_type, each.charset, each.content_length) for each in stored]


@compared
async def test_a_timer_that_does_nothing(client: ModuleType, base: URL) -> object:
    """It can be entered, and never expires."""
    timer = module_of(client, "helpers").TimerNoop()
    with timer as entered:
        timer.assert_timeout()
    return entered is timer


@compared
async def test_what_stands_for_an_argument_that_is_left_out(
    client: ModuleType, base: URL
) -> object:
    """A wrapper passes it on, and gets the default."""
    sentinel = module_of(client, "helpers").sentinel
    async with client.ClientSession() as session:
        async with session.get(base / "json", timeout=sentinel) as response:
            return response.status


# -- attrs


@compared
async def test_time_limits_are_classes_of_attrs(client: ModuleType, base: URL) -> object:
    """Their fields, with defaults, and copies with changes."""
    results: list[object] = []
    for value, change in (
        (client.ClientTimeout(total=5), {"total": 1, "sock_read": 2}),
        (client.ClientWSTimeout(ws_close=5), {"ws_receive": 1}),
    ):
        changed = attr.evolve(value, **change)
        fields = attr.fields(type(value))
        results += [
            attr.has(type(value)),
            type(changed) is type(value),
            attr.asdict(changed),
            attr.astuple(value),
            list(attr.fields_dict(type(value))),
            [(field.name, field.default, field.init, field.repr) for field in fields],
            await failure(partial(attr.evolve, value, nothing=1)),
        ]
    results.append(attr.fields(client.ClientTimeout).total is attr.fields(client.ClientTimeout)[0])
    return results


@compared
async def test_a_class_of_attrs_below_time_limits(client: ModuleType, base: URL) -> object:
    """Attrs finds the inherited fields."""
    fields = {"retries": attr.ib(default=3)}
    limits = attr.make_class("Limits", fields, (client.ClientTimeout,), frozen=True)
    return attr.asdict(attr.evolve(limits(total=1), retries=4))


@compared
async def test_parameters_of_signals_are_classes_of_attrs(client: ModuleType, base: URL) -> object:
    """Each has the fields that its handlers are told."""
    own = re.compile("Trace(RequestRetry|ResponseEnd|Connection(Tls(Start|End)|Tunnel))Params")
    names = [name for name in dir(client) if name.startswith("Trace") and not own.match(name)]
    classes = {name: getattr(client, name) for name in names}
    start = client.TraceRequestStartParams("GET", base, CIMultiDict())
    return (
        {
            name: [field.name for field in attr.fields(each)]
            for name, each in classes.items()
            if name.endswith("Params")
        },
        list(attr.asdict(start, filter=lambda field, _: field.name != "url")),
        attr.evolve(start, method="PUT").method,
        attr.resolve_types(client.TraceDnsCacheHitParams)
        and attr.fields(client.TraceDnsCacheHitParams).host.type,
    )


# -- sessions


@compared
async def test_what_a_session_was_given(client: ModuleType, base: URL) -> object:
    """Its private attributes are what its public ones are, and more."""
    jar, connector = client.CookieJar(), client.TCPConnector()
    configs = [client.TraceConfig()]
    async with client.ClientSession(
        base,
        connector=connector,
        connector_owner=True,
        cookie_jar=jar,
        headers={"A": "b"},
        auth=client.BasicAuth("user"),
        proxy="http://proxy.test:1234",
        raise_for_status=True,
        timeout=client.ClientTimeout(total=5),
        trace_configs=configs,
        trust_env=True,
        skip_auto_headers=["User-Agent"],
    ) as session:
        return (
            session._base_url == base,
            session._connector is connector,
            session._connector_owner,
            session._cookie_jar is jar,
            dict(session._default_headers),
            session._default_headers is session.headers,
            tuple(session._default_auth),
            URL(session._default_proxy),
            session._raise_for_status,
            session._timeout.total,
            list(session._trace_configs) == configs,
            session._trust_env,
            set(session._skip_auto_headers),
            session._json_serialize is session.json_serialize,
            session._request_class is client.ClientRequest,
            session._response_class is client.ClientResponse,
            session._ws_response_class is client.ClientWebSocketResponse,
            list(session._middlewares),
            session._retry_connection,
            session._source_traceback,
            session.connector._source_traceback,
        )


@compared
async def test_urls_and_headers_as_a_session_makes_them(client: ModuleType, base: URL) -> object:
    """For a library that logs, stores or signs what will be sent."""
    urls = ("json?a=b", "http://other.test/x", "../y", URL("z"), "")
    own = {"A": "session", "B": "session"}
    given: tuple[Any, ...] = (
        None,
        {},
        {"a": "request"},
        [("A", "1"), ("A", "2"), ("C", "3")],
        CIMultiDict([("b", "1"), ("b", "2")]),
        CIMultiDictProxy(CIMultiDict({"C": "d"})),
    )
    results: list[object] = []
    async with client.ClientSession(base, headers=own) as session:
        results += [str(session._build_url(url)) for url in urls]
        for headers in given:
            made = session._prepare_headers(headers)
            results.append([type(made).__name__, sorted(made.items())])
            made["X"] = "y"  # it is a copy
        results.append(dict(session.headers))
    async with client.ClientSession() as session:
        results.append(str(session._build_url("http://host.test/a?b")))
        results.append(list(session._prepare_headers([("A", "1"), ("A", "2")]).items()))
    return results


@compared
async def test_a_session_that_is_changed(client: ModuleType, base: URL) -> object:
    """Programs set what they cannot give to a session that a library makes."""
    results: list[object] = []

    class Request(client.ClientRequest):  # type: ignore[misc,name-defined]  # of a module
        pass

    class Response(client.ClientResponse):  # type: ignore[misc,name-defined]  # of a module
        pass

    async with client.ClientSession(headers={"A": "b"}) as session:
        url = base / "echo"
        session._default_headers = {"C": "d"}
        results.append(await headers_seen(session.get(url)))
        session._default_headers.update({"E": "f"})
        results.append(await headers_seen(session.get(url, headers={"G": "h"})))
        session._default_headers = session._prepare_headers({"I": "j"})
        results.append(await headers_seen(session.get(url)))
        session._default_auth = client.BasicAuth("user")
        results.append(await headers_seen(session.get(url)))
        session._default_auth = None
        results.append(await headers_seen(session.get(url)))
        session._cookie_jar = client.CookieJar(unsafe=True)
        session._cookie_jar.update_cookies({"name": "value"}, base)
        results.append(await headers_seen(session.get(url)))
        results.append(session.cookie_jar is session._cookie_jar)
        session._raise_for_status = True
        results.append(await failure(session.get(base / "status" / "404")))
        session._raise_for_status = False
        results.append(await read(session.get(base / "status" / "404")))
        session._timeout = client.ClientTimeout(total=0.01)
        results.append(await failure(session.get(base / "hang")))
        session._timeout = client.ClientTimeout()
        results.append((session.timeout.total, session._timeout is session.timeout))
        session._request_class = Request
        session._response_class = Response
        async with session.get(url) as response:
            results.append((type(response) is Response, response.status))
        session._base_url = base
        results.append(await read(session.get("bytes/3")))
        session._json_serialize = lambda _: "json"
        async with session.post("echo-body", json={}) as response:
            results.append(await response.text())
        session._trust_env = True
        results.append(session.trust_env)
    return results


@compared
async def test_the_proxy_of_a_session_that_is_changed(
    client: ModuleType, base: URL, server: Server
) -> object:
    """Its requests go through the proxy, until it has none."""
    async with client.ClientSession() as session:
        session._default_proxy = base
        async with session.get("http://nowhere.test/echo") as response:
            through = response.status
        session._default_proxy_auth = client.BasicAuth("me", "secret")
        async with session.get("http://nowhere.test/echo") as response:
            sent = {name.lower(): value for name, value in (await response.json())["headers"]}
            known = sent["proxy-authorization"]
        session._default_proxy_auth = None
        session._default_proxy = None
        return through, known, await read(session.get(base / "bytes" / "1"))


@compared
async def test_the_connector_of_a_session_that_is_changed(client: ModuleType, base: URL) -> object:
    """A session without one is closed."""
    first, second = client.TCPConnector(), client.TCPConnector()
    session = client.ClientSession(connector=first)
    results: list[object] = [await read(session.get(base / "bytes" / "1"))]
    session._connector = second
    results.append(await read(session.get(base / "bytes" / "1")))
    results.append((len(first._conns), len(second._conns), session.connector is second))
    session._connector = None
    results.append((session.closed, session.connector, await failure(session.get(base))))
    await first.close()
    await second.close()
    await session.close()
    return results


@compared
async def test_a_websocket_from_the_private_method(client: ModuleType, base: URL) -> object:
    """It has the options of the public one, and the WebSocket has its handshake's response."""
    peer = Peer(
        [
            [
                (b"GET / HTTP/1.1\r\n", Accept()),
                (Frame(websocket.TEXT, b"text"), websocket.frame(websocket.TEXT, b"answer")),
                (Frame(websocket.CLOSE, b"\x03\xe8"), websocket.close(1000)),
            ]
        ]
    )
    try:
        async with client.ClientSession() as session:
            ws = await session._ws_connect(peer.url, autoclose=False)
            await ws.send_str("text")
            answer = await ws.receive_str()
            response = ws._response
            shown = (response.status, response.headers["Upgrade"], str(response.url) == peer.url)
            await ws.close()
        return answer, type(ws) is client.ClientWebSocketResponse, shown
    finally:
        peer.stop()


@compared
async def test_connections_of_a_connector(client: ModuleType, base: URL) -> object:
    """Those that are lent, and those that are idle by their keys."""
    async with client.ClientSession() as session:
        connector = session.connector
        results: list[object] = [(connector._closed, len(connector._conns))]
        async with session.get(base / "bytes" / "1000000") as response:
            results.append((len(connector._acquired), bool(connector._conns)))
            await response.read()
        results.append((len(connector._acquired), len(connector._conns)))
        ((key, found),) = connector._conns.items()
        results.append((key.host == base.host, key.port == base.port, key.is_ssl, len(found)))
        ((handler, _),) = found
        results.append(getattr(handler.transport, "_ssl_protocol", None))
    results.append(connector._closed)
    return results


# -- requests made by hand


def headers_made(request: Any) -> list[tuple[str, str]]:
    """Return the headers of *request*, but for those that name the client."""
    return sorted(
        (str(name).title(), "; ".join(sorted(value.split("; "))))
        for name, value in request.headers.items()
        if name.lower() not in {"user-agent", "accept-encoding"}
    )


@compared
async def test_a_request_made_by_hand(client: ModuleType, base: URL) -> object:
    """A library makes one for its URL, or to look at what would be sent."""
    url = URL("http://user:pass@host.test:81/path?a=b#fragment")
    results: list[object] = []
    for method, options in (
        ("get", {}),
        ("GET", {"params": {"c": "d"}, "headers": {"A": "b"}}),
        ("GET", {"params": [("c", "1"), ("c", "2")], "headers": [("A", "1"), ("A", "2")]}),
        ("GET", {"skip_auto_headers": ["Accept", "user-agent"], "headers": {"host": "other"}}),
        ("GET", {"cookies": {"one": "1", "two": "2"}}),
        ("GET", {"cookies": SimpleCookie("one=1; two=2"), "headers": {"Cookie": "three=3"}}),
        ("POST", {"data": b"text"}),
        ("POST", {"data": {"a": "b"}, "compress": True}),
        ("POST", {"data": "text", "chunked": True, "expect100": True}),
        ("PUT", {"skip_auto_headers": ["Content-Type"]}),
        ("GET", {"loop": asyncio.get_running_loop() if client.__name__ == "aiohttp" else None}),
        ("GET", {"timer": None, "traces": [], "trust_env": True, "session": None}),
        ("GET", {"version": client.HttpVersion10, "response_class": None, "ssl": False}),
    ):
        request = client.ClientRequest(method, url, **options)
        results.append(
            (
                request.method,
                str(request.url.with_user(None)),
                str(request.original_url.with_user(None)),
                headers_made(request),
                tuple(request.version),
                request.is_ssl(),
                (request.host, request.port),
                request.ssl,
                request.response_class is client.ClientResponse,
            )
        )
    return results


@compared
async def test_the_proxy_of_a_request_made_by_hand(client: ModuleType, base: URL) -> object:
    """With its credentials and its headers; without a proxy these are of no use."""
    auth = client.BasicAuth("user", "pass")
    headers = {"A": "b"}
    made = [
        client.ClientRequest("GET", base, proxy=URL("http://proxy.test:1234"), **options)
        for options in ({}, {"proxy_auth": auth, "proxy_headers": headers})
    ]
    none = client.ClientRequest("GET", base, proxy_auth=auth, proxy_headers=headers)
    return [
        (
            None if each.proxy is None else str(each.proxy).rstrip("/"),
            each.proxy_auth and tuple(each.proxy_auth),
            each.proxy_headers and dict(each.proxy_headers),
        )
        for each in (*made, none)
    ]


@compared
async def test_requests_that_cannot_be_made_by_hand(client: ModuleType, base: URL) -> object:
    """The constructor refuses them."""
    return await failures(
        partial(client.ClientRequest, "GET"),
        {"url": URL("http:///path")},
        {"url": base, "auth": "user"},
        {"url": base, "proxy": base, "proxy_auth": "user"},
        {"url": base, "params": {"a": object()}},
    )


@compared
async def test_a_request_that_is_changed(client: ModuleType, base: URL) -> object:
    """A middleware or a mocking library takes steps of aiohttp's constructor once more."""
    results: list[object] = []
    request = client.ClientRequest("POST", base, data=b"text", headers={"A": "b"})
    request.update_cookies({"one": "1"})
    request.update_cookies({"two": "2"})
    request.update_cookies(None)
    results.append(headers_made(request))
    request.update_auth(client.BasicAuth("user"))
    request.update_auth(None)
    results.append(request.headers["Authorization"])
    request.update_headers({**request.headers, "C": "d"})
    results.append(headers_made(request))
    request.update_headers([("Host", "other"), ("E", "1"), ("E", "2")])
    results.append(headers_made(request))
    request.update_headers(None)
    results.append(headers_made(request))
    return results


@compared
async def test_requests_of_a_session_that_are_changed(client: ModuleType, base: URL) -> object:
    """What is sent is what has been changed."""

    async def add(request: Any, handler: Any) -> Any:
        request.update_cookies({"one": "1"})
        request.update_auth(client.BasicAuth("user"))
        request.update_headers({**request.headers, "C": "d"})
        return await handler(request)

    async def replace(request: Any, handler: Any) -> Any:
        await request.body.close()
        request.headers.popall("Content-Length")
        request.update_body_from_data(b"longer than before")
        return await handler(request)

    async with client.ClientSession(cookies={"zero": "0"}) as session:
        return (
            await headers_seen(session.get(base / "echo", middlewares=[add])),
            await seen(session.post(base / "echo", data=b"text", middlewares=[replace])),
        )


@compared
async def test_what_a_mocking_library_does_to_the_class(client: ModuleType, base: URL) -> object:
    """It answers https itself, without TLS, and knows by a header what was asked for."""
    made, is_ssl = client.ClientRequest.__init__, client.ClientRequest.is_ssl
    resolve = client.TCPConnector._resolve_host

    def init(request: Any, *args: Any, **options: Any) -> None:
        made(request, *args, **options)
        asked = "1" if is_ssl(request) else ""
        request.update_headers({**request.headers, "Asked-For-TLS": asked})

    async def local(connector: Any, host: str, port: int, traces: Any = None) -> Any:
        return await resolve(connector, base.host, base.port)

    client.ClientRequest.__init__ = init
    client.ClientRequest.is_ssl = lambda _: False
    client.TCPConnector._resolve_host = local
    try:
        async with client.ClientSession() as session:
            https = await headers_seen(session.get("https://secure.test/echo"))
            http = await headers_seen(session.post("http://plain.test/echo", data=b"text"))
    finally:
        client.ClientRequest.__init__, client.ClientRequest.is_ssl = made, is_ssl
        client.TCPConnector._resolve_host = resolve
    return https, http


@compared
async def test_an_override_of_whether_tls_is_used(client: ModuleType, base: URL) -> object:
    """A class of requests decides."""

    class Plain(client.ClientRequest):  # type: ignore[misc,name-defined]  # of a module
        def is_ssl(self) -> bool:
            return False

    url = base.with_scheme("https").with_port(base.port)
    async with client.ClientSession(request_class=Plain) as session:
        return await read(session.get(url / "bytes" / "3"))


# -- connections, responses and their readers


@compared
async def test_a_connector_that_limits_the_buffer_of_its_connections(
    client: ModuleType, base: URL, server: Server, tls_ca: Authority
) -> object:
    """A library that reports the progress of an upload wants little of it to be buffered."""

    async def connect(self: Any, *args: Any, **options: Any) -> Any:
        connection = await type(self).connect(self, *args, **options)
        connection.transport.set_write_buffer_limits(16 * 1024)
        return connection

    connector = client.TCPConnector(ssl=tls_ca.client)
    connector.connect = partial(connect, connector)
    async with client.ClientSession(connector=connector) as session:
        body = bytes(200_000)
        results = []
        for url in (base, server.https_url):
            async with session.post(url / "echo-body", data=body) as response:
                results.append((response.status, await response.read() == body))
        return results


@compared
async def test_the_session_of_a_response(client: ModuleType, base: URL) -> object:
    """A library finds there what it has stored for the session."""
    async with client.ClientSession() as session:
        async with session.get(base / "bytes" / "1000000") as response:
            return response._session is session


@compared
async def test_what_a_reader_holds_after_an_error(client: ModuleType, base: URL) -> object:
    """A library hands out the rest of a body whose connection was lost."""
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n"
    peer = Peer([[(b"GET / HTTP/1.1\r\n", head + b"0123456789" * 100), CLOSE]])
    try:
        async with client.ClientSession() as session:
            async with session.get(peer.url) as response:
                content = response.content
                first = await content.readexactly(5)
                held = b"".join(content._buffer)[content._buffer_offset :][:5]
                pieces = content.iter_chunked(16 * 1024)
                piece = await anext(pieces)
                error = await failure(anext(pieces))
                rest = b"".join(content._buffer)[content._buffer_offset :]
                return first, held, len(piece), error, rest
    finally:
        peer.stop()
