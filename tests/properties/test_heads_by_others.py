"""Requests as servers that others wrote read them: what was meant, over either version of HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, strategies as st
from yarl import URL

pytest.importorskip("h2", reason="one of the servers is made with h2")

from anyhttp import BasicAuth, ClientSession
from tests.support.canned import Canned, CannedConnector
from tests.support.engines import NAMES
from tests.support.examples import examples
from tests.support.http2_client import one_connection
from tests.support.http2_memory import KeepingServer
from tests.support.requests import pieces
from tests.support.server_parsers import ReadRequest, read_by_h11, read_by_llhttp

OK = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
#: fields that only one of the versions has
OF_HTTP1 = {b"host", b"connection", b"transfer-encoding"}

texts = st.text(st.characters(exclude_categories=["Cc", "Cs"]), max_size=12)
tokens = st.text("!#$%&'*+-.^_`|~09AZaz", max_size=8)


@dataclass(frozen=True)
class Request:
    """What a program asks for."""

    method: str
    path: str
    query: list[tuple[str, str]] | None
    headers: list[tuple[str, str]]
    cookies: dict[str, str]
    auth: BasicAuth | None
    data: bytes | str | list[bytes] | dict[str, str] | None

    @property
    def url(self) -> URL:
        url = URL(f"http://host.test:8080/{self.path}")
        return url.extend_query(self.query) if self.query is not None else url

    @property
    def is_of_llhttp(self) -> bool:
        """Whether llhttp reads the method: it has a list of those that there are."""
        return self.method in {"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"}

    @property
    def body(self) -> bytes:
        """The bytes of the body; of a form, what its text stands for."""
        if isinstance(self.data, bytes):
            return self.data
        if isinstance(self.data, str):
            return self.data.encode()
        if isinstance(self.data, list):
            return b"".join(self.data)
        if isinstance(self.data, dict):
            return URL.build(query=self.data).raw_query_string.encode()
        return b""

    @property
    def options(self) -> dict[str, Any]:
        """What the request is made with."""
        data: bytes | str | AsyncIterator[bytes] | dict[str, str] | None
        data = pieces(*self.data) if isinstance(self.data, list) else self.data
        return {
            "headers": self.headers,
            "cookies": self.cookies or None,
            "auth": self.auth,
            "data": data,
        }


requests = st.builds(
    Request,
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "HEAD", "X-OWN"]),
    path=st.lists(texts, max_size=3).map("/".join).map(lambda text: text.strip("/")),
    query=st.one_of(st.none(), st.lists(st.tuples(texts, texts), max_size=3)),
    headers=st.lists(
        st.tuples(tokens.map("X-{}".format), texts.map(lambda text: text.strip(" \t"))), max_size=4
    ),
    cookies=st.dictionaries(tokens.filter(bool), st.text("az09", min_size=1), max_size=3),
    auth=st.one_of(
        st.none(), st.builds(lambda login: BasicAuth(login, "p:\xe9"), st.text("az", min_size=1))
    ),
    data=st.one_of(
        st.none(),
        st.binary(max_size=60),
        st.sampled_from([b"\r\n", b"0\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n"]),
        texts,
        st.lists(st.binary(max_size=20), max_size=4),
        st.dictionaries(st.text("az&=+ ", min_size=1), st.text("az&=+ \r\n"), max_size=3),
    ),
)


async def sent(request: Request, http1: str) -> bytes:
    """Return the bytes of *request*, over HTTP/1.1."""
    connector = CannedConnector(lambda: Canned(OK), http1=http1)
    async with ClientSession(connector=connector) as session:
        async with session.request(request.method, request.url, **request.options):
            pass
    (data,) = connector.source.sent
    return data


def check(read: ReadRequest, request: Request) -> None:
    """Compare what a server has read with what was meant."""
    assert read.method == request.method.encode()
    assert read.target == request.url.raw_path_qs.encode()
    assert read.version == b"1.1"
    assert [field for field in read.fields if field[0] == b"host"] == [(b"host", b"host.test:8080")]
    check_fields(read.fields, request)
    assert read.body == request.body


def check_fields(fields: list[tuple[bytes, bytes]], request: Request) -> None:
    """Compare the fields that either version has."""
    given = [(name.lower().encode(), value.encode()) for name, value in request.headers]
    assert [field for field in fields if field[0].startswith(b"x-")] == given
    cookies = b"; ".join(value for name, value in fields if name == b"cookie")
    assert cookies.decode() == "; ".join(map("=".join, request.cookies.items()))
    found = dict(fields)
    auth = None if request.auth is None else request.auth.encode().encode()
    assert found.get(b"authorization") == auth
    if b"content-length" in found:
        assert int(found[b"content-length"]) == len(request.body)


@pytest.mark.once
@pytest.mark.parametrize("http1", NAMES)
@examples(60)
@given(request=requests)
async def test_servers_of_http1_read_what_was_meant(http1: str, request: Request) -> None:
    """Method, target, each field in its order, and the body, to the last byte that was sent."""
    data = await sent(request, http1)
    check(read_by_h11(data), request)
    if request.is_of_llhttp:
        check(read_by_llhttp(data), request)


@pytest.mark.once
@examples(60)
@given(request=requests)
async def test_a_server_of_http2_reads_what_was_meant(request: Request) -> None:
    """The same as over HTTP/1.1, but for the fields that are of one version only."""
    server = KeepingServer()
    async with one_connection(server) as (session, _):
        async with session.request(request.method, request.url, **request.options) as response:
            assert response.status == 200
    (fields,) = server.fields
    pseudo, plain = fields[:4], fields[4:]
    assert dict(pseudo) == {
        b":method": request.method.encode(),
        b":path": request.url.raw_path_qs.encode(),
        b":scheme": b"http",
        b":authority": b"host.test:8080",
    }
    check_fields(plain, request)
    assert server.body == request.body
    over_http1 = read_by_h11(await sent(request, "auto")).fields
    assert without_cookies(plain) == without_cookies(over_http1)


def without_cookies(fields: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """Return the fields that both versions have, but for the cookies, which HTTP/2 splits.

    They are sorted: over HTTP/2 those with secrets come last.
    """
    return sorted(field for field in fields if field[0] not in {*OF_HTTP1, b"cookie"})
