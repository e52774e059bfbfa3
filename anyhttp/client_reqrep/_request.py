"""One request, as it is sent: method, target, header fields, and the framing of its body."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from anyio.lowlevel import checkpoint
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from .. import hdrs
from .._common import (
    ConnectionKey,
    Fields,
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    RequestInfo,
    make_connection_key,
    without_user_info,
    without_zone,
)
from .._headers import (
    HeaderBlock,
    blocks_for_origin,
    blocks_for_proxy,
    checked_method,
    header_pairs,
)
from .._http1 import NO_BODY, Framing, framing_fields, framing_of_request
from .._network import SSLOption, ssl_option
from .._targets import (
    HTTP_PROXIES,
    BasicAuth,
    Destination,
    OriginCredentials,
    ProxyOptions,
    checked_proxy,
    checked_server_hostname,
    checked_url,
    origin_of,
)
from .._websocket import new_key
from ..client_exceptions import ClientPayloadError, InvalidUrlClientError
from ..formdata import payload_of
from ..payload import Payload
from ..typedefs import StrOrURL
from ._prepared import DEFAULT_HEADERS
from ._response import ClientResponse
from ._settings import DEFAULT_SETTINGS, RequestParts, RequestSettings

__all__ = ("BaseRequest",)

_TLS_SCHEMES: Final = frozenset({"https", "wss"})


_NO_HEADERS: Final[CIMultiDict[str]] = CIMultiDict()


class BaseRequest:
    """What a :class:`ClientRequest` is, however it has been made: by a session or by hand."""

    GET_METHODS: ClassVar[frozenset[str]] = frozenset({"GET", "HEAD", "OPTIONS", "TRACE"})
    POST_METHODS: ClassVar[frozenset[str]] = frozenset({"PATCH", "POST", "PUT"})
    ALL_METHODS: ClassVar[frozenset[str]] = GET_METHODS | POST_METHODS | {"DELETE"}
    DEFAULT_HEADERS: ClassVar[dict[str, str]] = DEFAULT_HEADERS

    # Defaults.  An instance attribute is set only where the value differs, as few requests do:
    # Python finds the default fast as long as no object has an attribute of that name.
    skip_auto_headers: frozenset[str] = DEFAULT_SETTINGS.skip_auto_headers
    compress: str | None = DEFAULT_SETTINGS.compress
    chunked: bool | None = DEFAULT_SETTINGS.chunked
    expect100: bool = DEFAULT_SETTINGS.expect100
    keep_alive: bool = DEFAULT_SETTINGS.keep_alive
    ssl: SSLOption = DEFAULT_SETTINGS.ssl
    server_hostname: str | None = DEFAULT_SETTINGS.server_hostname
    response_class: type[ClientResponse] = DEFAULT_SETTINGS.response_class
    #: credentials for the proxy, which are sent to no origin
    proxy_auth: BasicAuth | None = None
    #: headers for the proxy; no origin behind a tunnel sees them
    proxy_headers: CIMultiDict[str] | None = None
    #: whether it asks for a WebSocket
    is_handshake: bool = False
    #: whether it is sent by HTTP/1.1, also where HTTP/2 is spoken otherwise: the server wants that
    needs_http1: bool = False
    #: whether this handshake may open a connection by HTTP/2, to learn what the server takes there
    may_open_http2: bool = False
    #: how many times a server has refused it by HTTP/2 so far, with nothing done for it
    refusals: int = 0
    #: whether its class is derived from ours, so that its constructor may have changed it
    _is_derived: ClassVar[bool] = False
    #: that of the URL with which the request was made or, after a change, settled
    _destination: Destination
    #: the headers, as long as there is no dictionary of them
    _block: HeaderBlock
    #: to undo :meth:`_frame`: the header fields that it added, and the previous values of
    #: ``chunked``, ``compress`` and ``expect100``
    _before_framing: tuple[Fields, tuple[bool | None, str | None, bool]]
    #: the method and the body that the prepared headers describe
    _described: tuple[str, Payload | None] = "", None
    _default_content_type: ClassVar[str] = "application/octet-stream"
    _typed_by_itself = False  # whether the default Content-Type was added
    _settled_url: URL | None = None  # the changed URL for which the Host header was made last
    #: the call that the request belongs to, while it goes through middlewares: a RunningCall,
    #: which refers to this class
    _call: Any = None

    def _assemble(
        self, parts: RequestParts, headers: CIMultiDict[str], cookies: str | None
    ) -> None:
        destination, prepared = parts.destination, parts.prepared
        self.method: str = parts.method
        self.original_url: URL = destination.original_url
        self.url: URL = destination.url
        self._destination = destination
        self.session: Any = parts.session
        # Not a default, as Python does not find one fast whose own class is not built in.
        self.version: HttpVersion = parts.settings.version
        # A dictionary of the headers is made only when a program reads the ``headers`` attribute.
        self._headers: CIMultiDict[str] | None = None
        self._proxy: URL | None = None
        self.body: Payload | bytes = b""
        #: how the body is sent; determined anew whenever the body is set and before sending
        self.framing: Framing = NO_BODY
        if parts.settings is not DEFAULT_SETTINGS and self._choose(parts.settings):
            prepared = None
        if prepared is not None:
            more = self._body_fields(parts.body)
            if more is not None:
                if parts.auth is not None:
                    more = ((hdrs.AUTHORIZATION, parts.auth.encode()), *more)
                if cookies:
                    more = ((hdrs.COOKIE, cookies), *more)
                self._block = prepared.block(destination, parts.own_headers, more)
                return
        self._headers = self._headers_but_for_body(headers, cookies, parts.auth)
        self._set_body(parts.body)

    def _body_fields(self, payload: Payload | None) -> Fields | None:
        """Take *payload* as the body, and return the fields that describe it.

        If they may have to replace others, return ``None`` and take nothing.
        """
        if payload is None and self.method in self.GET_METHODS:
            return ()
        given: Fields = ()
        if payload is not None:
            given = tuple(payload.headers.items())
            # There may be nothing but a media type: the prepared fields and those that are sent
            # beside them hold none.
            if payload.consumed or self.skip_auto_headers or len(given) > 1:
                return None
            if given and given[0][0].lower() != "content-type":
                return None
            self.body = payload
        framing = framing_of_request(
            payload, _NO_HEADERS, version=self.version,
            anticipates_content=self.method not in self.GET_METHODS,
        )  # fmt: skip
        fields = framing_fields(framing, _NO_HEADERS)
        self._before_framing = fields, (None, None, False)
        self._described = self.method, payload
        if framing.chunked:
            self.chunked = True
        self.framing = framing
        if self.method in self.POST_METHODS and not (given or self._skips(hdrs.CONTENT_TYPE)):
            self._typed_by_itself = True
            return (*fields, (hdrs.CONTENT_TYPE, self._default_content_type))
        return (*given, *fields)

    def _choose(self, settings: RequestSettings) -> bool:
        """Copy *settings* to the attributes; return whether they affect how a body is sent."""
        for name in RequestSettings.__slots__:
            value = getattr(settings, name)
            if value is not getattr(DEFAULT_SETTINGS, name):
                setattr(self, name, value)
        return bool(settings.chunked or settings.compress is not None or settings.expect100)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.method} {self.shown_url}>"

    # -- the server

    def is_ssl(self) -> bool:
        """Whether the request is sent over TLS."""
        return self.url.scheme in _TLS_SCHEMES

    @property
    def host(self) -> str:
        """Host of the URL, IDNA encoded."""
        return self.url.raw_host or ""

    @property
    def port(self) -> int | None:
        """Port of the URL."""
        return self.url.port

    @property
    def shown_url(self) -> str:
        """The URL for messages, without user info."""
        return without_user_info(self.url)

    @property
    def connection_key(self) -> ConnectionKey:
        """What a connection must have in common with this request to be used for it."""
        destination = self._destination
        if destination.url is not self.url:
            destination = self._present_destination()
        proxied = self._proxy is not None
        if not proxied and self.ssl is True and self.server_hostname is None:
            return destination.key
        return make_connection_key(
            (
                *destination.key[:3],
                self.ssl,
                self._proxy,
                self.proxy_auth if proxied else None,
                self._proxy_headers_hash() if proxied else None,
                self.server_hostname,
            )
        )

    def _present_destination(self) -> Destination:
        """Return the destination of the present URL, which a program has changed."""
        # A subclass, or a mocking library that replaces the method, may say something else of TLS.
        own_answer = None if type(self).is_ssl is BaseRequest.is_ssl else self.is_ssl()
        return Destination(self.url, own_answer)

    # -- the proxy

    @property
    def proxy(self) -> URL | None:
        """URL of the proxy, without credentials; ``None`` for no proxy.

        Setting a URL with credentials also sets ``proxy_auth``, if that is ``None``.

        :raises InvalidURL: the URL that is set is not that of a proxy
        """
        return self._proxy

    @proxy.setter
    def proxy(self, proxy: StrOrURL | None) -> None:
        if proxy is None:
            self._proxy = None
            return
        self._proxy, auth = checked_proxy(proxy)
        if self.proxy_auth is None:
            self.proxy_auth = auth

    def use_proxy(self, options: ProxyOptions) -> None:
        """Set the proxy to *options*, which have been checked already."""
        self._proxy = options.url
        self.proxy_auth = options.auth
        self.proxy_headers = options.headers

    @property
    def is_forwarded(self) -> bool:
        """Whether an HTTP proxy forwards the request, instead of opening a tunnel for it.

        For a WebSocket there is a tunnel (:rfc:`6455#section-4.1`): few proxies pass an upgrade on.
        """
        proxy = self._proxy
        return (
            proxy is not None
            and proxy.scheme in HTTP_PROXIES
            and not self.is_handshake
            and not self.is_ssl()
        )

    def headers_for_proxy(self) -> CIMultiDict[str]:
        """Return the headers for the proxy, credentials included.

        :raises ValueError: a header contains a line break, which could split the request
        """
        headers = CIMultiDict(header_pairs("proxy_headers", self.proxy_headers))
        if self.proxy_auth is not None and hdrs.PROXY_AUTHORIZATION not in headers:
            headers[hdrs.PROXY_AUTHORIZATION] = self.proxy_auth.encode()
        return headers

    def _proxy_headers_hash(self) -> int | None:
        headers = self.proxy_headers
        if self.is_handshake and not self.is_ssl():
            # A tunnel without TLS: requests that the proxy forwards must not get its connection.
            return hash((hdrs.METH_CONNECT, *(headers or {}).items()))
        return hash(tuple(headers.items())) if headers else None

    @property
    def request_info(self) -> RequestInfo:
        """A summary of the request, for responses and exceptions."""
        return RequestInfo(self.url, self.method, CIMultiDictProxy(self.headers), self.original_url)

    # -- headers

    @property
    def headers(self) -> CIMultiDict[str]:
        """The headers; may be changed."""
        if self._headers is None:
            self._headers = CIMultiDict(self._block.fields)
        return self._headers

    @headers.setter
    def headers(self, headers: CIMultiDict[str]) -> None:
        self._headers = headers

    def _headers_but_for_body(
        self, given: CIMultiDict[str], cookies: str | None, auth: BasicAuth | None
    ) -> CIMultiDict[str]:
        """Return all headers except those that describe the body."""
        headers = self._start_headers(given)
        if cookies:
            headers[hdrs.COOKIE] = cookies
        if auth is not None:
            headers[hdrs.AUTHORIZATION] = auth.encode()
        return headers

    def _start_headers(self, given: CIMultiDict[str]) -> CIMultiDict[str]:
        """Return ``Host``, the given headers and the automatic ones, in this order."""
        hosts = given.getall(hdrs.HOST, None)
        headers = CIMultiDict({hdrs.HOST: hosts[-1] if hosts else self._destination.host})
        headers.extend((name, value) for name, value in given.items() if name.lower() != "host")
        for name, value in self.DEFAULT_HEADERS.items():
            if name not in headers and not self._skips(name):
                headers[name] = value
        return headers

    def _skips(self, name: str) -> bool:
        return bool(self.skip_auto_headers) and name.lower() in self.skip_auto_headers

    def _set_body(self, payload: Payload | None) -> None:
        """Take *payload* as the body and make the headers that describe it.

        :raises ValueError: the given headers contradict the options or the body
        :raises ClientPayloadError: the payload has been sent before, and cannot be sent again
        """
        headers = self.headers
        if payload is None:
            self.body = b""
        elif payload.consumed:
            raise ClientPayloadError("the body has been used up and cannot be sent again")
        else:
            self.body = payload
            for name, value in payload.headers.items():
                if name not in headers and not self._skips(name):
                    headers[name] = value
        self._frame(payload)
        if (
            self.method in self.POST_METHODS
            and hdrs.CONTENT_TYPE not in headers
            and not self._skips(hdrs.CONTENT_TYPE)
        ):
            headers[hdrs.CONTENT_TYPE] = self._default_content_type
            self._typed_by_itself = True

    def _frame(self, payload: Payload | None) -> None:
        """Determine how *payload* is sent, and set headers and attributes accordingly."""
        if self.framing is not NO_BODY:
            self._forget_framing()
        headers = self.headers
        if self._asks_for_no_body() and not (
            hdrs.CONTENT_LENGTH in headers
            or hdrs.TRANSFER_ENCODING in headers
            or hdrs.EXPECT in headers
        ):
            return  # what is determined below would be just this
        chunked, compress, expect100 = asked = self.chunked, self.compress, self.expect100
        anticipates_content = self.method not in self.GET_METHODS
        self.framing = framing = framing_of_request(
            payload, headers, chunked, compress, expect100, self.version, anticipates_content
        )
        fields = framing_fields(framing, headers)
        for name, value in fields:
            headers[name] = value
        self.compress, self.expect100 = framing.compress, framing.expect_continue
        if framing.chunked:
            self.chunked = True
            headers[hdrs.TRANSFER_ENCODING] = "chunked"  # normalize case and white space
        if payload is None and headers.get(hdrs.EXPECT, "").lower() == "100-continue":
            del headers[hdrs.EXPECT]
        self._before_framing = fields, asked

    def _forget_framing(self) -> None:
        """Undo the changes of :meth:`_frame`, except those that the program has overwritten."""
        headers, framing = self.headers, self.framing
        fields, (chunked, compress, expect100) = self._before_framing
        for name, value in fields:
            if headers.getall(name, None) == [value]:
                del headers[name]
        if bool(self.chunked) == framing.chunked:
            self.chunked = chunked
        if self.compress == framing.compress:
            self.compress = compress
        if self.expect100 == framing.expect_continue:
            self.expect100 = expect100
        self.framing = NO_BODY

    # -- changes

    async def update_body(self, body: object) -> None:
        """Replace the present body by *body*, and close the present one.

        The headers for the length and the encoding of the body are made anew.  A given
        ``Content-Type`` stays; for a body of another type, remove the header first.

        :param body: anything that the ``data`` option of a request accepts, or a
            :class:`Payload`, such as ``JsonPayload({...})``; ``None`` for no body
        :raises TypeError: *body* is of a type that cannot be sent
        :raises ValueError: the other headers contradict the new body
        :raises ClientPayloadError: the new body has been used up

        When one of these is raised, the request is as it was.  After cancellation the old body has
        been closed.
        """
        old = self.payload
        new = None if body is None else payload_of(body)
        fields = self.headers.copy()
        attributes = vars(self).copy()
        try:
            self._replace_body(old, new)
        except BaseException:
            vars(self).clear()
            vars(self).update(attributes)
            self.headers.clear()
            self.headers.extend(fields)
            raise
        if old is not None and old is not new and not old.autoclose:
            await old.close()
        else:
            await checkpoint()

    def _replace_body(self, old: Payload | None, new: Payload | None) -> None:
        headers = self.headers
        if self.framing is not NO_BODY:
            self._forget_framing()
        headers.popall(hdrs.CONTENT_LENGTH, None)
        if self._typed_by_itself:
            self._typed_by_itself = False
            if headers.get(hdrs.CONTENT_TYPE) == self._default_content_type:
                del headers[hdrs.CONTENT_TYPE]
        if old is not None and old is not new:
            for name, value in old.headers.items():
                if name.lower() != "content-type" and headers.get(name) == value:
                    del headers[name]
        self._set_body(new)

    def settle(self, schemes: frozenset[str]) -> None:
        """Check the attributes, which middlewares may have changed, and update the headers.

        :param schemes: URL schemes that the connector accepts
        :raises TypeError: an attribute is of a wrong type
        :raises ValueError: an attribute has a value that cannot be sent, or contradicts another
        :raises InvalidURL: the URL cannot be requested
        """
        if self.ssl is not True:
            self.ssl = ssl_option(self.ssl)
        if self.server_hostname is not None:
            checked_server_hostname(self.server_hostname)
        if self._is_as_prepared():
            return
        headers = self.headers
        self.method = checked_method(self.method)
        self._settle_url(checked_url(self.url, schemes))
        if self.compress not in {None, "deflate", "gzip"}:
            raise ValueError(f'compress must be "deflate" or "gzip", not {self.compress!r}')
        for name, value in headers.items():
            if not isinstance(value, str):
                raise TypeError(f"headers: {name} must be a str, not {type(value).__name__}")
        self._drop_foreign_credentials()
        body = self.body
        if body and not isinstance(body, Payload):
            # The attribute was set directly, so the headers do not describe this body yet.
            self._replace_body(None, payload_of(body))
        else:
            self._frame(self.payload)

    def _is_as_prepared(self) -> bool:
        """Whether what was prepared of the request is still true."""
        return (
            self._headers is None
            and self.url is self._destination.url
            and (self._asks_for_no_body() or self._has_prepared_body())
        )

    def _has_prepared_body(self) -> bool:
        """Whether the body is that of :attr:`_described`, of the same size, and in memory."""
        method, body = self._described
        return (
            self.method == method
            and self.payload is body
            # A program may have set bytes, or a text, in the place of a body that is not there.
            and not (body is None and self.body)
            and not (self.chunked or self.compress is not None or self.expect100)
            and (body is None or body.size == self.framing.content_length)
            and (body is None or body.in_memory() is not None)
        )

    def _asks_for_no_body(self) -> bool:
        return not (
            self.body
            or self.chunked
            or self.compress is not None
            or self.expect100
            or self.method not in self.GET_METHODS
        )

    def _settle_url(self, url: URL) -> None:
        """Update the ``Host`` header for *url*, unless the caller has set another host."""
        if url is self._destination.url and type(self).is_ssl is BaseRequest.is_ssl:
            # Nobody has changed it, so the destination holds what would be found out below.
            self.url = url  # instead of the same as a text
            if hdrs.HOST not in self.headers:
                self.headers[hdrs.HOST] = self._destination.host
            return
        url = url.with_fragment(None) if url.raw_fragment else url
        before = self._settled_url or self.original_url
        if self.headers.get(hdrs.HOST) in {None, without_zone(before.host_port_subcomponent or "")}:
            self.headers[hdrs.HOST] = without_zone(url.host_port_subcomponent or "")
        self.url = self._settled_url = url
        self._destination = self._present_destination()

    def _drop_foreign_credentials(self) -> None:
        """Remove the credentials that a middleware has added for another origin than this."""
        given = self.headers.get(hdrs.AUTHORIZATION)
        if isinstance(given, OriginCredentials) and origin_of(self.url) not in given.origins:
            del self.headers[hdrs.AUTHORIZATION]

    # -- for the engine

    @property
    def authority(self) -> str:
        """Host and port as the target of ``CONNECT`` has them (:rfc:`9112#section-3.2.3`)."""
        return f"{without_zone(self.url.host_subcomponent or '')}:{self.url.port}"

    def target(self) -> str:
        """Return the request target (:rfc:`9112#section-3.2`).

        :raises InvalidUrlClientError: the target contains spaces or control characters
        """
        if self.method == hdrs.METH_CONNECT:
            return self.authority
        destination = self._destination
        if destination.url is not self.url:
            destination = self._present_destination()
        if destination.complaint is not None:
            raise InvalidUrlClientError(self.url, destination.complaint)
        if self._proxy is not None and self.is_forwarded:
            return f"http://{destination.host}{destination.target}"
        return destination.target

    def header_block(self) -> HeaderBlock:
        """Return the header fields as they are sent.

        :raises ValueError: a field contains a line break, which could split the request
        """
        if (
            self._headers is None
            and self._proxy is None
            and self.keep_alive
            and self.version is HttpVersion11
        ):
            return self._block
        headers = self.headers
        if self.is_handshake:
            headers[hdrs.SEC_WEBSOCKET_KEY] = new_key()  # each attempt to send has its own
        if self._is_derived:
            # The constructor of a subclass may have changed attributes after the framing.
            self._frame(self.payload)
        if hdrs.CONNECTION not in headers:
            if self.http10:
                if self.keep_alive:
                    headers[hdrs.CONNECTION] = "keep-alive"
            elif not self.keep_alive:
                headers[hdrs.CONNECTION] = "close"
        if self._proxy is not None and self.is_forwarded:
            headers = headers.copy()
            headers.update(self.headers_for_proxy())
            return blocks_for_proxy[tuple(headers.items())]
        return blocks_for_origin[tuple(headers.items())]

    def fields(self) -> Fields:
        """Return the header fields to send.

        :raises ValueError: a field contains a line break, which could split the request
        """
        return self.header_block().fields

    @property
    def http10(self) -> bool:
        """Whether the request is sent as HTTP/1.0."""
        return self.version == HttpVersion10

    @property
    def payload(self) -> Payload | None:
        """The body, ``None`` if there is none."""
        body = self.body
        # bytes first, as isinstance() is slow for abstract classes
        return None if type(body) is bytes or not isinstance(body, Payload) else body

    @property
    def content_length(self) -> int | None:
        """The ``Content-Length`` of the request; ``None`` if it has none."""
        length = self.headers.get(hdrs.CONTENT_LENGTH)
        return None if length is None else int(length)
