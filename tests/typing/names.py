"""What type checkers know of names that packages use; read by them, and never run."""
# pyright: reportUnnecessaryTypeIgnoreComment=true

from __future__ import annotations

from collections.abc import Mapping
from http.cookies import SimpleCookie
from types import EllipsisType
from typing import assert_type

from multidict import MultiDictProxy
from yarl import URL

from anyhttp import BasicAuth, ClientRequest, ClientSession, ClientTimeout, WSMessage
from anyhttp.abc import AbstractStreamWriter
from anyhttp.client_proto import ResponseHandler
from anyhttp.helpers import TimerNoop, parse_mimetype, sentinel, strip_auth_from_url
from anyhttp.http import RESPONSES
from anyhttp.http_exceptions import HttpProcessingError, TransferEncodingError
from anyhttp.http_websocket import WSMessageTextBytes
from anyhttp.payload import Payload


class Twice(Payload):
    """A body of a library."""

    async def write(self, writer: AbstractStreamWriter) -> None:
        """Write it."""
        await writer.write(b"")


def modules(url: URL) -> None:
    """They have the types of what they stand for."""
    assert_type(strip_auth_from_url(url), tuple[URL, BasicAuth | None])
    assert_type(parse_mimetype("text/html").parameters, MultiDictProxy[str])
    assert_type(sentinel, EllipsisType)
    assert_type(RESPONSES, Mapping[int, tuple[str, str]])
    assert_type(HttpProcessingError(code=1, message="text").code, int)
    assert_type(TransferEncodingError("text").message, str)
    assert_type(WSMessageTextBytes, type[WSMessage])
    with TimerNoop() as timer:
        assert_type(timer, TimerNoop)
    ResponseHandler(loop=None)


def requests(url: URL, session: ClientSession) -> None:
    """They are made with headers, cookies and parameters of any kind."""
    ClientRequest("GET", url, params={"a": 1}, headers={"A": "b"}, cookies={"a": "b"}, loop=None)
    request = ClientRequest("GET", url, cookies=SimpleCookie(), proxy="http://proxy.test")
    request.update_headers([("A", "b")])
    request.update_cookies({"a": "b"})
    assert_type(session._build_url("/"), URL)
    assert_type(session._timeout, ClientTimeout)
