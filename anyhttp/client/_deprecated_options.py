"""Deprecated arguments and attributes, translated into the present ones.

Each function here takes arguments as older programs give them, warns, and returns the present
arguments.  So no other module has to know the deprecated ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from http.cookies import SimpleCookie
from ssl import SSLContext
from types import EllipsisType
from typing import Any, Final, TypedDict

from .._common import (
    check_charset,
    is_left_out,
    is_number,
    public_call,
    shown_class,
    warn_deprecated,
)
from .._network import fold_ssl
from .._tasks import DEFAULT_TIMEOUT, ClientTimeout, foreign_timeout
from ..abc import AbstractCookieJar
from ..formdata import FormData
from ..payload import StringPayload

__all__ = (
    "OldOptions",
    "cookies_of",
    "fold_options",
    "fold_timeouts",
)


class OldOptions(TypedDict, total=False):
    """Deprecated options of a request; each still works, with a ``DeprecationWarning``.

    ``encoding``
        charset of a text or a form; encode the text, or use ``FormData(charset=...)``
    ``files``
        use ``data``
    ``verify_ssl``, ``ssl_context``, ``fingerprint``
        use ``ssl``
    """

    encoding: str | None
    files: Any
    verify_ssl: bool | None
    ssl_context: SSLContext | None
    fingerprint: bytes | None


# -- options of a request --------------------------------------------------------------


def fold_options(options: Mapping[str, Any], known: frozenset[str]) -> dict[str, Any]:
    """Return *options* with the deprecated ones translated into the present ones.

    :param known: names of all options, old and new
    :raises TypeError: an option is not known, or of a wrong type
    :raises ValueError: an old option contradicts another
    """
    for name in options:
        if name not in known:
            raise TypeError(f"{public_call()}() got an unexpected keyword argument {name!r}")
    folded = dict(options)
    chunked = folded.get("chunked")
    if chunked is not None and not isinstance(chunked, bool):
        folded["chunked"] = _fold_chunked(chunked)
    if folded.get("version") is not None:
        warn_deprecated("version is deprecated here: give it to ClientSession()")
    files = folded.pop("files", None)
    if files is not None:
        warn_deprecated("files is deprecated: it is named data now")
        if folded.get("data") is not None:
            raise ValueError("data and files cannot be given together: use data")
        folded["data"] = files
    encoding = folded.pop("encoding", None)
    if encoding is not None:
        warn_deprecated(
            "encoding is deprecated: give text.encode(...) or FormData(..., charset=...) as data"
        )
        folded["data"] = _encoded(folded.get("data"), encoding)
    tls = {name: folded.pop(name, None) for name in ("verify_ssl", "ssl_context", "fingerprint")}
    if tls != _NO_TLS:
        folded["ssl"] = fold_ssl(folded.get("ssl", True), **tls)
    return folded


_NO_TLS: Final = dict.fromkeys(("verify_ssl", "ssl_context", "fingerprint"))


def _fold_chunked(size: object) -> bool:
    if not isinstance(size, int):
        raise TypeError(f"chunked must be a bool, not {shown_class(type(size))}")
    warn_deprecated("chunked is a bool now: the client chooses the size of the chunks")
    return bool(size)


def _encoded(data: object, encoding: str) -> object:
    """Return *data* as a body in the charset *encoding*; unchanged if it is not text or a form."""
    check_charset("encoding", encoding)
    if isinstance(data, str):
        return StringPayload(data, encoding=encoding)
    if isinstance(data, (Mapping, list, tuple)):
        return FormData(data, charset=encoding)
    return data


# -- arguments and attributes of a session or a connector ------------------------------


def fold_timeouts(
    timeout: ClientTimeout | None,
    read_timeout: float | EllipsisType | None,
    conn_timeout: float | EllipsisType | None,
) -> ClientTimeout:
    """Return the time limits of a session.

    :raises TypeError: *timeout* is neither a :class:`ClientTimeout` nor a number
    :raises ValueError: it is a number, or given beside an old name
    """
    if timeout is not None and not isinstance(timeout, ClientTimeout):
        if is_left_out(timeout):
            return fold_timeouts(None, read_timeout, conn_timeout)
        converted = foreign_timeout(timeout)
        if converted is None:
            text = (
                f"timeout must be an anyhttp.ClientTimeout, such as ClientTimeout(total=60), "
                f"not {shown_class(type(timeout))}"
            )
            raise (ValueError if is_number(timeout) else TypeError)(text)
        timeout = converted
    if read_timeout is ... and conn_timeout is ...:
        return DEFAULT_TIMEOUT if timeout is None else timeout
    if timeout is not None:
        raise ValueError("read_timeout and conn_timeout cannot be given together with timeout")
    folded = DEFAULT_TIMEOUT
    if read_timeout is not ...:
        warn_deprecated("read_timeout is deprecated: give timeout=ClientTimeout(total=...)")
        folded = replace(folded, total=read_timeout)
    if conn_timeout is not ...:
        warn_deprecated("conn_timeout is deprecated: give timeout=ClientTimeout(connect=...)")
        folded = replace(folded, connect=conn_timeout)
    return folded


def cookies_of(jar: AbstractCookieJar) -> SimpleCookie:
    """Return the cookies of *jar*; of those with equal names, one."""
    warn_deprecated("cookies is deprecated: iterate over cookie_jar, or filter_cookies() of it")
    cookies = SimpleCookie()
    for morsel in jar:
        # SimpleCookie's own __setitem__() refuses some names that servers use.
        dict.__setitem__(cookies, morsel.key, morsel)
    return cookies
