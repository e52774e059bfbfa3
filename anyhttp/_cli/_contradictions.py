"""Options that contradict each other: they are noticed before anything is sent."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import click
from yarl import URL

from anyhttp import ClientRequest
from anyhttp._downloads import OWN_HEADERS

from ._body import Body, opened
from ._options import Sender

NO_BODY: Final = Body()


def check_request(method: str, url: str, sender: Sender, body: Body = NO_BODY) -> None:
    """Check that the options make one request.

    :raises click.UsageError: they do not
    """
    if URL(url).raw_user is not None and (sender.login or "Authorization" in sender.headers):
        raise click.UsageError(
            "use only one of --user, --bearer, a header field Authorization and the user in the URL"
        )
    try:
        with opened(body) as data:
            request = ClientRequest(
                method,
                URL(url),
                headers=sender.headers,
                params=sender.query,
                auth=sender.login,
                data=data,
            )
            request.header_block()
    except ValueError as exc:
        # What is left to be wrong is how the fields describe the body.
        raise click.UsageError(f"--header: {str(exc).removeprefix('headers: ')}") from exc


def check_downloads(urls: Sequence[str], sender: Sender) -> None:
    """Check that the options make downloads.

    :raises click.UsageError: they do not
    """
    for name in (*sender.headers, *sender.left_out):
        if name.lower() in OWN_HEADERS:
            raise click.UsageError(f"--header: a download sets {name} by itself")
    for url in urls:
        check_request("GET", url, sender)
