"""What a call is about: what the caller asked for, and how responses are treated."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Final, cast

from multidict import CIMultiDict, getversion
from yarl import URL

from .. import hdrs
from .._common import Fields
from .._http1 import Limits, UploadTracker, goes_inline
from .._targets import BasicAuth, Destination, ProxyOptions, checked_auth, is_upgrade, origin_of
from .._tasks import ClientTimeout
from ..client_exceptions import ClientPayloadError
from ..client_middlewares import ClientMiddlewareType, all_watch_time
from ..client_reqrep import ClientResponse, PreparedHeaders, RequestSettings
from ..payload import Payload
from ..typedefs import LooseCookies
from ._redirects import CREDENTIAL_HEADERS, next_method, without_body_headers
from ._session_scope import SessionDefaults

__all__ = ("Hop", "RaiseForStatus", "Settings", "version_of")

RaiseForStatus = bool | Callable[[ClientResponse], Awaitable[None]]


# A multidict gets another version whenever it is changed.  (The stubs mean any multidict.)
version_of: Final[Callable[[CIMultiDict[str]], int]] = cast("Any", getversion)


# Not frozen: each call with options of its own makes one, which would take 21 000 instructions
# instead of 3 000.
@dataclass(eq=False, kw_only=True, slots=True)
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
    #: whether a call awaits what does not watch the time, so that a cancel scope has to limit it
    runs_other_code: bool = field(init=False)

    def __post_init__(self) -> None:
        self.runs_other_code = (
            self.trust_env
            or (bool(self.middlewares) and not all_watch_time(self.middlewares))
            or callable(self.raise_for_status)
        )


# Without __slots__, like all objects that each call makes: Python creates them faster then.
class Hop:
    """What the caller asked for; some of it changes from one redirect to the next."""

    # Defaults of what few calls need; Python finds an attribute of the object itself faster.
    #: whether it asks for a WebSocket
    is_handshake: bool = False
    #: those of this request, besides those of the jar
    cookies: LooseCookies | None = None
    proxy: ProxyOptions | None = None
    #: the proxy that the environment names for the present URL
    environment: ProxyOptions | None = None
    #: those of the session and of the request; may be the session's own object
    headers: CIMultiDict[str]
    #: whether redirects are followed
    follows: bool = True
    upload_tracker: UploadTracker | None = None
    #: for the contexts that trace handlers get
    trace_context: object = None
    #: the headers that the session does not have
    own_headers: Fields = ()

    def __init__(
        self,
        session: object,
        method: str,
        destination: Destination,
        settings: RequestSettings,
    ) -> None:
        #: the :class:`ClientSession`, which requests name as theirs
        self.session: object = session
        self.method: str = method
        self.destination: Destination = destination
        self.settings: RequestSettings = settings
        self.body: Payload | None = None
        self.auth: BasicAuth | None = None
        #: the session's headers, if *headers* are just these and *own_headers*
        self.prepared: PreparedHeaders | None = None
        #: version of *headers* when *prepared* was set; it does not hold for a later one
        self.headers_version: int = 0

    @property
    def url(self) -> URL:
        """The URL, with its fragment."""
        return self.destination.original_url

    def copy_headers(self) -> None:
        """Replace the headers, which may be the session's own, by a copy."""
        self.headers = self.headers.copy()
        self.headers_version = version_of(self.headers)

    def change_headers(self, headers: CIMultiDict[str] | None = None) -> CIMultiDict[str]:
        """Replace the headers, which may be the session's own, and return them.

        :param headers: a copy of the present ones when left out
        """
        self.headers = self.headers.copy() if headers is None else headers
        self.prepared = None
        return self.headers

    def take_credentials(self, given: BasicAuth | None, defaults: SessionDefaults) -> None:
        """Take the credentials out of the URL, and decide which are sent.

        :param given: the ``auth`` option of the request
        :raises ValueError: more than one of *given*, the URL and the headers has credentials
        """
        given = checked_auth(given)
        if self.destination.has_credentials:
            if given is not None:
                raise ValueError("auth cannot be combined with credentials in the URL")
            given = BasicAuth.from_url(self.url)
            self.destination = Destination(self.url.with_user(None))
        if given is None:
            given = defaults.auth_for(self.url)
        if given is not None and hdrs.AUTHORIZATION in self.headers:
            raise ValueError("auth cannot be combined with an Authorization header")
        self.auth = given

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
            self.change_headers(without_body_headers(self.headers))
        elif self.body is not None and self.body.consumed:
            raise ClientPayloadError(
                "the body has been used up and cannot be sent again to follow a redirect"
            )
        self.method = method.method
        if origin_of(self.url) != origin_of(target):
            self._leave_origin(target, defaults)
        if target.raw_user is not None or target.raw_password is not None:
            self.auth = BasicAuth.from_url(target)
            self.change_headers().popall(hdrs.AUTHORIZATION, None)
            target = target.with_user(None)
        self.destination = Destination(target)

    def _leave_origin(self, target: URL, defaults: SessionDefaults) -> None:
        """Remove what is for the present origin alone, as *target* has another one."""
        self.cookies = None
        headers = self.change_headers()
        for name in (*CREDENTIAL_HEADERS, hdrs.HOST):
            headers.popall(name, None)
        # Without a base URL, nothing says that the credentials are for the other origin as well.
        self.auth = None if defaults.base_origin is None else defaults.auth_for(target)
        if not is_upgrade(self.url, target):
            # These options verify the server that the caller has named.  They can also be meant
            # for it if the URL began with "http://" and the server moves the client to TLS.
            self.settings = replace(self.settings, ssl=True, server_hostname=None)
