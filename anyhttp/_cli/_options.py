"""The options that several commands have, and what they stand for together.

Each decorator adds a group of options to a command, and passes them as one argument: who reaches
a server as whom, and by which way, is the same whatever is asked for there.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias, TypedDict

import click
from multidict import CIMultiDict

from anyhttp import BasicAuth

from ._arguments import (
    Field,
    as_addresses,
    as_cookies,
    as_headers,
    as_login,
    as_proxy,
    as_query,
    as_tls,
    as_token,
    one_authorization,
)
from ._checks import FilePath
from ._cookie_file import as_cookie_file
from ._run import BACKENDS

Function: TypeAlias = Callable[..., Any]

CONTEXT: Final = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sender:
    """Who sends the request, and what is sent with each: see :func:`sender_options`."""

    headers: CIMultiDict[str]
    left_out: frozenset[str]  # names in lower case of fields that are not sent
    query: Sequence[tuple[str, str]]
    login: BasicAuth | None
    cookie_jar: Path | None

    def imply(self, headers: Iterable[tuple[str, str]]) -> None:
        """Add header fields, unless the user has said something else about them."""
        for name, value in headers:
            if name.lower() not in self.left_out:
                self.headers.setdefault(name, value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """How the server is reached: see :func:`route_options`."""

    proxy: str | None
    addresses: dict[tuple[str, int], str]
    unix_socket: Path | None
    http2: bool | Literal["prior-knowledge"]
    tls: ssl.SSLContext | bool


class SentOptions(TypedDict):
    """Options of any request of the library."""

    params: Sequence[tuple[str, str]]
    headers: CIMultiDict[str]
    auth: BasicAuth | None
    proxy: str | None
    ssl: ssl.SSLContext | bool


def sent_options(sender: Sender, route: Route) -> SentOptions:
    """Return the options of each request that *sender* sends by *route*."""
    return {
        "params": sender.query,
        "headers": sender.headers,
        "auth": sender.login,
        "proxy": route.proxy,
        "ssl": route.tls,
    }


@dataclass(frozen=True, slots=True, kw_only=True)
class Watch:
    """What is shown on stderr about requests: see :func:`watch_options`."""

    verbose: bool
    trace: bool


def add_options(options: Sequence[Callable[[Function], Function]], function: Function) -> Function:
    """Add *options* to the command that *function* becomes, in this order."""
    for option in reversed(options):
        function = option(function)
    return function


def sender_options(function: Function) -> Function:
    """Add the options of a :class:`Sender`, which is passed as ``sender``."""

    def bundling(
        *args: Any,
        headers: list[Field],
        query: list[tuple[str, str]],
        login: BasicAuth | None,
        token: tuple[str, str] | None,
        cookies: str,
        cookie_jar: Path | None,
        **others: Any,
    ) -> Any:
        given = one_authorization(headers, login, token)
        fields = CIMultiDict((name, value) for name, value in given if value is not None)
        if cookies:
            fields["Cookie"] = "; ".join([*fields.popall("Cookie", []), cookies])
        sender = Sender(
            headers=fields,
            left_out=frozenset(name.lower() for name, _ in given if name not in fields),
            query=query,
            login=login,
            cookie_jar=cookie_jar,
        )
        return function(*args, sender=sender, **others)

    options = (
        click.option(
            "-H",
            "--header",
            "headers",
            metavar="'NAME: VALUE'|NAME:@FILE|@FILE",
            multiple=True,
            callback=as_headers,
            help="Send this header field, or those in FILE, one a line; may be repeated. "
            "'NAME:' leaves out a field that is sent by default, 'NAME;' sends an empty one.",
        ),
        click.option(
            "-q",
            "--query",
            "query",
            metavar="NAME=VALUE",
            multiple=True,
            callback=as_query,
            help="Add this parameter to the query of the URL; may be repeated.",
        ),
        click.option(
            "-u",
            "--user",
            "login",
            metavar="USER[:PASSWORD]|@FILE",
            callback=as_login,
            help="Log in (Basic); without a password you are asked for it.",
        ),
        click.option(
            "--bearer",
            "token",
            metavar="TOKEN|@FILE",
            callback=as_token,
            help="Send this token as Authorization: Bearer.",
        ),
        click.option(
            "-b",
            "--cookie",
            "cookies",
            metavar="NAME=VALUE|@FILE",
            multiple=True,
            callback=as_cookies,
            help="Send this cookie, or those in FILE, one a line; may be repeated.",
        ),
        click.option(
            "--cookie-jar",
            metavar="FILE",
            type=FilePath(dir_okay=False),
            callback=as_cookie_file,
            help="Send the cookies in FILE, and save there those that servers set.",
        ),
    )
    return add_options(options, update_wrapper(bundling, function))


def tls_options(function: Function) -> Function:
    """Add the options of TLS, which are passed as ``tls``."""

    def bundling(
        *args: Any,
        insecure: bool,
        ca_file: Path | None,
        certificate: Path | None,
        key: Path | None,
        **others: Any,
    ) -> Any:
        tls = as_tls(insecure, ca_file, certificate, key)
        return function(*args, tls=tls, **others)

    pem = click.Path(path_type=Path, exists=True, dir_okay=False)
    options = (
        click.option("-k", "--insecure", is_flag=True, help="Do not verify certificates."),
        click.option(
            "--cacert",
            "ca_file",
            metavar="FILE",
            type=pem,
            help="Trust the certificates in FILE (PEM) and no others.",
        ),
        click.option(
            "--cert",
            "certificate",
            metavar="FILE",
            type=pem,
            help="Show this client certificate (PEM) to servers that ask for one.",
        ),
        click.option(
            "--key",
            metavar="FILE",
            type=pem,
            help="The private key of --cert (PEM), unless that file has it.",
        ),
    )
    return add_options(options, update_wrapper(bundling, function))


def route_options(function: Function) -> Function:
    """Add the options of a :class:`Route`, which is passed as ``route``."""

    def bundling(
        *args: Any,
        proxy: str | None,
        addresses: dict[tuple[str, int], str],
        unix_socket: Path | None,
        http2: bool,
        http2_prior_knowledge: bool,
        tls: ssl.SSLContext | bool,
        **others: Any,
    ) -> Any:
        if unix_socket and (proxy or addresses):
            raise click.UsageError("--unix-socket cannot be used with --proxy or --resolve")
        route = Route(
            proxy=proxy,
            addresses=addresses,
            unix_socket=unix_socket,
            http2="prior-knowledge" if http2_prior_knowledge else http2,
            tls=tls,
        )
        return function(*args, route=route, **others)

    options = (
        click.option(
            "-x",
            "--proxy",
            metavar="URL|@FILE",
            callback=as_proxy,
            help="Go through this proxy (http, https, socks4, socks4a, socks5 or socks5h), "
            "not the environment's.",
        ),
        click.option(
            "--resolve",
            "addresses",
            metavar="HOST:PORT:ADDRESS",
            multiple=True,
            callback=as_addresses,
            help="Connect to ADDRESS for HOST and PORT; may be repeated.",
        ),
        click.option(
            "--unix-socket",
            metavar="PATH",
            type=FilePath(),
            help="Connect to this Unix domain socket.",
        ),
        click.option(
            "--http2", is_flag=True, help="Speak HTTP/2 with servers that choose it, over TLS."
        ),
        click.option(
            "--http2-prior-knowledge",
            is_flag=True,
            help="Speak HTTP/2 without TLS, too: the server is known to speak it.",
        ),
        tls_options,
    )
    return add_options(options, update_wrapper(bundling, function))


def watch_options(function: Function) -> Function:
    """Add the options of a :class:`Watch`, which is passed as ``watch``."""

    def bundling(*args: Any, verbose: bool, trace: bool, **others: Any) -> Any:
        return function(*args, watch=Watch(verbose=verbose, trace=trace), **others)

    options = (
        click.option(
            "-v",
            "--verbose",
            is_flag=True,
            help="Show connections, TLS, heads and timings on stderr, without secrets.",
        ),
        click.option("--trace", is_flag=True, help="Draw on stderr what the time was spent on."),
    )
    return add_options(options, update_wrapper(bundling, function))


backend_option = click.option(
    "--backend",
    type=click.Choice(BACKENDS),
    default="asyncio",
    show_default=True,
    help="Event loop to run on.",
)
