from __future__ import annotations

import dataclasses
from collections.abc import AsyncIterator
from io import BytesIO
from types import ModuleType, SimpleNamespace
from typing import Any

from yarl import URL

from tests.compat.comparison import OWN_HEADERS, class_names, compared, different, failure

SIGNALS = (
    "on_request_start",
    "on_request_headers_sent",
    "on_request_chunk_sent",
    "on_request_redirect",
    "on_request_end",
    "on_request_exception",
    "on_response_chunk_received",
    "on_connection_queued_start",
    "on_connection_queued_end",
    "on_connection_create_start",
    "on_connection_create_end",
    "on_connection_reuseconn",
    "on_dns_resolvehost_start",
    "on_dns_resolvehost_end",
    "on_dns_cache_hit",
    "on_dns_cache_miss",
)


def plain(value: Any) -> object:
    """Return what a field holds in a form that can be compared."""
    if hasattr(value, "items"):
        pairs = [(name, text) for name, text in value.items() if name.lower() not in OWN_HEADERS]
        return sorted((name.lower(), text) for name, text in pairs)
    if isinstance(value, BaseException):
        return class_names(value)
    if hasattr(value, "status"):
        return (value.status, str(value.url), len(value.history))
    return str(value) if isinstance(value, URL) else value


def tracer(client: ModuleType) -> tuple[Any, list[tuple[Any, ...]]]:
    """Return a configuration, and the list in which it writes what it is told."""
    told: list[tuple[Any, ...]] = []
    config = client.TraceConfig()

    def add(signal: str) -> None:
        async def handler(session: object, context: SimpleNamespace, params: Any) -> None:
            # attrs has the names of fields there, dataclasses here
            names = getattr(type(params), "__attrs_attrs__", None)
            fields = names if names is not None else dataclasses.fields(params)
            values = [(each.name, plain(getattr(params, each.name))) for each in fields]
            told.append((signal, type(params).__name__, context.trace_request_ctx, values))

        getattr(config, signal).append(handler)

    for signal in SIGNALS:
        add(signal)
    return config, told


async def read(request: Any) -> None:
    """Make *request* and read the body of its response."""
    async with request as response:
        await response.read()


@compared
async def test_signals_of_requests(client: ModuleType, base: URL) -> object:
    """A new connection, the same again, and headers of session and request."""
    config, told = tracer(client)
    async with client.ClientSession(trace_configs=[config], headers={"A": "1"}) as session:
        await read(session.get(base / "json", trace_request_ctx={"id": 1}))
        await read(session.get(base / "json", params={"a": "b"}, headers={"A": "2"}))
        await read(session.head(base / "json"))
        await read(session.delete(base / "status" / "404"))
    return told


@compared
async def test_signals_of_bodies(client: ModuleType, base: URL) -> object:
    """Small and large, in memory and from elsewhere."""

    async def pieces() -> AsyncIterator[bytes]:
        yield b"one"
        yield b"two"

    config, told = tracer(client)
    bodies: list[dict[str, Any]] = [
        {},
        {"data": b"body"},
        {"data": "text"},
        {"json": {"a": [1]}},
        {"data": {"a": "b"}},
        {"data": pieces()},
        {"data": BytesIO(b"x" * 200_000)},
        {"data": b"body", "compress": True},
        {"data": b"body", "chunked": True},
        {"data": b"body", "expect100": True},
    ]
    async with client.ClientSession(trace_configs=[config]) as session:
        for options in bodies:
            await read(session.post(base / "upload", **options))
    return told


@compared
async def test_signals_of_redirects(client: ModuleType, base: URL) -> object:
    """Each of them, with the request as it was on that hop."""
    config, told = tracer(client)
    async with client.ClientSession(trace_configs=[config]) as session:
        await read(session.get(base / "redirect" / "2", params={"a": "b"}))
        await failure(session.get(base / "redirect" / "4", max_redirects=2))
        await read(session.get(base / "redirect" / "1", allow_redirects=False))
        await read(session.get(base / "status" / "302"))  # to nowhere
        for status in (303, 307):
            url = (base / "redirect-to").with_query(url="/echo", status=status)
            await read(session.post(url, data=b"body"))
    # Whether a connection is kept, the body of a redirect being unread, is not compared, and
    # neither are the bodies, as they have the name of the client in them.
    left_out = ("on_connection", "on_response_chunk")
    return [each for each in told if not each[0].startswith(left_out)]


@compared
async def test_signals_of_failures(client: ModuleType, base: URL) -> object:
    """A status that is not wanted, a connection that is closed or cannot be made, a limit."""
    config, told = tracer(client)
    timeout = client.ClientTimeout(total=0.3)
    async with client.ClientSession(trace_configs=[config]) as session:
        await failure(session.get(base / "status" / "500", raise_for_status=True))
        await failure(session.post(base / "close"))
        await failure(session.get(base.with_host("127.0.0.9")))
        await failure(session.get(base / "hang", timeout=timeout))
    return [(*each[:3], each[3][:-1]) for each in told], [
        each[3][-1][1][0] for each in told if each[0] == "on_request_exception"
    ]


@compared
async def test_signals_of_names(client: ModuleType, base: URL) -> object:
    """With a cache and without."""
    config, told = tracer(client)
    for cache in (True, False):
        connector = client.TCPConnector(force_close=True, use_dns_cache=cache)
        async with client.ClientSession(trace_configs=[config], connector=connector) as session:
            for _ in range(2):
                await read(session.get(base.with_host("localhost") / "json"))
    return told


@compared
async def test_context_of_a_factory(client: ModuleType, base: URL) -> object:
    """It is called by the name of its parameter, once for each request."""
    seen = []

    class Context(SimpleNamespace):
        def __init__(self, trace_request_ctx: object) -> None:
            super().__init__(given=trace_request_ctx)
            seen.append(("made", trace_request_ctx))

    async def handler(session: Any, context: Context, params: object) -> None:
        seen.append((session.closed, context.given))

    config = client.TraceConfig(trace_config_ctx_factory=Context)
    config.on_request_start.append(handler)
    config.on_request_end(handler)
    async with client.ClientSession(trace_configs=[config]) as session:
        await read(session.get(base / "redirect" / "1", trace_request_ctx=1))
        await read(session.get(base / "json"))
    return seen


@compared
async def test_headers_added_at_the_start(client: ModuleType, base: URL) -> object:
    """What the handler of on_request_start changes is sent."""

    async def handler(session: object, context: object, params: Any) -> None:
        params.headers["X-Trace"] = "1"
        params.headers.pop("X-Mine", None)

    config = client.TraceConfig()
    config.on_request_start.append(handler)
    async with client.ClientSession(trace_configs=[config]) as session:
        async with session.get(base / "echo", headers={"X-Mine": "1"}) as response:
            sent = (await response.json())["headers"]
    return [pair for pair in sent if pair[0].startswith("X-")]


@compared
async def test_frozen_configurations(client: ModuleType, base: URL) -> object:
    """A session freezes them; changing one raises an error then."""

    async def handler(session: object, context: object, params: object) -> None: ...

    config = client.TraceConfig()
    signal = config.on_request_start
    results: list[object] = [len(signal), signal.frozen, await failure(signal.send(1, 2, 3))]
    signal.append(handler)
    async with client.ClientSession(trace_configs=[config]) as session:
        results += [len(signal), signal.frozen, session.trace_configs == [config]]
        for change in (
            lambda: signal.append(handler),
            lambda: signal.remove(handler),
            lambda: signal.insert(0, handler),
            signal.clear,
            lambda: signal(handler),
        ):
            results.append(await failure(change))
    return results


@compared
async def test_handlers_that_fail(client: ModuleType, base: URL) -> object:
    """The request fails with what one raises, and those who heard of the start hear of it."""

    async def fail(session: object, context: object, params: object) -> None:
        raise LookupError("mine")

    results: list[object] = []
    for signal in ("on_request_start", "on_request_headers_sent", "on_request_end"):
        config, told = tracer(client)
        other = client.TraceConfig()
        getattr(other, signal).append(fail)
        last, heard = tracer(client)
        async with client.ClientSession(trace_configs=[config, other, last]) as session:
            results.append((await failure(session.get(base / "json")))[0])
        results.append([each[0] for each in told])
        results.append([each[0] for each in heard])
    return results


@different(there=["http://user:secret@127.0.0.1/"], here=["http://127.0.0.1/"])
async def test_credentials_in_traced_urls(client: ModuleType, base: URL) -> object:
    """Handlers are not told of them."""
    config, told = tracer(client)
    async with client.ClientSession(trace_configs=[config]) as session:
        await read(session.get(base.with_user("user").with_password("secret")))
    return [str(URL(each[3][1][1]).with_port(None)) for each in told if each[0] == SIGNALS[0]]


@different(there=["on_request_start", "on_request_exception"], here=[])
async def test_requests_that_never_begin(client: ModuleType, base: URL) -> object:
    """Arguments that make no request are refused before anybody is told of one."""
    config, told = tracer(client)
    async with client.ClientSession(trace_configs=[config]) as session:
        await failure(session.get("http://"))
    return [each[0] for each in told]


@different(there=[b"one", b"", b"two"], here=[b"one", b"two"])
async def test_empty_pieces(client: ModuleType, base: URL) -> object:
    """Nothing is sent for a piece that is empty, so nobody is told of it."""

    async def pieces() -> AsyncIterator[bytes]:
        for piece in (b"one", b"", b"two"):
            yield piece

    config, told = tracer(client)
    async with client.ClientSession(trace_configs=[config]) as session:
        await read(session.post(base / "upload", data=pieces()))
    return [each[3][2][1] for each in told if each[0] == "on_request_chunk_sent"]
