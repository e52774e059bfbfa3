"""The values of the command line: what they stand for, and the checks of them.

No message about a value that may be a secret shows it: messages end up in logs.
"""

from __future__ import annotations

import json
import os
import re
import ssl
import sys
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from typing import IO, Any, Final, TypeAlias

import click

from anyhttp import BasicAuth
from anyhttp._common import has_surrogate
from anyhttp._headers import header_pairs, is_token
from anyhttp._targets import checked_proxy, checked_url

from ._help import DescribedCommand
from ._streams import ClosedStream, require_stdout
from ._urls import with_scheme

ENVIRONMENT: Final = "@env:"
# Bytes that a file may hold for an option; a body has no such limit.
LARGEST_VALUE: Final = 1024 * 1024
# Bytes of a body that is read at once, as a pipe can be read only once.
LARGEST_PIPED: Final = 256 * 1024 * 1024
# The key of click's store: what standard input is read for.
STDIN: Final = "anyhttp.stdin"
#: Fields that a request is not understood without.
NEEDED: Final = frozenset({"connection", "content-length", "host", "transfer-encoding", "upgrade"})
#: A header field; without a value, it is not sent, whatever sets it by default.
Field: TypeAlias = tuple[str, str | None]
NOT_SHOWN: Final = "(it is not shown, as it may be a secret)"


class Command(DescribedCommand):
    """A command that does not show arguments that it does not expect.

    Who forgets the quotes around a header field has the token in them.

    :param stdin: what standard input is for, if no option can read it
    """

    allow_extra_args = True

    def __init__(self, *args: Any, stdin: str | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._stdin = stdin

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Read the arguments into *ctx*, and refuse those that are left.

        :raises click.UsageError: the arguments are wrong
        """
        if self._stdin:
            ctx.meta[STDIN] = self._stdin
        rest = super().parse_args(ctx, args)
        if rest and not ctx.resilient_parsing:
            ctx.fail(unexpected(len(rest)))
        return rest

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command, unless it would write to standard output and that is closed.

        :raises OSError: it is closed
        """
        saved = ctx.params.get("many") or str(ctx.params.get("output") or "-") != "-"
        if not saved or ctx.params.get("include") or ctx.params.get("many"):
            require_stdout()
        return super().invoke(ctx)


def unexpected(number: int) -> str:
    """Return what to say of *number* arguments that are not expected."""
    count = f"{number} unexpected arguments" if number > 1 else "an unexpected argument"
    return f"{count}; put quotes around an argument that contains spaces"


def read_stdin(ctx: click.Context, param: click.Parameter) -> bytes:
    """Return standard input, which one option can read.

    :raises click.BadParameter: it is for something else, or too large
    """
    name = param.opts[-1]
    if isinstance(sys.stdin, ClosedStream):
        raise click.BadParameter("standard input is closed", ctx, param)
    if (owner := ctx.meta.setdefault(STDIN, name)) != name:
        raise click.BadParameter(f"standard input is used for {owner}", ctx, param)
    return read_piped(ctx, param, sys.stdin.buffer)


def read_piped(ctx: click.Context, param: click.Parameter, file: IO[bytes]) -> bytes:
    """Return all that *file*, which can be read only once, has.

    :raises click.BadParameter: it is too large to be held in memory
    """
    content = file.read(LARGEST_PIPED + 1)
    if len(content) > LARGEST_PIPED:
        raise click.BadParameter(
            f"more than {LARGEST_PIPED} bytes from a pipe or a device; put them into a file first",
            ctx,
            param,
        )
    return content


def from_environment(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return the variable that *value*, which begins with ``@env:``, names.

    :raises click.BadParameter: there is no such variable
    """
    name = value.removeprefix(ENVIRONMENT)
    if name not in os.environ:
        raise click.BadParameter(f"the environment has no variable {name!r}", ctx, param)
    return os.environ[name]


def read_value(ctx: click.Context, param: click.Parameter, value: str) -> str:
    """Return *value*, or what it stands for if it begins with ``@``, without a last line end.

    :raises click.BadParameter: what it stands for cannot be read
    """
    if not value.startswith("@"):
        return value
    if value.startswith(ENVIRONMENT):
        return from_environment(ctx, param, value)
    if value == "@-":
        content = read_stdin(ctx, param)
    else:
        try:
            with open(value[1:], "rb") as file:
                content = file.read(LARGEST_VALUE + 1)
        except (OSError, ValueError) as exc:  # ValueError: a NUL in the name
            problem = exc.strerror if isinstance(exc, OSError) else "not a file name"
            raise click.BadParameter(f"the file after '@': {problem}", ctx, param) from exc
    if len(content) > LARGEST_VALUE:
        raise click.BadParameter(f"the value has more than {LARGEST_VALUE} bytes", ctx, param)
    text = content.decode("utf-8", "surrogateescape")
    return text.removesuffix("\n").removesuffix("\r")


def as_proxy(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    """Return the URL of a proxy; without a scheme, ``http://`` is added."""
    if value is None:
        return None
    url = with_scheme(ctx, param, read_value(ctx, param, value))
    try:
        checked_proxy(url)
    except ValueError as exc:
        raise click.BadParameter(str(exc), ctx, param) from exc
    return url


def as_headers(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> list[Field]:
    """Return header fields as pairs."""
    headers: list[Field] = []
    for value in values:
        if value.startswith("@"):
            lines = read_value(ctx, param, value).splitlines()
            headers += [as_header(ctx, param, line) for line in lines if line.strip()]
        else:
            name, content = as_header(ctx, param, value)
            # As in HTTPie, a file follows the colon at once: "X: @a" is the text "@a".
            if content and value.partition(":")[2].startswith("@"):
                content = read_value(ctx, param, content)
            headers.append((name, content))
    for name, content in headers:
        if content is not None:
            check_field(ctx, param, name, content)
    return headers


def as_header(ctx: click.Context, param: click.Parameter, line: str) -> Field:
    """Return a header field; as with curl, ``X:`` is not sent, and ``X;`` is sent without a value.

    :raises click.BadParameter: it is none, or one that cannot be left out
    """
    name, colon, content = line.partition(":")
    is_empty = not colon and name.rstrip().endswith(";")
    name = name.rstrip()[:-1] if is_empty else name.strip()
    # A token without "Authorization:" before it must not be taken for a name, and shown as one.
    if not ((colon or is_empty) and is_token(name)):
        raise click.BadParameter(
            f"a field is not of the form 'Name: value' {NOT_SHOWN}", ctx, param
        )
    if is_empty:
        return name, ""
    value = content.strip()
    if not value and (name.lower() in NEEDED or name.lower().startswith("sec-websocket-")):
        raise click.BadParameter(f"the field {name} cannot be left out", ctx, param)
    return name, value or None


def check_field(ctx: click.Context, param: click.Parameter, name: str, value: str) -> None:
    """Check that a header field with this value can be sent.

    :raises click.BadParameter: it cannot
    """
    try:
        header_pairs("headers", [(name, value)])
    except ValueError as exc:
        problem = str(exc).removeprefix("headers: ")
        raise click.BadParameter(f"{problem} {NOT_SHOWN}", ctx, param) from None


def as_query(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> list[tuple[str, str]]:
    """Return parameters of a query as pairs.

    :raises click.BadParameter: one of them is no pair, or cannot be sent
    """
    if any(map(has_surrogate, values)):
        raise click.BadParameter(f"a value is not in UTF-8 {NOT_SHOWN}", ctx, param)
    return [as_pair(ctx, param, value) for value in values]


def as_cookies(ctx: click.Context, param: click.Parameter, values: Sequence[str]) -> str:
    """Return the header field ``Cookie``.

    One value may hold several cookies, with ``;`` or the end of a line between them.
    """
    cookies = []
    for value in values:
        for part in re.split("[;\n]", read_value(ctx, param, value)):
            if part.strip():
                name, content = as_pair(ctx, param, part)
                if not is_token(name.strip()):
                    raise click.BadParameter(
                        f"a cookie has a name that is not allowed {NOT_SHOWN}", ctx, param
                    )
                cookies.append(f"{name.strip()}={content.strip()}")
    check_field(ctx, param, "Cookie", cookie := "; ".join(cookies))
    return cookie


def as_pair(ctx: click.Context, param: click.Parameter, text: str) -> tuple[str, str]:
    """Return the name and the value that *text* holds."""
    name, equals, content = text.partition("=")
    if not (equals and name.strip()):
        raise click.BadParameter(f"a value is not of the form NAME=VALUE {NOT_SHOWN}", ctx, param)
    return name, content


def as_addresses(
    ctx: click.Context, param: click.Parameter, values: Sequence[str]
) -> dict[tuple[str, int], str]:
    """Return the IP addresses for hosts (in lower case) and ports."""
    addresses = {}
    for value in values:
        host, _, rest = value.partition(":")
        port, _, address = rest.partition(":")
        if address.startswith("[") and address.endswith("]"):
            address = address[1:-1]
        name = ""
        try:
            ip_address(address)
            number = int(port)
            # As the resolver is asked for it: a name in another script is encoded.
            name = checked_url(f"http://{host}/", frozenset({"http"})).raw_host or ""
        except ValueError:
            number = 0
        if not 0 < number < 65536:
            raise click.BadParameter(
                f"{value!r} is not of the form HOST:PORT:ADDRESS, with an IP address", ctx, param
            )
        addresses[name.lower(), number] = address
    return addresses


def as_login(ctx: click.Context, param: click.Parameter, value: str | None) -> BasicAuth | None:
    """Return user and password; without a password, ask for it."""
    if value is None:
        return None
    user, colon, password = read_value(ctx, param, value).partition(":")
    if not colon:
        if not sys.stdin.isatty():
            raise click.BadParameter(
                "there is no password after a ':', and no terminal to ask for one", ctx, param
            )
        password = click.prompt(
            f"Password of {user}", hide_input=True, default="", show_default=False, err=True
        )
    login = BasicAuth(user, password, encoding="utf-8")
    try:
        login.encode()
    except ValueError:
        raise click.BadParameter(f"user or password is not in UTF-8 {NOT_SHOWN}", ctx, param) from (
            None
        )
    return login


def as_token(
    ctx: click.Context, param: click.Parameter, value: str | None
) -> tuple[str, str] | None:
    """Return the header field for a token (:rfc:`6750#section-2.1`)."""
    if value is None:
        return None
    token = read_value(ctx, param, value).strip()
    if not token or len(token.split()) > 1:
        raise click.BadParameter(f"this is not a single token {NOT_SHOWN}", ctx, param)
    check_field(ctx, param, "Authorization", value := f"Bearer {token}")
    return "Authorization", value


def one_authorization(
    headers: list[Field], login: BasicAuth | None, token: tuple[str, str] | None
) -> list[Field]:
    """Return the header fields, with the one for the token.

    :raises click.UsageError: there is more than one of *login*, *token* and their header field
    """
    named = any(name.lower() == "authorization" for name, _ in headers)
    if named + (login is not None) + (token is not None) > 1:
        raise click.UsageError("use only one of --user, --bearer and a header field Authorization")
    return [*headers, token] if token else headers


def as_body(ctx: click.Context, param: click.Parameter, value: str | None) -> bytes | Path | None:
    """Return a body: the text itself, or the content of the file whose name follows ``@``."""
    if value is None:
        return None
    if value == "-":
        return read_stdin(ctx, param)
    if value.startswith(ENVIRONMENT):
        value = from_environment(ctx, param, value)
    elif value.startswith("@"):
        return read_file(ctx, param, value[1:])
    return value.encode("utf-8", "surrogateescape")


def read_file(ctx: click.Context, param: click.Parameter, name: str) -> bytes | Path:
    """Return the file called *name*, or its content if that can be read only once.

    :raises click.BadParameter: it cannot be read, or is too large
    """
    if name == "-":
        return read_stdin(ctx, param)
    path = Path(name)
    try:
        # A file that can be read only once, such as a pipe, could not be sent again on a redirect.
        if not path.is_file():
            with path.open("rb") as file:
                return read_piped(ctx, param, file)
        with path.open("rb"):
            return path
    except OSError as exc:
        raise click.BadParameter(f"{path}: {exc.strerror}", ctx, param) from exc


def as_json(ctx: click.Context, param: click.Parameter, value: str | None) -> bytes | None:
    """Return a JSON body unchanged, after checking that it is JSON."""
    body = as_body(ctx, param, value)
    if isinstance(body, Path):
        body = body.read_bytes()
    if body is not None:
        try:
            json.loads(body, parse_constant=_refuse_constant)
        except (ValueError, RecursionError) as exc:
            raise click.BadParameter(f"this is not valid JSON: {exc}", ctx, param) from exc
    return body


def _refuse_constant(name: str) -> None:
    """Refuse what Python takes for a number (:rfc:`8259#section-6`)."""
    raise ValueError(f"{name} is not a value of JSON")


def as_tls(
    insecure: bool, ca_file: Path | None, certificate: Path | None, key: Path | None
) -> ssl.SSLContext | bool:
    """Return the value of the request's option ``ssl``."""
    if insecure and ca_file:
        raise click.UsageError("--insecure and --cacert cannot be used together")
    if key and not certificate:
        raise click.UsageError("--key can only be used with --cert")
    if not (ca_file or certificate):
        return not insecure
    try:
        context = ssl.create_default_context(cafile=ca_file)
    except ssl.SSLError as exc:
        raise click.UsageError(f"{ca_file} contains no certificate in PEM format") from exc
    if insecure:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate:
        _load_certificate(context, certificate, key)
    return context


def _load_certificate(context: ssl.SSLContext, certificate: Path, key: Path | None) -> None:
    """Have *context* show a client certificate; the password of its key is asked for."""
    asked = False

    def ask() -> str:
        nonlocal asked
        if not sys.stdin.isatty():
            raise click.UsageError(
                f"the key in {key or certificate} is encrypted, and there is "
                "no terminal to ask for its password"
            )
        asked = True
        password: str = click.prompt(f"Password of {key or certificate}", hide_input=True, err=True)
        return password

    try:
        context.load_cert_chain(certificate, key, ask)
    except OSError as exc:
        reason = exc.reason if isinstance(exc, ssl.SSLError) else ""
        if asked and reason != "KEY_VALUES_MISMATCH":
            # Not always an SSLError: Python may raise what asking has left in errno.
            raise click.UsageError(
                f"the key in {key or certificate} cannot be read with this password"
            ) from exc
        raise click.UsageError(
            f"{certificate}{f' and {key}' if key else ''} cannot be used as client "
            f"certificate and private key in PEM format: {reason or exc}"
        ) from exc
