"""Credentials: Basic authentication (:rfc:`7617`)."""

from __future__ import annotations

import base64
import binascii
import logging
import netrc
import os
from typing import Any, Final, NamedTuple, Self

from anyio.to_thread import run_sync
from yarl import URL

from .._common import check_charset, check_instance, check_str, class_has, shown_class
from .urls import Origin

logger: Final = logging.getLogger("anyhttp.client")

__all__ = (
    "BasicAuth",
    "NetrcCredentials",
    "OriginCredentials",
    "checked_auth",
    "encode_basic_auth",
    "foreign_auth",
    "netrc_auth",
    "strip_auth_from_url",
)


class _BasicAuth(NamedTuple):
    login: str
    password: str
    encoding: str


class BasicAuth(_BasicAuth):
    """User name and password for Basic authentication.

    :param login: user name; must not hold a colon
    :param password: password
    :param encoding: charset in which both are sent
    :raises ValueError: *login* or *password* is ``None``, *login* holds a colon, or *encoding*
        is no charset
    :raises TypeError: an argument is not a ``str``

    The ``repr`` does not show the password.
    """

    __slots__ = ()

    def __new__(cls, login: str, password: str = "", encoding: str = "latin1") -> Self:
        if login is None:
            raise ValueError("login must be a str, not None")
        if password is None:
            raise ValueError("password must be a str, not None")
        for name, value in (("login", login), ("password", password)):
            check_str(name, value)
        _check_login(login)
        check_charset("encoding", encoding)
        return super().__new__(cls, login, password, encoding)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(login={self.login!r}, password='***')"

    @classmethod
    def decode(cls, auth_header: str, encoding: str = "latin1") -> Self:
        """Parse the value of an ``Authorization`` header.

        :raises ValueError: the header is not valid Basic authentication, or *encoding* is no
            charset
        """
        check_charset("encoding", encoding)
        scheme, space, encoded = auth_header.strip().partition(" ")
        if scheme.lower() != "basic":
            # A single word may be the credentials, so the message must not show it.
            shown = f"unknown authorization method {scheme[:20]!r}" if space else "no method"
            raise ValueError(f"{shown}, expected Basic")
        try:
            decoded = base64.b64decode(encoded.strip().encode("ascii"), validate=True)
        except (binascii.Error, UnicodeEncodeError):
            raise ValueError("the credentials are not valid base64") from None
        login, colon, password = decoded.decode(encoding).partition(":")
        if not colon:
            raise ValueError('the credentials hold no ":"')
        return cls(login, password, encoding)

    @classmethod
    def from_url(cls, url: URL, *, encoding: str = "latin1") -> Self | None:
        """Take the credentials from the user info of *url*; ``None`` if it has none."""
        if not isinstance(url, URL):
            raise TypeError(f"url must be a yarl.URL, not {type(url).__name__}")
        if url.raw_user is None and url.raw_password is None:
            return None
        return cls(url.user or "", url.password or "", encoding)

    def encode(self) -> str:
        """Return the value of the ``Authorization`` header."""
        return encode_basic_auth(self.login, self.password, self.encoding)


class OriginCredentials(str):
    """The value of an ``Authorization`` header that is for some origins only.

    A request to another origin is sent without it.  The ``repr``, which the one of headers shows,
    hides it.
    """

    __slots__ = ("origins",)

    origins: frozenset[Origin]

    def __new__(cls, value: str, origins: frozenset[Origin]) -> Self:
        credentials = super().__new__(cls, value)
        credentials.origins = origins
        return credentials

    def __reduce__(self) -> tuple[type[Self], tuple[str, frozenset[Origin]]]:
        # Errors and responses have the headers of their request, and have to be picklable.
        return type(self), (str(self), self.origins)

    def __repr__(self) -> str:
        return "'***'"


def strip_auth_from_url(url: URL) -> tuple[URL, BasicAuth | None]:
    """Return *url* without its user info, and the credentials in that, if there are any."""
    auth = BasicAuth.from_url(url)
    return (url if auth is None else url.with_user(None)), auth


def checked_auth(auth: Any) -> BasicAuth | None:
    """Return the argument ``auth`` of a session or a request.

    :raises TypeError: it is neither ``None`` nor a :class:`BasicAuth`, also not one of aiohttp
    """
    if auth is None or isinstance(auth, BasicAuth):
        return auth
    converted = foreign_auth(auth)
    if converted is None:
        check_instance("auth", auth, BasicAuth)
    return converted


def foreign_auth(value: Any) -> BasicAuth | None:
    """Return the credentials in *value*, if it is like aiohttp's object, else ``None``.

    :raises TypeError: login or password is no text, or its class sends something else
    :raises ValueError: they cannot be sent
    """
    if not class_has(value, "login", "password", "encoding"):
        return None
    auth = BasicAuth(value.login, value.password, value.encoding)
    # A subclass may send a token, and have a login that must not be sent.
    if class_has(value, "encode") and value.encode() != auth.encode():
        name = shown_class(type(value))
        raise TypeError(f"{name}.encode() would be passed over: derive it from anyhttp.BasicAuth")
    return auth


def encode_basic_auth(login: str, password: str = "", encoding: str = "utf-8") -> str:
    """Return the value of an ``Authorization`` header for Basic authentication.

    :raises ValueError: *login* holds a colon, *encoding* is no charset, or cannot encode *login*
        or *password*
    """
    _check_login(login)
    check_charset("encoding", encoding)
    try:
        credentials = f"{login}:{password}".encode(encoding)
    except UnicodeError:
        # Python's own error would contain the text, so it is not chained.
        raise ValueError(f"auth: login or password cannot be encoded as {encoding}") from None
    return "Basic " + base64.b64encode(credentials).decode("ascii")


def _check_login(login: str) -> None:
    if ":" in login:
        raise ValueError('login must not hold a ":" (RFC 7617 section 2)')


# -- the user's netrc file -------------------------------------------------------------


class NetrcCredentials(str):
    """The value of an ``Authorization`` header that comes from the user's netrc file."""

    __slots__ = ()


class _NetrcAuth(BasicAuth):
    __slots__ = ()

    def encode(self) -> str:
        """Return the value of the header, as :class:`NetrcCredentials`."""
        return NetrcCredentials(super().encode())


async def netrc_auth(url: URL, *, default: bool = True) -> BasicAuth | None:
    """Return the credentials that the user's netrc file has for the host of *url*.

    The host is the one of the parsed URL and is compared as a whole (CVE-2024-47081).  Port and
    scheme are ignored, because the file does not name them.  A file that cannot be read or parsed
    is skipped, with a warning in the log.

    :param default: use the entry ``default`` for hosts without an entry

    The file is read in a worker thread.  After cancellation that thread still runs to its end.
    """
    names = {name.lower() for name in (url.raw_host, url.host) if name}
    return await run_sync(_from_netrc, names, default, abandon_on_cancel=True)


def _from_netrc(names: set[str], default: bool) -> BasicAuth | None:
    path = _netrc_path()
    if path is None:
        return None
    try:
        hosts = netrc.netrc(path).hosts
    except OSError as exc:
        logger.warning("cannot read the netrc file %s: %s", path, exc.strerror)
        return None
    except netrc.NetrcParseError as exc:
        # The error's text may quote a word of the file, which may be a password.
        logger.warning("cannot parse the netrc file %s: see line %s", path, exc.lineno)
        return None
    except UnicodeDecodeError:
        logger.warning("cannot parse the netrc file %s: it is not text", path)
        return None
    for name, entry in hosts.items():
        # The parser treats "default" as a machine's name; here it must not match a host.
        if name != "default" and name.lower() in names:
            return _netrc_credentials(path, entry)
    if default and "default" in hosts:
        return _netrc_credentials(path, hosts["default"])
    return None


def _netrc_path() -> str | None:
    """Return the path of the file: ``$NETRC``, or the usual one if that file exists."""
    if path := os.environ.get("NETRC"):
        return path
    path = os.path.expanduser("~/_netrc" if os.name == "nt" else "~/.netrc")
    return path if os.path.exists(path) else None


def _netrc_credentials(path: str, entry: tuple[str, str | None, str | None]) -> BasicAuth | None:
    login, account, password = entry
    login = login or account or ""
    if not login and not password:
        return None  # an entry may exist only to define macros
    try:
        # UTF-8 sends the bytes of the file unchanged (servers may ask for it, RFC 7617 §2.1).
        return _NetrcAuth(login, password or "", "utf-8")
    except ValueError as exc:
        logger.warning("cannot use an entry of the netrc file %s: %s", path, exc)
        return None
