"""How long a request may take, and how often it may be sent: the options."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from typing import Any, TypedDict

import click

from ._checks import Seconds
from ._options import add_options


class RedirectOptions(TypedDict):
    """Options of a request of the library."""

    allow_redirects: bool
    max_redirects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What the user puts up with: see :func:`limit_options`."""

    timeout: float | None
    max_redirects: int
    retry: int

    def redirect_options(self) -> RedirectOptions:
        """Return the options of each request."""
        # The library's limit counts the refused redirect too.
        return {
            "allow_redirects": self.max_redirects > 0,
            "max_redirects": self.max_redirects + 1,
        }


def limit_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a :class:`Limits`, which is passed as ``limits``."""

    def bundling(
        *args: Any, timeout: float | None, max_redirects: int, retry: int, **others: Any
    ) -> Any:
        limits = Limits(timeout=timeout, max_redirects=max_redirects, retry=retry)
        return function(*args, limits=limits, **others)

    options = (
        click.option(
            "--timeout",
            metavar="SECONDS",
            type=Seconds(min=0, min_open=True),
            help="Give up unless everything arrives in that time.",
        ),
        click.option(
            "--max-redirects",
            metavar="N",
            type=click.IntRange(min=0),
            default=10,
            show_default=True,
            help="Follow at most N redirects; 0 shows the redirect itself.",
        ),
        click.option(
            "--retry",
            metavar="N",
            type=click.IntRange(min=0),
            default=0,
            help="Send the request up to N times more, after growing pauses, if the connection "
            "fails or the status is 429, 502, 503 or 504; a POST or PATCH only if nothing of it "
            "was sent.",
        ),
    )
    return add_options(options, update_wrapper(bundling, function))
