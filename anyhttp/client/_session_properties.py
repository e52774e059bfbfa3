"""What a session tells of its settings."""

from __future__ import annotations

from http.cookies import SimpleCookie

from multidict import CIMultiDict, istr

from .._common import EventLoop, HttpVersion, check_flag, running_loop, warn_deprecated
from .._targets import BasicAuth
from .._tasks import ClientTimeout
from ..abc import AbstractCookieJar
from ..connector import BaseConnector
from ..tracing import TraceConfig
from ..typedefs import JSONEncoder
from ._deprecated_options import cookies_of
from ._hop import RaiseForStatus
from ._package_names import PackageNames

__all__ = ("SessionProperties",)


class SessionProperties(PackageNames):
    """Base of :class:`ClientSession`."""

    _json_serialize: JSONEncoder
    _skip_auto_headers: frozenset[istr]
    _trace_configs: list[TraceConfig]

    @property
    def closed(self) -> bool:
        """Whether the session or its connector has been closed, or the connector detached."""
        return self._scope.closed

    @property
    def connector(self) -> BaseConnector | None:
        """The connector; ``None`` once it has been detached."""
        return self._scope.connector

    @property
    def connector_owner(self) -> bool:
        """Whether the connector is closed with the session."""
        return self._scope.connector_owner

    @property
    def cookie_jar(self) -> AbstractCookieJar:
        """The cookies."""
        return self._scope.cookie_jar

    @property
    def version(self) -> HttpVersion:
        """Version of HTTP that requests are made with."""
        return self._settings.request.version

    @property
    def timeout(self) -> ClientTimeout:
        """Time limits of requests that set none."""
        return self._settings.timeout

    @property
    def headers(self) -> CIMultiDict[str]:
        """Headers sent with every request; may be changed."""
        return self._headers.headers

    @property
    def skip_auto_headers(self) -> frozenset[istr]:
        """Names of headers that are not added automatically."""
        return self._skip_auto_headers

    @property
    def auth(self) -> BasicAuth | None:
        """Credentials sent with every request."""
        return self._scope.defaults.auth

    @property
    def json_serialize(self) -> JSONEncoder:
        """The function that turns the ``json`` option into text."""
        return self._json_serialize

    @property
    def raise_for_status(self) -> RaiseForStatus:
        """Whether statuses from 400 on raise an exception."""
        return self._settings.raise_for_status

    @property
    def auto_decompress(self) -> bool:
        """Whether bodies are decoded."""
        return self._settings.auto_decompress

    @property
    def trust_env(self) -> bool:
        """Whether proxies of the environment and credentials of the netrc file are used."""
        return self._settings.trust_env

    @property
    def requote_redirect_url(self) -> bool:
        """Whether redirect targets are normalised; setting it is deprecated."""
        return self._scope.requote_redirect_url

    @requote_redirect_url.setter
    def requote_redirect_url(self, value: bool) -> None:
        warn_deprecated("give requote_redirect_url to ClientSession()")
        check_flag("requote_redirect_url", value)
        self._scope.requote_redirect_url = value

    @property
    def cookies(self) -> SimpleCookie:
        """Deprecated: the cookies of :attr:`cookie_jar` by name."""
        return cookies_of(self._scope.cookie_jar)

    @property
    def loop(self) -> EventLoop | None:
        """Deprecated: asyncio's running event loop, ``None`` on trio."""
        return running_loop()

    @property
    def trace_configs(self) -> list[TraceConfig]:
        """The trace configurations of the requests; may be changed."""
        return self._trace_configs
