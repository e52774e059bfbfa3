"""A middleware that sends a bearer token (:rfc:`6750`) with each request, and renews it."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from typing import Final

from yarl import URL

from .._common import (
    check_callable,
    check_flag,
    check_seconds,
    parsed_url,
    shown_class,
    without_user_info,
)
from .._targets import (
    NetrcCredentials,
    Origin,
    OriginCredentials,
    host_error,
    is_loopback,
    origin_of,
)
from .._tasks import SharedCall
from ..client_exceptions import ClientPayloadError
from ..client_middlewares import (
    ClientHandlerType,
    base_origin,
    give_back,
    waiting_phase,
    watches_time,
)
from ..client_reqrep import ClientRequest, ClientResponse, authorization_of, authorize
from ..typedefs import StrOrURL
from ._bearer_token import BearerToken

__all__ = ("BearerAuthMiddleware", "TokenSource")

#: Asks for a token, such as by a request to a token endpoint.
TokenSource = Callable[[], Awaitable[str | BearerToken]]


class _Credentials(OriginCredentials):
    """An ``Authorization`` header made by this module."""

    __slots__ = ()


class _Held:
    """A token that the source has returned.

    :param renew_at: when to ask for another one, in seconds since the epoch; ``None`` for never
    """

    __slots__ = ("renew_at", "token")

    def __init__(self, token: BearerToken, renew_at: float | None) -> None:
        self.token = token
        self.renew_at = renew_at

    @property
    def is_due(self) -> bool:
        """Whether to ask for another one before the next request."""
        return self.renew_at is not None and time.time() >= self.renew_at


class _Asking:
    """A call of the source of *middleware*, in whose context requests are sent without a token."""

    __slots__ = ("middleware",)

    def __init__(self, middleware: BearerAuthMiddleware) -> None:
        self.middleware: BearerAuthMiddleware | None = middleware

    def end(self) -> None:
        """Forget the middleware: a context may live longer than the call."""
        self.middleware = None


#: The calls of sources that the present task is part of.  A source may itself send requests that
#: need the token of another source, so there may be several.
_ASKING: Final[ContextVar[tuple[_Asking, ...]]] = ContextVar("anyhttp_token_sources", default=())


class BearerAuthMiddleware:
    """Sends a bearer token with each request to certain origins, and renews it.

    Pass it as one of the ``middlewares`` of a session or a request.

    :param token_source: async function that gets a new token and returns it, as a ``str`` or a
        :class:`BearerToken`
    :param origins: one or several origins that get the token, such as
        ``"https://api.example.com"``; by default, that of the session's ``base_url``
    :param leeway: how many seconds before its expiry a token is renewed: 30 by default.  A token
        with a short life is used for at least half of it
    :param allow_http: allow origins without TLS; by default, only those on this computer are
        allowed, such as ``"http://localhost:8080"``
    :raises TypeError: an argument has the wrong type
    :raises ValueError: *origins* is empty, an entry is not an origin or has no TLS, or *leeway* is
        negative, infinite or NaN

    The source is called before the first request that needs a token, when the token is about to
    expire, and after a 401, but then at most once for each request.  Requests that need a token
    while the source runs wait for it.  It runs in the task of one of them; if that task is
    cancelled, another one calls the source again.  If the source raises an exception, all requests
    that wait raise it or a copy of it, and the next request calls the source again.

    The source may use the same session: its own requests are sent without a token.

    Calling the middleware raises what the source raises; :exc:`TypeError` if the source returns
    something other than a token; :exc:`ValueError` for a text that cannot be a token, and for a
    token that a proxy on another computer would get without TLS; and :exc:`ClientPayloadError` if
    the body was used up before the 401 came.
    """

    def __init__(
        self,
        token_source: TokenSource,
        *,
        origins: StrOrURL | Iterable[StrOrURL] | None = None,
        leeway: float = 30.0,
        allow_http: bool = False,
    ) -> None:
        check_callable("token_source", token_source)
        check_flag("allow_http", allow_http)
        check_seconds("leeway", leeway, optional=False, finite=True)
        self._token_source: TokenSource = token_source
        self._leeway: float = leeway
        self._allow_http: bool = allow_http
        self._origins: frozenset[Origin] | None = None
        if origins is not None:
            self._origins = frozenset(_checked_origins(origins))
            for origin in self._origins:
                self._check_tls("origins", origin)
        self._held: _Held | None = None
        self._asking: SharedCall[_Held] = SharedCall()

    def __repr__(self) -> str:
        origins = None if self._origins is None else sorted(map(_shown, self._origins))
        return f"{type(self).__name__}(origins={origins!r})"

    @watches_time
    async def __call__(self, request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        """Send *request* by *handler* with the token, and once more with another after a 401.

        A request to another origin, or with an ``Authorization`` header of the program's own, is
        sent as it is.
        """
        origins = self._origins_for(request)
        if not self._needs_token(request, origins):
            return await handler(request)
        self._check_proxy(request)
        held = await self._token(request)
        if held is None:
            return await handler(request)  # which says that the session is closed
        credentials = _sign(request, held, origins)
        response = await handler(request)
        # Another middleware may have sent it elsewhere, or with credentials of its own.
        is_refused = response.status == 401 and origin_of(response.url) in origins
        if not is_refused or authorization_of(request) is not credentials:
            return response
        if self._held is held:  # else another request has got a new one meanwhile
            self._held = None
        try:
            if request.payload is not None and request.payload.consumed:
                raise ClientPayloadError(
                    "the server refused the token (401), and the body has been used up and cannot "
                    "be sent again with another: give bytes or a file, or use expect100=True"
                )
            # Its connection may be the only one that the connector lends to the source.
            await give_back(request)
        finally:
            response.release()  # if another middleware has made the request
        held = await self._token(request)
        if held is not None:
            _sign(request, held, origins)
        return await handler(request)

    # -- where the token may go

    def _origins_for(self, request: ClientRequest) -> frozenset[Origin]:
        """Return the origins that get the token.

        :raises ValueError: neither the program nor a base URL has named one, or that has no TLS
        """
        if self._origins is not None:
            return self._origins
        origin = base_origin(request)
        if origin is None:
            raise ValueError(
                "BearerAuthMiddleware does not know where the token may go: "
                "name the origins, or give the session a base_url"
            )
        self._check_tls("base_url", origin)
        return frozenset({origin})

    def _check_tls(self, name: str, origin: Origin) -> None:
        scheme, host, _ = origin
        if scheme == "http" and not (self._allow_http or is_loopback(host)):
            raise ValueError(
                f"{name}: a token would be sent to {_shown(origin)} without TLS, where others can "
                "read it: use https, or allow it with allow_http=True"
            )

    def _check_proxy(self, request: ClientRequest) -> None:
        """Refuse a proxy on another computer, which would get the token without TLS.

        :raises ValueError: there is such a proxy, as the origin is on this computer
        """
        proxy, origin = request.proxy, origin_of(URL(request.url))
        if proxy is None or origin[0] != "http" or self._allow_http:
            return
        if not is_loopback(proxy.raw_host or ""):
            raise ValueError(
                f"a token for {_shown(origin)} would be sent to the proxy {proxy} without TLS, "
                "where others can read it: use no proxy for it, or allow it with allow_http=True"
            )

    def _needs_token(self, request: ClientRequest, origins: frozenset[Origin]) -> bool:
        if origin_of(URL(request.url)) not in origins:
            return False
        given = authorization_of(request)
        # Its own may be there from the attempt before, if a middleware outside of this one sends
        # the request again.  Those of the netrc file are nobody's decision for this request.
        if given is not None and not isinstance(given, (_Credentials, NetrcCredentials)):
            return False
        return all(asking.middleware is not self for asking in _ASKING.get())

    # -- the token

    async def _token(self, request: ClientRequest) -> _Held | None:
        """Return the present token, or a new one if there is none or it is due.

        :returns: ``None`` if the session has been closed meanwhile
        """
        held = self._held
        if held is None or held.is_due:
            held = None
            with waiting_phase(request, "waiting for a token"):
                held = await self._asking.result(self._ask)
        return held

    async def _ask(self) -> _Held:
        asking = _Asking(self)
        # Not reset afterwards: a coroutine may be closed in another context than it ran in.
        _ASKING.set((*(other for other in _ASKING.get() if other.middleware is not None), asking))
        try:
            asked = self._token_source()
            if not isinstance(asked, Awaitable):
                raise TypeError(
                    f"token_source must be an async callable, but it returned "
                    f"{shown_class(type(asked))}"
                )
            token = await asked
        finally:
            asking.end()
        if isinstance(token, str):
            token = BearerToken(token)
        elif not isinstance(token, BearerToken):
            raise TypeError(
                f"token_source must return a str or a BearerToken, not {shown_class(type(token))}"
            )
        self._held = held = _Held(token, self._renewal(token))
        return held

    def _renewal(self, token: BearerToken) -> float | None:
        """Return when to ask for another token than this new one."""
        if token.expires_at is None:
            return None
        # A token that lives shorter than the leeway would be renewed for each request.
        left = max(token.expires_at - time.time(), 0.0)
        return token.expires_at - min(self._leeway, left / 2)


def _sign(request: ClientRequest, held: _Held, origins: frozenset[Origin]) -> _Credentials:
    credentials = _Credentials(f"Bearer {held.token.value}", origins)
    authorize(request, credentials)
    return credentials


def _shown(origin: Origin) -> str:
    scheme, host, port = origin
    return str(URL.build(scheme=scheme, host=host, port=port))


def _checked_origins(origins: StrOrURL | Iterable[StrOrURL]) -> Iterable[Origin]:
    """Yield the origins that the program has named.

    :raises TypeError: one of them is neither a ``str`` nor a URL
    :raises ValueError: one of them is something else, or there are none
    """
    if isinstance(origins, (str, URL)):
        origins = [origins]
    elif not isinstance(origins, Iterable):
        raise TypeError(
            f"origins must be a str, a yarl.URL or several, not {type(origins).__name__}"
        )
    given = list(origins)
    if not given:
        raise ValueError("origins must name at least one origin")
    for origin in given:
        if not isinstance(origin, (str, URL)):
            raise TypeError(f"origins must hold a str or a yarl.URL, not {type(origin).__name__}")
        yield _checked_origin(origin)


def _checked_origin(given: StrOrURL) -> Origin:
    example = "an origin, such as 'https://api.example.com'"
    try:
        url = parsed_url(given) if isinstance(given, str) else given
        origin = origin_of(url)
    except ValueError:
        raise ValueError(f"origins must be {example}, but one of them is not a URL") from None
    if origin[0] not in {"http", "https"} or host_error(url.raw_host) is not None:
        raise ValueError(f"origins must be {example}, not {without_user_info(url)!r}")
    if url.raw_user is not None or url.raw_password is not None:
        raise ValueError(f"origins must be {example}, without user info")
    if url.raw_path_qs != "/" or url.raw_fragment:
        raise ValueError(
            f"origins must be {example}, not {without_user_info(url)!r}: "
            "the token goes to the whole origin, whatever the path"
        )
    return origin
