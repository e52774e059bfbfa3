"""Spellings that aiohttp 3.14 still takes, with its warnings."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from types import ModuleType

from yarl import URL

from tests.compat.comparison import compared, failure, failures, read
from tests.support.server import Server
from tests.support.tls import Authority


@contextmanager
def quietly() -> Iterator[None]:
    """Show no deprecations, which differ in their words and are not the question here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@compared
async def test_older_ways_to_trust(
    client: ModuleType, base: URL, server: Server, tls_ca: Authority
) -> object:
    """What became ssl, of a request or of a connector; only one of them can be given."""
    url = server.https_url / "bytes" / "10"
    context = tls_ca.client
    trusted = (
        {"verify_ssl": False},
        {"ssl_context": context},
        {"fingerprint": tls_ca.fingerprint},
        {"verify_ssl": True, "ssl_context": context},
    )
    contradictions = (
        {"verify_ssl": False, "ssl_context": context},
        {"verify_ssl": False, "fingerprint": bytes(32)},
        {"ssl_context": context, "fingerprint": bytes(32)},
        {"ssl": context, "verify_ssl": False},
        {"ssl": False, "fingerprint": bytes(32)},
        {"fingerprint": bytes(16)},
    )
    results: list[object] = []
    with quietly():
        async with client.ClientSession() as session:
            results += [await read(session.get(url, **options)) for options in trusted]
            results.append(await failure(session.get(url, verify_ssl=True)))
            results.append(
                await failures(lambda **options: session.get(url, **options), *contradictions)
            )
        for options in trusted:
            connector = client.TCPConnector(**options)
            async with client.ClientSession(connector=connector) as session:
                results.append(await read(session.get(url)))
        results.append(await failures(client.TCPConnector, *contradictions))
    return results


@compared
async def test_older_names_of_time_limits(client: ModuleType, base: URL) -> object:
    """They are parts of the default; beside a timeout they are refused."""
    results: list[object] = []
    with quietly():
        for options in (
            {"read_timeout": 7},
            {"conn_timeout": 3},
            {"read_timeout": None, "conn_timeout": 3},
        ):
            async with client.ClientSession(**options) as session:
                limits = session.timeout
                results.append((limits.total, limits.connect, limits.sock_connect))
        timeout = client.ClientTimeout()
        results.append(
            await failures(
                client.ClientSession,
                {"timeout": timeout, "read_timeout": 1},
                {"timeout": timeout, "conn_timeout": 1},
            )
        )
    return results


@compared
async def test_older_names_elsewhere(client: ModuleType, base: URL) -> object:
    """The status of an error was its code."""
    results: list[object] = []
    with quietly():
        async with client.ClientSession() as session:
            try:
                await session.get(base / "status" / "404", raise_for_status=True)
            except client.ClientResponseError as exc:
                results.append((exc.code, exc.status))
                made = client.ClientResponseError(exc.request_info, (), code=410)
                results.append((made.code, made.status))
    return results


@compared
async def test_options_that_there_are_not(client: ModuleType, base: URL) -> object:
    """They are a TypeError of the call, which comes before anything is awaited."""
    async with client.ClientSession() as session:
        verbs = ("get", "options", "head", "post", "put", "patch", "delete")
        return [await failure(partial(getattr(session, verb), base, nonsense=1)) for verb in verbs]


@compared
async def test_mappings_in_a_row(client: ModuleType, base: URL) -> object:
    """ChainMapProxy is a read-only view of several mappings, the first of which counts."""
    chain = client.ChainMapProxy([{"a": 1}, {"a": 2, "b": 3}])
    return [
        chain["a"],
        chain.get("b"),
        chain.get("c", 4),
        "c" in chain,
        len(chain),
        list(chain),
        bool(chain),
        bool(client.ChainMapProxy([])),
        repr(chain),
        chain == {"a": 1, "b": 3},
        await failure(lambda: chain["c"]),
        await failure(lambda: type("Mine", (client.ChainMapProxy,), {})),
    ]


@compared
async def test_tags_of_a_resource(client: ModuleType, base: URL) -> object:
    """ETag is a frozen value."""
    tag = client.ETag("a", is_weak=True)
    return [
        repr(tag),
        tag == client.ETag(value="a", is_weak=True),
        tag == client.ETag("a"),
        client.ETag("a").is_weak,
        hash(tag) == hash(client.ETag("a", True)),
        (await failure(lambda: setattr(tag, "value", "b")))[-4:],
    ]


@compared
async def test_modules_that_programs_import_from(client: ModuleType, base: URL) -> object:
    """Names that no page documents, and which programs have from there all the same."""
    names = {
        "client": (
            "_RequestContextManager",
            "_WSRequestContextManager",
            "ClientError",
            "DEFAULT_TIMEOUT",
        ),
        "http_exceptions": ("BadHttpMessage", "BadStatusLine", "HttpProcessingError"),
        "http": ("HttpVersion11", "HttpProcessingError", "WSCloseCode", "WSMessage", "WSMsgType"),
        "http_websocket": ("WSCloseCode", "WSMessage", "WSMsgType", "WebSocketError"),
    }
    found: list[object] = []
    for name, wanted in names.items():
        module = importlib.import_module(f"{client.__name__}.{name}")
        found.append([hasattr(module, each) for each in wanted])
    too_long = importlib.import_module(f"{client.__name__}.http_exceptions").LineTooLong
    # Ours is a ClientPayloadError, too.
    more = {"ClientPayloadError", "ClientError", "_Base"}
    found.append([cls.__name__ for cls in too_long.__mro__ if cls.__name__ not in more])
    return found
