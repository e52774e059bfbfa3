"""What a call is about: what the caller asked for, and how responses are treated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from multidict import CIMultiDict
from yarl import URL

from .. import hdrs
from .._common import HttpVersion
from .._http1 import Limits
from .._network import SSLOption
from .._targets import BasicAuth, ProxyOptions
from .._tasks import ClientTimeout
from ..client_exceptions import ClientPayloadError
from ..client_middlewares import ClientMiddlewareType
from ..client_reqrep import ClientResponse
from ..payload import Payload
from ..typedefs import LooseCookies
from ._redirects import (
    CREDENTIAL_HEADERS,
    next_method,
    without_body_headers,
)

__all__ = ("Hop", "RaiseForStatus", "Settings")

RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]


class SessionCredentials(Protocol):
    """What a session sends with every request, and where to."""

    @property
    def auth(self) -> BasicAuth | None: ...

    base_origin: URL | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How responses are treated: the session's choice, or one request's."""

    raise_for_status: RaiseForStatus
    timeout: ClientTimeout
    limits: Limits
    read_bufsize: int
    auto_decompress: bool
    max_body_size: int | None
    max_redirects: int = 10
    read_until_eof: bool = True
    trust_env: bool = False
    middlewares: tuple[ClientMiddlewareType, ...] = ()


@dataclass(slots=True)
class Hop:
    """What the caller asked for; some of it changes from one redirect to the next."""

    method: str
    url: URL
    headers: CIMultiDict[str]
    skip_auto_headers: frozenset[str]
    payload: Payload | None
    cookies: LooseCookies | None
    auth: BasicAuth | None
    compress: str | None
    chunked: bool | None
    expect100: bool
    version: HttpVersion
    ssl: SSLOption
    server_hostname: str | None
    proxy: ProxyOptions | None = None
    #: what the environment says about the present URL
    environment: ProxyOptions | None = None

    def redirect(self, status: int, target: URL, session: SessionCredentials) -> None:
        """Become the request that follows an answer of *status*, to *target*.

        What is the first origin's alone, credentials above all, goes to no other, and stays
        behind for good (:rfc:`9110#section-15.4`).

        :raises ClientPayloadError: the body has to be sent again, and cannot be
        """
        method = next_method(status, self.method)
        if not method.keeps_body:
            self.payload = None
            self.compress = self.chunked = None
            self.expect100 = False
            self.headers = without_body_headers(self.headers)
        elif self.payload is not None and self.payload.consumed:
            raise ClientPayloadError(
                "the body has been used up and cannot be sent again to follow a redirect"
            )
        self.method = method.method
        if self.url.origin() != target.origin():
            self.cookies = self.auth = None
            self.headers = self.headers.copy()
            for name in (*CREDENTIAL_HEADERS, hdrs.HOST):
                self.headers.popall(name, None)
            if session.base_origin is None or session.base_origin == target.origin():
                self.auth = session.auth
        if target.raw_user is not None or target.raw_password is not None:
            self.auth = BasicAuth.from_url(target)
            self.headers = self.headers.copy()
            self.headers.popall(hdrs.AUTHORIZATION, None)
            target = target.with_user(None)
        self.url = target
