"""What a call is about: what the caller asked for, and how responses are treated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from multidict import CIMultiDict
from yarl import URL

from .. import hdrs
from .._http1 import Limits, goes_inline
from .._targets import BasicAuth, ProxyOptions, is_upgrade, origin_of
from .._tasks import ClientTimeout
from ..client_exceptions import ClientPayloadError
from ..client_middlewares import ClientMiddlewareType
from ..client_reqrep import ClientResponse, RequestSettings
from ..payload import Payload
from ..typedefs import LooseCookies
from ._redirects import CREDENTIAL_HEADERS, next_method, without_body_headers
from ._session_scope import SessionDefaults

__all__ = ("Hop", "RaiseForStatus", "Settings")

RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How requests are made and responses treated: the session's choice, or one request's."""

    raise_for_status: RaiseForStatus
    timeout: ClientTimeout
    limits: Limits
    read_bufsize: int
    auto_decompress: bool
    max_body_size: int | None
    request: RequestSettings
    max_redirects: int = 10
    read_until_eof: bool = True
    trust_env: bool = False
    middlewares: tuple[ClientMiddlewareType, ...] = ()


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Hop:
    """What the caller asked for; some of it changes from one redirect to the next."""

    #: whether it asks for a WebSocket; the attribute is set where it does
    is_handshake: bool = False

    def __init__(
        self,
        session: object,
        method: str,
        url: URL,
        headers: CIMultiDict[str],
        settings: RequestSettings,
    ) -> None:
        #: the :class:`ClientSession`, which requests name as theirs
        self.session: object = session
        self.method: str = method
        self.url: URL = url
        self.headers: CIMultiDict[str] = headers
        self.settings: RequestSettings = settings
        self.body: Payload | None = None
        self.auth: BasicAuth | None = None
        #: those of this request, besides those of the jar
        self.cookies: LooseCookies | None = None
        self.proxy: ProxyOptions | None = None
        #: the proxy that the environment names for the present URL
        self.environment: ProxyOptions | None = None

    @property
    def streams(self) -> bool:
        """Whether it takes a task to send the body."""
        return not goes_inline(self.body, self.settings.compress, self.settings.expect100)

    def redirect(self, status: int, target: URL, defaults: SessionDefaults) -> None:
        """Change into the request that follows a redirect to *target* with *status*.

        What the caller gave for the first origin is for that origin alone: credentials, cookies,
        ``Host``, and how to verify the server.  It is removed at the first redirect to another
        origin, and is not used again even if a later redirect leads back
        (:rfc:`9110#section-15.4`).

        :raises ClientPayloadError: the body would have to be sent again, but is used up
        """
        method = next_method(status, self.method)
        if not method.keeps_body:
            self.body = None
            self.settings = replace(self.settings, compress=None, chunked=None, expect100=False)
            self.headers = without_body_headers(self.headers)
        elif self.body is not None and self.body.consumed:
            raise ClientPayloadError(
                "the body has been used up and cannot be sent again to follow a redirect"
            )
        self.method = method.method
        if origin_of(self.url) != origin_of(target):
            self._leave_origin(target, defaults)
        if target.raw_user is not None or target.raw_password is not None:
            self.auth = BasicAuth.from_url(target)
            self.headers = self.headers.copy()
            self.headers.popall(hdrs.AUTHORIZATION, None)
            target = target.with_user(None)
        self.url = target

    def _leave_origin(self, target: URL, defaults: SessionDefaults) -> None:
        """Remove what is for the present origin alone, as *target* has another one."""
        self.cookies = None
        self.headers = self.headers.copy()
        for name in (*CREDENTIAL_HEADERS, hdrs.HOST):
            self.headers.popall(name, None)
        # Without a base URL, nothing says that the credentials are for the other origin as well.
        self.auth = None if defaults.base_origin is None else defaults.auth_for(target)
        if not is_upgrade(self.url, target):
            # These options verify the server that the caller has named.  They can also be meant
            # for it if the URL began with "http://" and the server moves the client to TLS.
            self.settings = replace(self.settings, ssl=True, server_hostname=None)
