"""The options of a request, and the checks of the options of requests and sessions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Any, Final, TypedDict, TypeVar

from yarl import URL

from .._common import (
    HttpVersion,
    HttpVersion10,
    HttpVersion11,
    check_class,
    check_count,
    check_flag,
    check_str,
    checked_size,
    foreign_version,
    is_left_out,
    is_number,
    parsed_url,
    shown_class,
    without_user_info,
)
from .._http1 import Limits, UploadTracker
from .._network import SSLOption, ssl_option
from .._targets import BasicAuth, checked_server_hostname, host_error, parse_error
from .._tasks import DEFAULT_TIMEOUT, ClientTimeout, foreign_timeout
from ..client_middlewares import ClientMiddlewareType, checked_middlewares
from ..client_reqrep import RequestSettings, steps_at_end
from ..formdata import payload_of
from ..payload import JsonBytesPayload, JsonPayload, Payload
from ..tracing import TraceConfig, foreign_trace_config
from ..typedefs import JSONBytesEncoder, JSONEncoder, LooseCookies, LooseHeaders, Query, StrOrURL
from ._deprecated_options import OldOptions
from ._hop import RaiseForStatus, Settings

__all__ = (
    "OPTIONS",
    "PLAIN_OPTIONS",
    "LoneRequestOptions",
    "ReadOptions",
    "RequestOptions",
    "WriteOptions",
    "checked_base_url",
    "checked_body_size",
    "checked_names",
    "checked_raise_for_status",
    "checked_timeout",
    "checked_trace_configs",
    "checked_version",
    "class_or_default",
    "make_payload",
    "overridden",
    "overridden_request",
)


T = TypeVar("T")

# -- options --------------------------------------------------------------------------


class _CommonOptions(OldOptions, total=False):
    params: Query
    json: Any
    cookies: LooseCookies | None
    headers: LooseHeaders | None
    skip_auto_headers: Iterable[str] | None
    auth: BasicAuth | None
    max_redirects: int
    compress: str | bool | None
    chunked: bool | None
    expect100: bool
    raise_for_status: RaiseForStatus | None
    read_until_eof: bool
    timeout: ClientTimeout | float | None
    proxy: StrOrURL | None
    proxy_auth: BasicAuth | None
    proxy_headers: LooseHeaders | None
    ssl: SSLOption | None
    server_hostname: str | None
    trace_request_ctx: object
    read_bufsize: int | None
    auto_decompress: bool | None
    max_line_size: int | None
    max_field_size: int | None
    max_headers: int | None
    max_body_size: int | None
    upload_tracker: UploadTracker | None
    middlewares: Sequence[ClientMiddlewareType] | None


class _DataOption(TypedDict, total=False):
    data: Any


class _RedirectOption(TypedDict, total=False):
    allow_redirects: bool


class _VersionOption(TypedDict, total=False):
    version: HttpVersion | None  # deprecated: of the session


class ReadOptions(_CommonOptions, _DataOption, _VersionOption, total=False):
    """Options of the verbs that have ``allow_redirects`` as a parameter."""


class WriteOptions(_CommonOptions, _RedirectOption, _VersionOption, total=False):
    """Options of the verbs that have ``data`` as a parameter."""


class LoneRequestOptions(_CommonOptions, _DataOption, _RedirectOption, total=False):
    """Options of :func:`request`, which makes a session for itself."""


class RequestOptions(LoneRequestOptions, _VersionOption, total=False):
    """Options of one request.

    The body and the address:

    ``params``
        parameters to add to the query of the URL: a mapping, pairs, or a ``str`` that is a query
    ``data``
        the body: ``bytes``, a ``str``, a mapping or pairs for a form, a :class:`FormData`, a
        :class:`MultipartWriter`, an open file, an async iterable of ``bytes``, or a
        :class:`Payload`
    ``json``
        an object to send as JSON; ``data`` cannot be given beside it
    ``headers``
        headers to send; they override those of the session with the same names
    ``skip_auto_headers``
        names of headers not to add automatically, beside those of the session
    ``cookies``
        cookies to send; they override those of the jar with the same names
    ``auth``
        credentials; they override those of the session
    ``compress``
        compress the body: ``True`` or ``"deflate"``, or ``"gzip"``; off by default
    ``chunked``
        ``True`` sends the body in chunks also if its size is known
    ``expect100``
        wait up to 5 seconds for the server's consent, the status 100, before sending the body;
        off by default
    ``upload_tracker``
        an :class:`UploadTracker` that tells how much of the body has been sent

    What happens with the response:

    ``allow_redirects``
        follow redirects: ``True`` by default, but ``False`` for ``head()``
    ``max_redirects``
        the redirect with this number raises :exc:`TooManyRedirects`: 10 by default, 0 for no
        limit
    ``raise_for_status``
        as for the session; ``None``, the default, means what the session says
    ``read_until_eof``
        read a body without a known length until the connection ends; ``True`` by default.  With
        ``False`` it is empty
    ``auto_decompress``, ``read_bufsize``, ``max_body_size``
        override those of the session
    ``max_line_size``, ``max_field_size``, ``max_headers``
        override those of the session

    The way there:

    ``timeout``
        time limits: a :class:`ClientTimeout`, a number of seconds for its ``total``, or ``None``
        for no limits.  The session's by default; no field of it is mixed with the session's
    ``proxy``, ``proxy_auth``, ``proxy_headers``
        the proxy, credentials for it and headers for it.  The session's by default
    ``ssl``
        ``True``, the default, means what the connector says; ``False`` does not verify
        certificates; an :class:`ssl.SSLContext` or a :class:`Fingerprint`
    ``server_hostname``
        the name that the certificate must have; the host of the URL by default
    ``middlewares``
        middlewares in place of those of the session; ``()`` for none
    ``trace_request_ctx``
        any object; the trace handlers of this request get it
    ``version``
        deprecated; give it to the session
    """


OPTIONS: Final = RequestOptions.__optional_keys__
# Options that need no translation by fold_options(): they have no deprecated form.
PLAIN_OPTIONS: Final = OPTIONS - OldOptions.__optional_keys__ - {"chunked", "version"}


# -- options over the session's defaults --------------------------------------------------


def overridden(
    own: Settings,
    *,
    max_redirects: int = 10,
    raise_for_status: RaiseForStatus | None = None,
    read_until_eof: bool = True,
    timeout: ClientTimeout | float | EllipsisType | None = ...,
    read_bufsize: int | None = None,
    auto_decompress: bool | None = None,
    max_line_size: int | None = None,
    max_field_size: int | None = None,
    max_headers: int | None = None,
    max_body_size: int | None = None,
    middlewares: Sequence[ClientMiddlewareType] | None = None,
    **settings: Any,
) -> Settings:
    """Return the session's settings, overridden by the options of one request."""
    check_count("max_redirects", max_redirects)
    check_flag("read_until_eof", read_until_eof)
    check_flag("auto_decompress", auto_decompress, optional=True)
    return Settings(
        request=overridden_request(own.request, **settings) if settings else own.request,
        max_redirects=max_redirects,
        raise_for_status=(
            own.raise_for_status
            if raise_for_status is None
            else checked_raise_for_status(raise_for_status)
        ),
        read_until_eof=read_until_eof,
        trust_env=own.trust_env,
        timeout=own.timeout if timeout is ... else checked_timeout(timeout, own.timeout),
        read_bufsize=_given_size("read_bufsize", read_bufsize, own.read_bufsize),
        auto_decompress=own.auto_decompress if auto_decompress is None else auto_decompress,
        limits=_overridden_limits(own.limits, max_line_size, max_field_size, max_headers),
        max_body_size=(
            own.max_body_size if max_body_size is None else checked_body_size(max_body_size)
        ),
        middlewares=(
            own.middlewares
            if middlewares is None
            else (*checked_middlewares(middlewares), *steps_at_end(own.middlewares))
        ),
    )


def overridden_request(
    own: RequestSettings,
    *,
    skip_auto_headers: Iterable[str] | None = None,
    version: HttpVersion | None = None,
    ssl: SSLOption | None = True,
    server_hostname: str | None = None,
    compress: str | bool | None = None,
    chunked: bool | None = None,
    expect100: bool = False,
) -> RequestSettings:
    """Return the session's request settings, overridden by the options of one request."""
    check_flag("expect100", expect100)
    skip = own.skip_auto_headers
    if skip_auto_headers is not None:
        skip |= {name.lower() for name in checked_names(skip_auto_headers)}
    return replace(
        own,
        skip_auto_headers=skip,
        version=own.version if version is None else checked_version(version),
        ssl=ssl_option(ssl),
        server_hostname=(
            None if server_hostname is None else checked_server_hostname(server_hostname)
        ),
        compress=checked_compress(compress),
        chunked=True if chunked else None,
        expect100=expect100,
    )


def _overridden_limits(
    own: Limits, max_line_size: int | None, max_field_size: int | None, max_headers: int | None
) -> Limits:
    if max_line_size is max_field_size is max_headers is None:
        return own
    return Limits(
        _given_size("max_line_size", max_line_size, own.max_line_size),
        _given_size("max_field_size", max_field_size, own.max_field_size),
        _given_size("max_headers", max_headers, own.max_headers),
    )


def _given_size(name: str, value: int | None, default: int) -> int:
    """Return *value*, checked, or *default* if none is given."""
    return default if value is None else checked_size(name, value)


def make_payload(
    data: Any, json: Any, dumps: JSONEncoder, dumps_bytes: JSONBytesEncoder | None
) -> Payload | None:
    """Return the body that the options *data* and *json* ask for.

    :raises ValueError: both are given, or a text cannot be encoded
    :raises TypeError: *data* is of a type that cannot be sent
    """
    if json is not None and data is not None:
        raise ValueError("data and json cannot be given together")
    try:
        return _json_payload(json, dumps, dumps_bytes) if data is None else _data_payload(data)
    except UnicodeEncodeError as exc:
        # Python's own error would hold the whole text.
        name = "json" if data is None else "data"
        text = f"{name}: the text at {exc.start} cannot be encoded as {exc.encoding}"
        raise ValueError(text) from None


def _json_payload(
    json: Any, dumps: JSONEncoder, dumps_bytes: JSONBytesEncoder | None
) -> Payload | None:
    if json is None:
        return None
    return (
        JsonPayload(json, dumps=dumps)
        if dumps_bytes is None
        else JsonBytesPayload(json, dumps_bytes)
    )


def _data_payload(data: Any) -> Payload:
    try:
        return payload_of(data)
    except TypeError as exc:
        raise TypeError(f"data: {exc}") from exc


# -- checks ----------------------------------------------------------------------------


def checked_names(names: Iterable[str]) -> Iterable[str]:
    """Return the names that ``skip_auto_headers`` holds."""
    if isinstance(names, str) or not isinstance(names, Iterable):
        raise TypeError(
            f"skip_auto_headers must be an iterable of header names, not {type(names).__name__}"
        )
    names = tuple(names)
    for name in names:
        check_str("skip_auto_headers: a name", name)
    return names


def checked_version(version: HttpVersion) -> HttpVersion:
    """Return *version* if it is 1.0 or 1.1."""
    if not isinstance(version, HttpVersion):
        converted = foreign_version(version)
        if converted is None:
            name = shown_class(type(version))
            raise TypeError(f"version must be an anyhttp.HttpVersion, not {name}")
        version = converted
    if version not in {HttpVersion10, HttpVersion11}:
        raise ValueError(f"version must be 1.0 or 1.1, not {version.major}.{version.minor}")
    return version


def checked_base_url(base_url: StrOrURL | None) -> URL | None:
    """Return the URL that relative ones extend."""
    if base_url is None:
        return None
    if not isinstance(base_url, (str, URL)):
        raise TypeError(f"base_url must be a str or a yarl.URL, not {type(base_url).__name__}")
    try:
        url = parsed_url(base_url) if isinstance(base_url, str) else base_url
    except ValueError as exc:
        raise ValueError(f"base_url: {parse_error(exc)}") from None
    if not (url.scheme and url.absolute):
        raise ValueError(
            f"base_url must be an absolute URL, such as http://host/, "
            f"got {without_user_info(str(base_url))!r}"
        )
    if (reason := host_error(url.raw_host)) is not None:
        raise ValueError(f"base_url: {reason}")
    if not url.raw_path.endswith("/"):
        raise ValueError("base_url must have a path that ends in '/'")
    # RFC 3986 §5.1: a base URL has no fragment.
    return url.with_fragment(None)


def checked_raise_for_status(value: RaiseForStatus) -> RaiseForStatus:
    """Return *value* if it is a bool or a callable."""
    if not (isinstance(value, bool) or callable(value)):
        raise TypeError(
            f"raise_for_status must be a bool or an async callable, not {shown_class(type(value))}"
        )
    return value


def checked_trace_configs(configs: Iterable[TraceConfig] | None) -> list[TraceConfig]:
    """Return *configs* as a list, all of them frozen."""
    checked = _listed(configs)
    for index, config in enumerate(checked):
        if not isinstance(config, TraceConfig):
            checked[index] = _converted(config)
        config.freeze()
    return checked


def _converted(config: object) -> TraceConfig:
    converted = foreign_trace_config(config)
    if converted is None:
        name = shown_class(type(config))
        raise TypeError(
            f"trace_configs must hold anyhttp.TraceConfig objects, not {name}: make one with "
            "config = anyhttp.TraceConfig(), and add handlers by config.on_request_start.append()"
        )
    return converted


def _listed(configs: Iterable[TraceConfig] | None) -> list[TraceConfig]:
    if configs is None:
        return []
    if not isinstance(configs, Iterable):
        name = shown_class(type(configs))
        raise TypeError(f"trace_configs must be an iterable of anyhttp.TraceConfig, not {name}")
    return list(configs)


def class_or_default(name: str, given: type[T] | None, default: type[T]) -> type[T]:
    """Return the class *given*, or *default* for ``None``.

    :raises TypeError: *given* is not derived from *default*
    """
    if given is None or given is default:
        return default
    check_class(name, given, default)
    return given


def checked_body_size(value: int | None) -> int | None:
    """Return *value* if it is a number of bytes or ``None``."""
    return None if value is None else checked_size("max_body_size", value)


def checked_timeout(
    timeout: ClientTimeout | float | None, default: ClientTimeout = DEFAULT_TIMEOUT
) -> ClientTimeout:
    """Return time limits; a number stands for ``total``, ``None`` for no limits.

    :param default: what is returned for an argument that has been left out
    """
    if timeout is None:
        return ClientTimeout()
    if isinstance(timeout, ClientTimeout):
        return timeout
    if is_number(timeout):
        return ClientTimeout(total=timeout)
    if is_left_out(timeout):
        return default
    if (limits := foreign_timeout(timeout)) is not None:
        return limits
    raise TypeError(
        f"timeout must be an anyhttp.ClientTimeout, a number of seconds or None, "
        f"not {shown_class(type(timeout))}"
    )


def checked_compress(compress: str | bool | None) -> str | None:
    """Return the coding that *compress* stands for."""
    if compress is None or compress is False:
        return None
    if compress is True:
        return "deflate"
    if not isinstance(compress, str):
        raise TypeError(f"compress must be a str or a bool, not {shown_class(type(compress))}")
    if compress not in {"deflate", "gzip"}:
        raise ValueError(f'compress must be "deflate" or "gzip", not {compress!r}')
    return compress
