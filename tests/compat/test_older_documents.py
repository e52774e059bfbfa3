"""What docs/compatibility.md says of documents that are older than aiohttp 3.14."""

from __future__ import annotations

import functools
from types import ModuleType

import pytest
from yarl import URL

import anyhttp
from tests.compat.comparison import compared, different, failure, read
from tests.support.server import Server


@compared
async def test_a_body_that_is_read_after_closing(client: ModuleType, base: URL) -> object:
    """It is an error of the connection, and none of the body."""
    async with client.ClientSession() as session:
        response = await session.get(base / "bytes" / "1000000")
        response.close()
        errors = [await failure(response.read), await failure(response.content.read)]
        payload_error = client.ClientPayloadError.__name__
        return [error[0] for error in errors], any(payload_error in each for each in errors)


@compared
async def test_json_is_found_within_the_content_type(client: ModuleType, base: URL) -> object:
    """But application/json also stands for types that end in +json, and is not searched for."""
    results = []
    async with client.ClientSession() as session:
        for sent in ("text/json; v=1", "application/x+json", "text/application/json"):
            url = (base / "send").with_query(type=sent, text="[1]")
            for asked in ("json", "text/json", "application/json"):
                async with session.get(url) as response:
                    read_json = functools.partial(response.json, content_type=asked)
                    results.append((sent, asked, (await failure(read_json))[0]))
    return results


@compared
async def test_how_many_redirects_are_too_many(client: ModuleType, base: URL) -> object:
    """The last one that max_redirects allows is the one before; 0 is no limit."""
    results = []
    async with client.ClientSession() as session:
        for count, limit in ((9, 10), (10, 10), (1, 1), (12, 0)):
            request = session.get(base / "redirect" / str(count), max_redirects=limit)
            results.append((await failure(request))[0])
    return results


@compared
async def test_params_from_a_generator(client: ModuleType, base: URL) -> object:
    """A list or a tuple of pairs is taken, and nothing that can be read only once."""
    async with client.ClientSession() as session:
        pairs = [("a", "1")]
        results = [await failure(session.get(base / "json", params=pairs))]
        results.append(await failure(session.get(base / "json", params=(each for each in pairs))))
        return results


@compared
async def test_how_long_connections_are_kept(
    client: ModuleType, base: URL, server: Server
) -> object:
    """0 keeps none after its request, and None keeps them for ever."""
    results = []
    for options in ({}, {"keepalive_timeout": 0}, {"keepalive_timeout": None}):
        before = server.connections
        connector = client.TCPConnector(**options)
        async with client.ClientSession(connector=connector) as session:
            for _ in range(3):
                await read(session.get(base / "json"))
        results.append((connector._keepalive_timeout, server.connections - before))
    return results


@compared
async def test_half_a_key_of_the_dns_cache(client: ModuleType, base: URL) -> object:
    """A host without a port, and a port without a host, are refused."""
    async with client.ClientSession() as session:
        clear = session.connector.clear_dns_cache
        return [
            (await failure(functools.partial(clear, host="localhost")))[0],
            (await failure(functools.partial(clear, port=80)))[0],
            (await failure(clear))[0],
        ]


@compared
async def test_trust_of_a_request_and_of_its_connector(
    client: ModuleType, base: URL, server: Server
) -> object:
    """``ssl=True`` is the default of a request: it leaves the choice to the connector."""
    connector = client.TCPConnector(ssl=False)
    async with client.ClientSession(connector=connector) as session:
        return await read(session.get(server.https_url / "bytes" / "1", ssl=True))


@different(there=[(100, 0), (0, 0), (None, 0)], here=[(100, 0), (0, 0), (0, 0)])
async def test_values_of_limits(client: ModuleType, base: URL) -> object:
    """No limit is told as 0, however it was asked for."""
    results = []
    for options in ({}, {"limit": 0}, {"limit": None}):
        async with client.TCPConnector(**options) as connector:
            results.append((connector.limit, connector.limit_per_host))
    return results


@compared
async def test_types_that_have_changed(client: ModuleType, base: URL) -> object:
    """Cookies for a URL, and the headers of an error and of a request."""
    async with client.ClientSession(raise_for_status=True) as session:
        session.cookie_jar.update_cookies({"a": "b"}, URL("http://example.org/"))
        cookies = session.cookie_jar.filter_cookies(URL("http://example.org/"))
        with pytest.raises(client.ClientResponseError) as raised:
            await session.get(base / "status" / "404")
        headers, request_info = raised.value.headers, raised.value.request_info
        return type(cookies).__name__, type(headers), type(request_info.headers)


@different(
    there=["BasicAuth(login='user', password='secret', encoding='latin1')", True, True],
    here=["BasicAuth(login='user', password='***')", False, False],
)
async def test_representations(client: ModuleType, base: URL) -> object:
    """They are short, and keep secrets to themselves."""
    async with client.ClientSession() as session, session.get(base / "json") as response:
        await response.read()
        return [
            repr(client.BasicAuth("user", "secret")),
            "Content-Type" in repr(response),
            "URL(" in repr(response.request_info),
        ]


async def test_types_of_attributes_that_only_older_versions_have() -> None:
    """In aiohttp 3.14 there are none of them, and ``cached_hosts`` was a read-only view."""
    with pytest.warns(DeprecationWarning, match="proxy"):
        connector = anyhttp.ProxyConnector("http://proxy.test:3128")
    async with connector:
        assert connector.proxy == URL("http://proxy.test:3128")
        assert connector.ssl_context is None
        connector.cached_hosts["host.test", 80] = []
        assert connector.cached_hosts == {}
