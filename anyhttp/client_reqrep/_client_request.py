"""The request as programs know it: made by hand, changed step by step, derived from."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from multidict import CIMultiDict
from yarl import URL

from .. import hdrs
from .._common import Hooks, HttpVersion, HttpVersion11, check_instance, without_zone
from .._headers import checked_method, header_pairs
from .._network import SSLOption, ssl_option
from .._targets import BasicAuth, Destination, checked_auth, proxy_options, with_params
from ..client_exceptions import InvalidURL
from ..cookiejar import DummyCookieJar, cookie_header
from ..formdata import payload_of
from ..typedefs import LooseCookies, LooseHeaders, Query, StrOrURL
from ._hooks import REQUEST_REFUSED, REQUEST_UNUSED
from ._request import BaseRequest
from ._response import ClientResponse
from ._settings import GivenParts, RequestSettings
from ._unopened import UnopenedConnection

__all__ = ("REQUEST_HOOKS", "ClientRequest")


class ClientRequest(BaseRequest):
    """One request to one server; each redirect makes another one.

    Sessions make requests, and pass them to middlewares.  A middleware may change ``method``,
    ``url``, ``version``, ``ssl``, ``server_hostname``, ``compress``, ``chunked``, ``expect100``
    and the attributes below: the values at the time of sending are used.  It changes the body
    with :meth:`update_body`.  ``session`` is the session, ``original_url`` the URL with its
    fragment, and ``body`` a :class:`Payload`, or ``b""``.

    A request can also be made by hand:

    :param params: parameters to add to the query of *url*
    :param skip_auto_headers: names of headers that are not added automatically
    :param cookies: cookies, or the value of the ``Cookie`` header
    :param compress: content coding of the body; ``True`` for deflate
    :param keep_alive: whether the connection is kept for later requests; on by default
    :param loop: no effect; accepted for compatibility with aiohttp
    :param timer: the same
    :param traces: the same
    :param trust_env: the same
    :raises InvalidURL: *url* has no host, or *proxy* is not the URL of a proxy
    :raises ValueError: an argument has a value that cannot be sent, or contradicts another
    :raises TypeError: an argument has the wrong type
    """

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls._is_derived = True
        REQUEST_HOOKS.check_subclass(cls)

    def __init__(
        self,
        method: str,
        url: URL,
        headers: LooseHeaders | None = None,
        skip_auto_headers: Iterable[str] | None = None,
        data: object = None,
        cookies: LooseCookies | str | None = None,
        auth: BasicAuth | None = None,
        version: HttpVersion = HttpVersion11,
        compress: str | bool | None = None,
        chunked: bool | None = None,
        expect100: bool = False,
        keep_alive: bool = True,
        ssl: SSLOption | None = True,
        server_hostname: str | None = None,
        session: Any = None,  # a ClientSession, which stands above this module
        response_class: type[ClientResponse] | None = None,
        *,
        params: Query = None,
        proxy: StrOrURL | None = None,
        proxy_auth: BasicAuth | None = None,
        proxy_headers: LooseHeaders | None = None,
        loop: object = None,
        timer: object = None,
        traces: object = None,
        trust_env: bool = False,
    ) -> None:
        settings = RequestSettings(
            skip_auto_headers=frozenset(map(str.lower, skip_auto_headers or ())),
            version=version,
            compress="deflate" if compress is True else compress or None,
            chunked=chunked,
            expect100=expect100,
            keep_alive=keep_alive,
            ssl=True if ssl is None else ssl,
            server_hostname=server_hostname,
            response_class=ClientResponse if response_class is None else response_class,
        )
        check_instance("url", url, URL)
        if not url.raw_host:
            raise InvalidURL(url, "the URL has no host")
        destination = Destination(with_params(url, params) if params else url)
        payload = None if data is None else payload_of(data)
        credentials = checked_auth(auth) or BasicAuth.from_url(url)
        parts = GivenParts(
            checked_method(method), destination, payload, credentials, session, settings
        )
        given = CIMultiDict(header_pairs("headers", headers))
        if cookies is not None and not isinstance(cookies, str):
            cookies = _with_cookies(url, given.popall(hdrs.COOKIE, []), cookies)
        self._assemble(parts, given, cookies)
        if type(self).is_ssl is not BaseRequest.is_ssl:
            self._destination = self._present_destination()
        if proxy is not None:
            fields = CIMultiDict(header_pairs("proxy_headers", proxy_headers))
            self.use_proxy(proxy_options(proxy, proxy_auth, fields or None))

    @property
    def _ssl(self) -> SSLOption:
        return self.ssl

    @_ssl.setter
    def _ssl(self, value: SSLOption) -> None:
        self.ssl: SSLOption = ssl_option(value)  # in aiohttp, the public name cannot be set

    # -- for programs that wrap it

    async def send(self, conn: object) -> ClientResponse:
        """Send the request, and return the response when its head has been received.

        Sessions call it only if a program has put another method in its place when they are made,
        as New Relic's agent does.

        :param conn: what the method that is in its place was given
        :raises TypeError: it is something else
        """
        if not isinstance(conn, UnopenedConnection):
            raise TypeError("only a session sends a request: call its request()")
        return await conn.handler(self)

    # -- for programs that take the steps of aiohttp's constructor by hand

    def update_headers(self, headers: LooseHeaders | None) -> None:
        """Replace all headers by *headers*, and ``Host``, unless it is among them.

        aresponses calls it; a middleware changes :attr:`headers`.
        """
        host = self.url.host_port_subcomponent or ""
        self.headers = CIMultiDict({hdrs.HOST: without_zone(host)})
        for name, value in header_pairs("headers", headers):
            if name.lower() == "host":
                self.headers[name] = value
            else:
                self.headers.add(name, value)

    def update_cookies(self, cookies: LooseCookies | None) -> None:
        """Add *cookies* to those in the ``Cookie`` header, in the place of those of their names."""
        if cookies:
            present = self.headers.popall(hdrs.COOKIE, [])
            text = _with_cookies(self.url, present, cookies)
            if text:
                self.headers[hdrs.COOKIE] = text

    def update_auth(self, auth: BasicAuth | None, trust_env: bool = False) -> None:
        """Set the ``Authorization`` header; ``None`` changes nothing."""
        checked = checked_auth(auth)
        if checked is not None:
            self.headers[hdrs.AUTHORIZATION] = checked.encode()

    def update_body_from_data(self, body: object) -> None:
        """Do what :meth:`update_body` does, but do not close the present body."""
        self._replace_body(self.payload, None if body is None else payload_of(body))


def _with_cookies(url: URL, present: list[str], cookies: LooseCookies) -> str | None:
    """Return the ``Cookie`` header that has the fields *present*, and *cookies*."""
    return cookie_header(DummyCookieJar(), url, "; ".join(present) or None, cookies)


REQUEST_HOOKS: Final = Hooks(
    ClientRequest, REQUEST_REFUSED, REQUEST_UNUSED, wrapped=frozenset({"send"})
)
