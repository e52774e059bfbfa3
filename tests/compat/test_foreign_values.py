"""Values of aiohttp that are given to this package: the error says which class is meant."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import pytest

from anyhttp import ClientSession
from tests.compat.comparison import aiohttp
from tests.support.client import client


def made_by_aiohttp(make: Callable[[], Any]) -> Any:
    """Return what *make* makes; some of it is deprecated there."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return make()


def named(value: object) -> str:
    """Return how messages name the class of *value*, one of aiohttp's."""
    return f"aiohttp.{type(value).__name__}"


@pytest.mark.parametrize(
    ("option", "make", "expected"),
    [
        ("timeout", lambda: aiohttp.ClientTimeout(total=5), "anyhttp.ClientTimeout"),
        ("trace_configs", lambda: [aiohttp.TraceConfig()], "anyhttp.TraceConfig"),
        ("version", lambda: aiohttp.HttpVersion11, "anyhttp.HttpVersion"),
        ("auth", lambda: aiohttp.BasicAuth("a", "b"), "anyhttp.BasicAuth"),
        ("proxy_auth", lambda: aiohttp.BasicAuth("a", "b"), "anyhttp.BasicAuth"),
        ("cookie_jar", aiohttp.CookieJar, "anyhttp.AbstractCookieJar"),
        ("connector", aiohttp.TCPConnector, "anyhttp.BaseConnector"),
        ("request_class", lambda: aiohttp.ClientRequest, "anyhttp.ClientRequest"),
        ("response_class", lambda: aiohttp.ClientResponse, "anyhttp.ClientResponse"),
        (
            "ws_response_class",
            lambda: aiohttp.ClientWebSocketResponse,
            "anyhttp.ClientWebSocketResponse",
        ),
    ],
)
@pytest.mark.once
async def test_values_of_aiohttp_given_to_a_session(
    option: str, make: Callable[[], Any], expected: str
) -> None:
    """Two classes with one name are told apart."""
    value = made_by_aiohttp(make)
    with pytest.raises((TypeError, ValueError)) as caught:
        ClientSession(**{option: value})
    text = str(caught.value)
    assert text.startswith(f"{option} must ")
    assert expected in text
    if not isinstance(value, type):
        assert text.endswith(f" {named(value[0] if isinstance(value, list) else value)}")
    if option == "connector":
        await value.close()  # pyright: ignore[reportAttributeAccessIssue]  (it is no list here)


@pytest.mark.parametrize(
    ("option", "make", "expected"),
    [
        ("timeout", lambda: aiohttp.ClientTimeout(total=5), "anyhttp.ClientTimeout"),
        ("auth", lambda: aiohttp.BasicAuth("a", "b"), "anyhttp.BasicAuth"),
        ("proxy_auth", lambda: aiohttp.BasicAuth("a", "b"), "anyhttp.BasicAuth"),
        ("ssl", lambda: aiohttp.Fingerprint(bytes(32)), "anyhttp.Fingerprint"),
    ],
)
async def test_values_of_aiohttp_given_to_a_request(
    option: str, make: Callable[[], Any], expected: str
) -> None:
    """So are they there."""
    value = made_by_aiohttp(make)
    options: dict[str, Any] = {option: value}
    async with client("auto") as session:
        with pytest.raises((TypeError, ValueError)) as caught:
            await session.get("http://host/", **options)
    text = str(caught.value)
    assert text.startswith(f"{option} must ")
    assert expected in text
    assert text.endswith(f" {named(value)}")
