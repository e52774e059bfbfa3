"""The settings that a session gives its requests, from the arguments of ``ClientSession``."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import EllipsisType
from typing import Final

from multidict import CIMultiDict, istr

from .._common import HttpVersion, HttpVersion11, checked_size
from .._headers import header_pairs
from .._http1 import Limits
from .._targets import BasicAuth, ProxyOptions, proxy_options
from .._tasks import DEFAULT_TIMEOUT, ClientTimeout
from ..client_middlewares import ClientMiddlewareType, checked_middlewares
from ..client_reqrep import (
    DEFAULT_SETTINGS,
    ClientRequest,
    ClientResponse,
    RequestSettings,
    sending_steps,
)
from ..connector import BaseConnector, check_uses_proxies
from ..typedefs import LooseHeaders, StrOrURL
from ._deprecated_options import fold_timeouts
from ._hop import RaiseForStatus, Settings
from ._options import (
    checked_body_size,
    checked_names,
    checked_raise_for_status,
    checked_version,
)

__all__ = ("names_to_skip", "proxy_for", "request_settings", "session_settings")

_NO_NAMES: Final[frozenset[istr]] = frozenset()  # shared, as each empty one takes 216 bytes

# Most sessions have the default settings.  They share these objects: making new ones would take
# 50 000 instructions, as much as the rest of the constructor.
_DEFAULT_LIMITS: Final = Limits()
_DEFAULTS: Final = Settings(
    raise_for_status=False,
    timeout=DEFAULT_TIMEOUT,
    limits=_DEFAULT_LIMITS,
    read_bufsize=2**18,
    auto_decompress=True,
    max_body_size=None,
    request=DEFAULT_SETTINGS,
)
_CLOSING_REQUEST: Final = replace(DEFAULT_SETTINGS, keep_alive=False)
_CLOSING: Final = replace(_DEFAULTS, request=_CLOSING_REQUEST)
_USUAL_SIZES: Final = (8190, 8190, 128, 2**18)
_USUAL: Final = (False, DEFAULT_TIMEOUT, _DEFAULT_LIMITS, 2**18, True, None, False, ())


def names_to_skip(names: Iterable[str] | None) -> frozenset[istr]:
    """Return the names of headers that are not added automatically."""
    return _NO_NAMES if names is None else frozenset(map(istr, checked_names(names))) or _NO_NAMES


def request_settings(
    version: HttpVersion,
    skip_auto_headers: frozenset[istr],
    response_class: type[ClientResponse],
    *,
    keep_alive: bool,
) -> RequestSettings:
    """Return how the requests of a session are made."""
    if version is not HttpVersion11:
        version = checked_version(version)
    if (version, skip_auto_headers, response_class) == (HttpVersion11, _NO_NAMES, ClientResponse):
        return DEFAULT_SETTINGS if keep_alive else _CLOSING_REQUEST
    return RequestSettings(
        version=version,
        skip_auto_headers=frozenset(name.lower() for name in skip_auto_headers),
        keep_alive=keep_alive,
        response_class=response_class,
    )


def session_settings(
    request: RequestSettings,
    *,
    raise_for_status: RaiseForStatus | None,
    timeout: ClientTimeout | None,
    read_timeout: float | EllipsisType | None,
    conn_timeout: float | EllipsisType | None,
    max_line_size: int,
    max_field_size: int,
    max_headers: int,
    read_bufsize: int,
    auto_decompress: bool,
    max_body_size: int | None,
    trust_env: bool,
    middlewares: Sequence[ClientMiddlewareType] | None,
    request_class: type[ClientRequest],
) -> Settings:
    """Return how the requests of a session are made, and how their responses are treated."""
    limits = _DEFAULT_LIMITS
    sizes = (max_line_size, max_field_size, max_headers, read_bufsize)
    if sizes != _USUAL_SIZES or type(sum(sizes)) is not int:  # 128.0 equals 128, but is refused
        limits = Limits(
            checked_size("max_line_size", max_line_size),
            checked_size("max_field_size", max_field_size),
            checked_size("max_headers", max_headers),
        )
        checked_size("read_bufsize", read_bufsize)
    chain = () if middlewares is None or middlewares == () else checked_middlewares(middlewares)
    chain += sending_steps(request_class)
    judge: RaiseForStatus = False
    if raise_for_status is not None and raise_for_status is not False:
        judge = checked_raise_for_status(raise_for_status)
    limits_in_time = fold_timeouts(timeout, read_timeout, conn_timeout)
    size = None if max_body_size is None else checked_body_size(max_body_size)
    given = (judge, limits_in_time, limits, read_bufsize, auto_decompress, size, trust_env, chain)
    if given == _USUAL:
        if request is DEFAULT_SETTINGS:
            return _DEFAULTS
        if request is _CLOSING_REQUEST:
            return _CLOSING
    return Settings(
        raise_for_status=judge,
        timeout=limits_in_time,
        limits=limits,
        read_bufsize=read_bufsize,
        auto_decompress=auto_decompress,
        max_body_size=size,
        request=request,
        trust_env=trust_env,
        middlewares=chain,
    )


def proxy_for(
    connector: BaseConnector | None,
    proxy: StrOrURL | None,
    auth: BasicAuth | None,
    headers: LooseHeaders | None,
    default: ProxyOptions | None,
) -> ProxyOptions | None:
    """Return the session's proxy, *default*, overridden by the others, not all ``None``."""
    if proxy is not None and connector is not None:
        check_uses_proxies(connector)
    checked = None if headers is None else CIMultiDict(header_pairs("proxy_headers", headers))
    return proxy_options(proxy, auth, checked, default)
