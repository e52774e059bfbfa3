"""Names, addresses, TLS, proxies: until there is a connection."""

from __future__ import annotations

from functools import partial

import anyio

from anyhttp import AsyncResolver, ClientSession, TCPConnector, ThreadedResolver, UnixConnector
from anyhttp.abc import AbstractResolver
from tests.cancellation.stage import Stage, add, operation
from tests.support.client import get
from tests.support.names import Names


def _named(
    stage: Stage, resolver: AbstractResolver | None = None, **options: object
) -> ClientSession:
    given: dict[str, object] = {"resolver": resolver or Names(), "keepalive_timeout": 0, **options}
    connector = TCPConnector(**given)  # type: ignore[arg-type]
    return ClientSession(stage.server.url.with_host("name.test"), connector=connector)


async def _get(stage: Stage, session: ClientSession) -> None:
    await get(session)


async def _get_two(stage: Stage, session: ClientSession) -> None:
    """Two requests wait for the same answer."""
    async with anyio.create_task_group() as group:
        group.start_soon(get, session)
        await get(session)


def _resolving(cache: bool, stage: Stage) -> ClientSession:
    return _named(stage, use_dns_cache=cache, ttl_dns_cache=0)


for _cache in (True, False):
    add(f"resolve-{'cache' if _cache else 'no-cache'}", _get_two, partial(_resolving, _cache))


def _where_some_fail(delay: float | None, stage: Stage) -> ClientSession:
    names = Names("127.0.0.8", "127.0.0.9", "127.0.0.1")
    return _named(stage, names, happy_eyeballs_delay=delay)


# Refused attempts, one after the other or raced.
add("connect-race", _get, partial(_where_some_fail, 0.001))
add("connect-one-by-one", _get, partial(_where_some_fail, None))


def _past_silence(stage: Stage) -> ClientSession:
    silent = stage.silent_address
    names = Names(silent, silent, "127.0.0.1", "127.0.0.1")
    return _named(stage, names, happy_eyeballs_delay=0.001)


# Losers of the race are closed, whoever is cancelled when.
add("connect-past-silence", _get, _past_silence)


def _in_threads(stage: Stage) -> ClientSession:
    connector = TCPConnector(resolver=ThreadedResolver(), ttl_dns_cache=0, keepalive_timeout=0)
    return ClientSession(stage.server.url.with_host("localhost"), connector=connector)


add("resolve-in-a-thread", _get, _in_threads)


@operation(needs="dns")
async def asking_a_name_server(stage: Stage, _: ClientSession) -> None:
    """One that is asked by UDP, and one that is asked by TCP then."""
    resolver = AsyncResolver([stage.name_server.address], hosts_file=None)
    try:
        assert await resolver.resolve("long.test", 80)
        assert await resolver.resolve("a.test", 80)
    finally:
        await resolver.close()


@operation()
async def resolving_by_hand(stage: Stage, _: ClientSession) -> None:
    """As a connector does it that has made the resolver itself."""
    resolver = ThreadedResolver()
    try:
        assert await resolver.resolve("localhost", 80)
    finally:
        await resolver.close()


def _over_tls(keepalive: float, stage: Stage) -> ClientSession:
    connector = TCPConnector(ssl=stage.ca.client, keepalive_timeout=keepalive)
    return ClientSession(stage.server.https_url, connector=connector)


# The handshake, and records that are cut short.
add("tls-reused", _get, partial(_over_tls, 15))
add("tls-new", _get, partial(_over_tls, 0))


def _over_unix(stage: Stage) -> ClientSession:
    connector = UnixConnector(stage.server.unix_path, keepalive_timeout=0)
    return ClientSession("http://localhost", connector=connector)


add("unix", _get, _over_unix)


def _through(scheme: str, tls: bool, stage: Stage) -> ClientSession:
    connector = TCPConnector(ssl=stage.ca.client, keepalive_timeout=0)
    url = stage.server.https_url if tls else stage.server.url
    return ClientSession(url, connector=connector, proxy=stage.proxy(scheme).login_url)


for _scheme in ("http", "https", "socks4a", "socks5"):
    _needs = "socksio" if _scheme.startswith("socks") else ""
    add(f"tunnel-{_scheme}", _get, partial(_through, _scheme, True), needs=_needs)
    add(f"proxy-{_scheme}", _get, partial(_through, _scheme, False), needs=_needs)
