"""The target of a redirect, and its method and headers: decisions without side effects."""

from __future__ import annotations

from typing import Final, NamedTuple

from multidict import CIMultiDict, MultiMapping
from yarl import URL

from .. import hdrs
from .._common import UnparsedURL, authority_end, parsed_url, shortened
from .._targets import NO_PORT, BasicAuth, host_error, is_secure, target_error
from ..client_exceptions import InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError

__all__ = ("CREDENTIAL_HEADERS", "next_method", "redirect_target", "without_body_headers")

REDIRECT_STATUSES: Final = frozenset({301, 302, 303, 307, 308})

#: Headers that never follow a redirect to another origin.
CREDENTIAL_HEADERS: Final = (hdrs.AUTHORIZATION, hdrs.COOKIE, hdrs.PROXY_AUTHORIZATION)

#: Schemes of the targets of redirects; a relative target has none.
_OF_REQUESTS: Final = frozenset({"", "http", "https"})
_OF_WEBSOCKETS: Final = _OF_REQUESTS | {"ws", "wss"}

_BODY_HEADERS: Final = frozenset({"transfer-encoding", "expect"})


class NextMethod(NamedTuple):
    """How the redirected request is made."""

    method: str
    keeps_body: bool


def next_method(status: int, method: str) -> NextMethod:
    """Return the method after a redirect (:rfc:`9110#section-15.4`)."""
    if status == 303 and method != hdrs.METH_HEAD:
        return NextMethod(hdrs.METH_GET, keeps_body=False)
    # Browsers have always turned a redirected POST into a GET, and servers rely on that.
    if status in {301, 302} and method == hdrs.METH_POST:
        return NextMethod(hdrs.METH_GET, keeps_body=False)
    return NextMethod(method, keeps_body=True)


def without_body_headers(headers: CIMultiDict[str]) -> CIMultiDict[str]:
    """Return *headers* without those that describe the dropped body (CVE-2023-45803)."""
    return CIMultiDict(
        (name, value)
        for name, value in headers.items()
        if not (name.lower().startswith("content-") or name.lower() in _BODY_HEADERS)
    )


def redirect_target(
    url: URL, headers: MultiMapping[str], *, requote: bool, websocket: bool = False
) -> URL | None:
    """Return where the response *headers* for *url* point to; ``None`` if nowhere.

    :param requote: normalise the percent-encoding of the target
    :param websocket: the request asks for a WebSocket: the target may be a ws or wss URL, but
        after TLS it has to be one with TLS
    :raises InvalidUrlRedirectClientError: the target is no URL that can be requested
    :raises NonHttpUrlRedirectClientError: it is a URL of another scheme
    """
    location = headers.get(hdrs.LOCATION) or headers.get(hdrs.URI)
    if location is None:
        return None
    try:
        target = parsed_url(location, encoded=not requote)
        if target.scheme not in (_OF_WEBSOCKETS if websocket else _OF_REQUESTS):
            raise NonHttpUrlRedirectClientError(shortened(location))
        if not target.scheme or (target.scheme == url.scheme and not authority_end(location)):
            # "http:path" is relative to the present URL, as browsers have it (RFC 3986 §5.2.2).
            # If the target is only a query, join() would keep the fragment of *url*.
            target = url.with_fragment(None).join(target)
        objection = _objection_to(target, url if websocket else None)
    except UnparsedURL as exc:
        raise InvalidUrlRedirectClientError(shortened(location), str(exc)) from None
    except ValueError:
        # The message of this exception may contain a password from the URL.
        raise InvalidUrlRedirectClientError(
            shortened(location), "the server redirects to something that is not a URL"
        ) from None
    if objection is not None:
        raise InvalidUrlRedirectClientError(shortened(location), objection)
    return target


def _objection_to(target: URL, websocket: URL | None) -> str | None:
    """Return why *target* cannot be requested; ``None`` if it can be.

    :param websocket: the URL of the WebSocket that is redirected
    :raises ValueError: a part of *target* cannot be parsed
    """
    # yarl parses port and credentials only when they are read, so an error shows only then.
    port = target.port
    if (credentials := BasicAuth.from_url(target)) is not None:
        credentials.encode()
    # A fragment is not sent, but kept, and shown with the URL.
    rest = f"{target.raw_path_qs}#{target.raw_fragment}"
    rest.encode()
    if websocket is not None and is_secure(websocket) and not is_secure(target):
        return "a WebSocket over TLS is redirected to one without TLS"
    reason = host_error(target.raw_host)
    if reason is None and port is None:
        reason = NO_PORT
    return reason or target_error(rest)
