"""Private attributes of aiohttp's sessions that packages read or set.

``docs/compatibility.md`` names the packages.  A request looks at none of them: setting one changes
what a session uses in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from inspect import Parameter, Signature
from typing import Any, Final

from multidict import CIMultiDict
from yarl import URL

from .._common import EventLoop, check_flag, check_instance, computed
from .._headers import header_pairs
from .._targets import BasicAuth, ProxyOptions, checked_auth, proxy_options
from .._tasks import ClientTimeout
from ..abc import AbstractCookieJar
from ..client_middlewares import ClientMiddlewareType, checked_middlewares
from ..client_reqrep import (
    REQUEST_HOOKS,
    ClientRequest,
    ClientResponse,
    sending_steps,
    steps_at_end,
)
from ..connector import (
    BaseConnector,
    check_hooks,
    check_uses_proxies,
    default_proxy,
    loop_of,
)
from ..cookiejar import checked_jar
from ..typedefs import LooseHeaders, StrOrURL
from ._hop import RaiseForStatus, Settings
from ._options import (
    OPTIONS,
    checked_raise_for_status,
    checked_timeout,
    class_or_default,
)
from ._session_headers import SessionHeaders
from ._session_scope import SessionScope
from ._session_settings import proxy_for

__all__ = ("REQUEST_SIGNATURE", "PackageNames")


class PackageNames:
    """Base of :class:`ClientSession`."""

    _base_url: URL | None
    _headers: SessionHeaders
    _proxy: ProxyOptions | None
    _scope: SessionScope
    _settings: Settings

    #: aiohttp stores where a session was made in debug mode; here a ``ResourceWarning`` says it
    _source_traceback: None = None

    # -- methods

    def _build_url(self, str_or_url: StrOrURL) -> URL:
        """Return the URL that a request for *str_or_url* goes to."""
        url = URL(str_or_url)
        return url if self._base_url is None or url.absolute else self._base_url.join(url)

    def _prepare_headers(self, headers: LooseHeaders | None) -> CIMultiDict[str]:
        """Return the session's headers, overridden by *headers*."""
        return self._headers.merged(headers)

    def _change(self, **settings: Any) -> None:
        self._settings = replace(self._settings, **settings)

    # -- what it uses

    @computed
    def _loop(self) -> EventLoop | None:
        """Asyncio's event loop that the session is used in; ``None`` on trio.

        It is that of its block, or of its connections.  A session without either can be used in
        any loop, so that the running one is its own.
        """
        watchdog, connector = self._scope.watchdog, self._scope.connector
        if watchdog is not None and watchdog.asyncio_loop is not None:
            return watchdog.asyncio_loop
        return None if connector is None else loop_of(connector)

    @property
    def _connector(self) -> BaseConnector | None:
        return self._scope.connector

    @_connector.setter
    def _connector(self, connector: BaseConnector | None) -> None:
        # Monitoring tools put an object that wraps the connector in its place.
        check_instance("connector", connector, BaseConnector)
        if connector is not None:
            check_hooks(connector)
        present = self._scope.connector
        if self._proxy is (None if present is None else default_proxy(present)):
            self._proxy = None if connector is None else default_proxy(connector)
        elif connector is not None:
            check_uses_proxies(connector)
        self._scope.replace_connector(connector)

    @computed
    def _connector_owner(self) -> bool:
        """Whether the connector is closed with the session."""
        return self._scope.connector_owner

    @property
    def _cookie_jar(self) -> AbstractCookieJar:
        return self._scope.cookie_jar

    @_cookie_jar.setter
    def _cookie_jar(self, jar: AbstractCookieJar) -> None:
        self._scope.cookie_jar = checked_jar(jar)

    @property
    def _default_headers(self) -> CIMultiDict[str]:
        return self._headers.headers

    @_default_headers.setter
    def _default_headers(self, headers: LooseHeaders) -> None:
        self._headers.headers = CIMultiDict(header_pairs("headers", headers))

    @property
    def _default_auth(self) -> BasicAuth | None:
        return self._scope.defaults.auth

    @_default_auth.setter
    def _default_auth(self, auth: BasicAuth | None) -> None:
        self._scope.defaults.auth = checked_auth(auth)

    @property
    def _default_proxy(self) -> URL | None:
        return None if self._proxy is None else self._proxy.url

    @_default_proxy.setter
    def _default_proxy(self, proxy: StrOrURL | None) -> None:
        own, connector = self._proxy, self._scope.connector
        self._proxy = None if proxy is None else proxy_for(connector, proxy, None, None, own)

    @property
    def _default_proxy_auth(self) -> BasicAuth | None:
        return None if self._proxy is None else self._proxy.auth

    @_default_proxy_auth.setter
    def _default_proxy_auth(self, auth: BasicAuth | None) -> None:
        own = self._proxy or ProxyOptions(None)
        self._proxy = proxy_options(own.url, auth, own.headers)

    # -- how its requests are made, and their responses treated

    @property
    def _request_class(self) -> type[ClientRequest]:
        return self._scope.defaults.request_class

    @_request_class.setter
    def _request_class(self, value: type[ClientRequest]) -> None:
        checked = class_or_default("request_class", value, ClientRequest)
        REQUEST_HOOKS.check_patches(checked)
        middlewares = self._middlewares
        self._scope.defaults.request_class = checked
        self._change(middlewares=(*middlewares, *sending_steps(checked)))

    @property
    def _response_class(self) -> type[ClientResponse]:
        return self._settings.request.response_class

    @_response_class.setter
    def _response_class(self, value: type[ClientResponse]) -> None:
        checked = class_or_default("response_class", value, ClientResponse)
        self._change(request=replace(self._settings.request, response_class=checked))

    @property
    def _timeout(self) -> ClientTimeout:
        return self._settings.timeout

    @_timeout.setter
    def _timeout(self, timeout: ClientTimeout) -> None:
        self._change(timeout=checked_timeout(timeout))

    @property
    def _raise_for_status(self) -> RaiseForStatus:
        return self._settings.raise_for_status

    @_raise_for_status.setter
    def _raise_for_status(self, value: RaiseForStatus) -> None:
        self._change(raise_for_status=checked_raise_for_status(value))

    @property
    def _trust_env(self) -> bool:
        return self._settings.trust_env

    @_trust_env.setter
    def _trust_env(self, value: bool) -> None:
        check_flag("trust_env", value)
        self._change(trust_env=value)

    @property
    def _middlewares(self) -> Sequence[ClientMiddlewareType]:
        middlewares = self._settings.middlewares
        return middlewares[: len(middlewares) - len(steps_at_end(middlewares))]

    @_middlewares.setter
    def _middlewares(self, middlewares: Sequence[ClientMiddlewareType]) -> None:
        steps = steps_at_end(self._settings.middlewares)
        self._change(middlewares=(*checked_middlewares(middlewares), *steps))

    @property
    def _retry_connection(self) -> bool:
        return self._scope.defaults.retry_connections

    @_retry_connection.setter
    def _retry_connection(self, value: bool) -> None:
        check_flag("retry_connections", value)
        self._scope.defaults.retry_connections = value


# What the options of a request are when they are left out; the others are None.
_DEFAULTS: Final[dict[str, object]] = {
    "allow_redirects": True,
    "expect100": False,
    "max_redirects": 10,
    "read_until_eof": True,
    "ssl": True,
    "timeout": ...,
}


def _request_signature() -> Signature:
    by_position = [
        Parameter(name, Parameter.POSITIONAL_OR_KEYWORD)
        for name in ("self", "method", "str_or_url")
    ]
    options = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=_DEFAULTS.get(name))
        for name in sorted(OPTIONS - {"encoding", "files", "version"})  # which are deprecated
    ]
    return Signature([*by_position, *options], return_annotation=ClientResponse)


#: That of ``ClientSession._request()``, by which libraries know what options there are.
REQUEST_SIGNATURE: Final = _request_signature()
