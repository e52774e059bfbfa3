"""The URLs of the command line: what is added to them, and the checks before anything is sent."""

from __future__ import annotations

import re
import string
from collections.abc import Sequence
from typing import Final

import click

from anyhttp import BaseConnector, BasicAuth, ClientError
from anyhttp._targets import checked_url

from ._failures import describe

SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")
#: White space, and characters that cannot be seen.
AROUND: Final = string.whitespace + "\xa0\u200b\u2060\ufeff"
QUOTES: Final = "\"'`<>\u2018\u2019\u201c\u201d"


def with_scheme(
    ctx: click.Context, param: click.Parameter, value: str, *, scheme: str = "http"
) -> str:
    """Return a URL; without a scheme, *scheme* is added.

    Blanks and line ends around it are left out: they come with URLs that are copied from a text.

    :raises click.BadParameter: it is empty, or has quotes or brackets around it
    """
    url = value.strip(AROUND)
    if not url:
        raise click.BadParameter("the URL is empty", ctx, param)
    if url[0] in QUOTES:
        raise click.BadParameter(
            f"the URL begins with {url[0]}, which must be left out", ctx, param
        )
    if url[-1] in QUOTES:
        raise click.BadParameter(f"the URL ends with {url[-1]}, which must be left out", ctx, param)
    return url if SCHEME.match(url) else f"{scheme}://{url.removeprefix('//')}"


def as_url(ctx: click.Context, param: click.Parameter, value: str, *, scheme: str = "http") -> str:
    """Return the URL of a request, completed by :func:`with_scheme`.

    :raises click.BadParameter: no request can be sent there
    """
    url = with_scheme(ctx, param, value, scheme=scheme)
    try:
        login = BasicAuth.from_url(checked_url(url, BaseConnector.allowed_protocol_schema_set))
        if login is not None:
            login.encode()
    except (ClientError, ValueError) as exc:
        raise click.BadParameter(describe(exc), ctx, param) from exc
    return url


def as_ws_url(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the URL of a WebSocket; without a scheme, ``ws://`` is added."""
    return as_url(ctx, param, value, scheme="ws")


def as_urls(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> Sequence[str]:
    """Return the URLs of requests, as :func:`as_url` does."""
    return [as_url(ctx, param, value) for value in values]
