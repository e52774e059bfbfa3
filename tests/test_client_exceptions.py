from __future__ import annotations

import copy
import inspect
import pickle
import ssl
from typing import TYPE_CHECKING

import pytest
from yarl import URL

from anyhttp import (
    BearerAuthMiddleware,
    ClientResponse,
    ClientSession,
    client_exceptions as errors,
    http_exceptions,
)
from anyhttp._common.values import ProxyKey
from anyhttp.http_exceptions import LineTooLong
from anyhttp.testing import MockConnector
from tests.support.api import Api
from tests.support.errors import BAD_CERTIFICATE, HEADERS, INFO, KEY, RAISED, REFUSED, by_class
from tests.support.fresh_python import output_of

if TYPE_CHECKING:
    from collections.abc import Callable

BASES: dict[str, tuple[type[BaseException], ...]] = {
    "ClientConnectionResetError": (errors.ClientConnectionError, ConnectionResetError),
    "ClientOSError": (errors.ClientConnectionError, OSError),
    "ClientConnectorError": (errors.ClientOSError,),
    "ClientConnectorDNSError": (errors.ClientConnectorError,),
    "ClientProxyConnectionError": (errors.ClientConnectorError,),
    "UnixClientConnectorError": (errors.ClientConnectorError,),
    "ClientSSLError": (errors.ClientConnectorError,),
    "ClientConnectorSSLError": (errors.ClientSSLError, ssl.SSLError),
    "ClientConnectorCertificateError": (errors.ClientSSLError, ssl.CertificateError),
    "ServerDisconnectedError": (errors.ServerConnectionError,),
    "ServerFingerprintMismatch": (errors.ServerConnectionError,),
    "ServerTimeoutError": (errors.ServerConnectionError, TimeoutError),
    "ConnectionTimeoutError": (errors.ServerTimeoutError,),
    "SocketTimeoutError": (errors.ServerTimeoutError,),
    "InvalidURL": (errors.ClientError, ValueError),
    "InvalidUrlClientError": (errors.InvalidURL,),
    "InvalidUrlRedirectClientError": (errors.InvalidUrlClientError, errors.RedirectClientError),
    "NonHttpUrlRedirectClientError": (errors.NonHttpUrlClientError, errors.RedirectClientError),
    "WSMessageTypeError": (TypeError,),
    "WebSocketError": (Exception,),
}
FAMILIES = {
    errors.ClientError: (
        "ClientResponseError ClientConnectionError ClientPayloadError DownloadError "
        "UploadAbortedError OAuth2Error RedirectClientError NonHttpUrlClientError"
    ),
    errors.ClientResponseError: (
        "ContentTypeError WSServerHandshakeError TooManyRedirects ClientHttpProxyError"
    ),
    errors.ClientConnectionError: "ServerConnectionError",
    errors.ClientPayloadError: "BodyTooLargeError",
    errors.DownloadError: "DigestMismatchError",
}
for base, names in FAMILIES.items():
    BASES |= dict.fromkeys(names.split(), (base,))


def attributes(exc: Exception) -> dict[str, object]:
    """Every public attribute, in a form that can be compared."""
    names = [name for name in dir(type(exc)) if name[0] != "_"] + list(vars(exc))
    # "characters_written" is an attribute that most OSErrors do not have
    values: dict[str, object] = {name: getattr(exc, name, None) for name in names if name != "code"}
    return {
        name: repr(value) if isinstance(value, Exception) else value
        for name, value in values.items()
        if not inspect.isroutine(value)
    } | {"args": repr(exc.args), "str": str(exc), "repr": repr(exc)}


def public_bases(cls: type[BaseException]) -> set[type[BaseException]]:
    """Return the nearest bases of *cls* that are public, and not those of aiohttp."""
    above = [
        base
        for base in cls.__mro__[1:]
        if base.__name__[0] != "_" and base.__module__.partition(".")[0] != "aiohttp"
    ]
    return {base for base in above if not any(issubclass(b, base) for b in above if b is not base)}


@pytest.mark.parametrize("name", BASES)
def test_bases(name: str) -> None:
    """The bases are the documented ones: they decide what an ``except`` catches."""
    assert public_bases(getattr(errors, name)) == set(BASES[name])


def test_every_exception_is_exported() -> None:
    """``__all__`` names each class of the module, and each is tested here."""
    classes = {
        name
        for name, value in vars(errors).items()
        if inspect.isclass(value) and issubclass(value, Exception) and name[0] != "_"
    }
    assert set(errors.__all__) == classes
    assert {by_class(exc) for exc in RAISED} == classes - {"FingerprintMismatch"} | {"LineTooLong"}
    assert errors.FingerprintMismatch is errors.ServerFingerprintMismatch


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("exc", RAISED, ids=by_class)
def test_pickling_keeps_everything(exc: Exception, protocol: int) -> None:
    """An error raised in another process arrives with all that it knew."""
    exc = copy.copy(exc)
    exc.found_by = "me"  # type: ignore[attr-defined]  # users annotate errors
    restored = pickle.loads(pickle.dumps(exc, protocol))
    assert type(restored) is type(exc)
    assert attributes(restored) == attributes(exc)


@pytest.mark.parametrize("exc", RAISED, ids=by_class)
def test_copying_keeps_everything(exc: Exception) -> None:
    """``copy.copy`` gives an equal error."""
    assert attributes(copy.copy(exc)) == attributes(exc)


@pytest.mark.parametrize("exc", RAISED, ids=by_class)
@pytest.mark.parametrize("show", [str, repr])
def test_no_error_shows_a_secret(exc: Exception, show: Callable[[object], str]) -> None:
    """Neither passwords in URLs nor credential headers nor cookies are ever shown."""
    assert "secret" not in show(exc)


def test_response_error() -> None:
    """The text names status, reason and the URL with its fragment."""
    exc = errors.ClientResponseError(INFO, (), status=404, message="Not Found", headers=HEADERS)
    assert str(exc) == "404, message='Not Found', url='http://host/path#f'"
    assert exc.args == (INFO, ())
    assert (exc.request_info, exc.history, exc.headers) == (INFO, (), HEADERS)
    assert exc.body is None
    assert repr(exc) == (
        f"ClientResponseError({INFO!r}, (), status=404, message='Not Found', "
        "headers=<CIMultiDictProxy('A': '1', 'Set-Cookie': '***', 'a': '2')>)"
    )


def test_response_error_defaults() -> None:
    """Without a response there is no status and no headers, and the ``repr`` skips them."""
    exc = errors.ClientResponseError(INFO, ())
    assert (exc.status, exc.message, exc.headers) == (0, "", None)
    assert repr(exc) == f"ClientResponseError({INFO!r}, ())"


def test_the_error_body_survives_pickling() -> None:
    """``body`` is set after the error was made, and travels with it."""
    exc = errors.ClientResponseError(INFO, (), status=500)
    exc.body = b'{"reason": "none"}'
    restored = pickle.loads(pickle.dumps(exc))
    assert restored.body == exc.body


def test_code_is_the_deprecated_name_of_status() -> None:
    """``code`` works with a warning, as argument and as attribute."""
    with pytest.warns(DeprecationWarning, match="status"):
        exc = errors.ClientResponseError(INFO, (), code=400)
    assert exc.status == 400
    with pytest.warns(DeprecationWarning, match="status"):
        assert exc.code == 400
    with pytest.warns(DeprecationWarning, match="status"):
        exc.code = 401
    assert exc.status == 401


def test_code_and_status_exclude_each_other() -> None:
    """Two names of one thing cannot both be given."""
    with pytest.raises(ValueError, match="status"):
        errors.ClientResponseError(INFO, (), code=400, status=400)


def test_connector_error() -> None:
    """The text names host, port, the kind of TLS and the reason."""
    exc = errors.ClientConnectorError(KEY, REFUSED)
    assert str(exc) == "Cannot connect to host host:443 ssl:default [Connection refused]"
    assert repr(exc) == f"<ClientConnectorError {exc}>"
    assert (exc.host, exc.port, exc.ssl) == ("host", 443, True)
    assert (exc.errno, exc.strerror) == (111, "Connection refused")
    assert exc.os_error is REFUSED
    assert exc.args == (KEY, REFUSED)
    assert "ssl:False" in str(errors.ClientConnectorError(KEY._replace(ssl=False), REFUSED))


@pytest.mark.parametrize(
    "kind",
    [
        errors.ClientProxyConnectionError,
        errors.ClientConnectorSSLError,
        errors.ClientConnectorCertificateError,
        errors.ClientConnectorDNSError,
    ],
)
def test_an_error_about_a_proxy_says_so(kind: type[errors.ClientConnectorError]) -> None:
    """The text tells it from an error about the origin, also after pickling."""
    exc = kind(ProxyKey(*KEY), BAD_CERTIFICATE)
    assert str(exc).startswith("Cannot connect through proxy host:443 ssl:")
    assert str(pickle.loads(pickle.dumps(exc))) == str(exc)


def test_connector_error_without_errno_shows_the_message() -> None:
    """An ``OSError`` made of a text alone has no ``strerror``; the text is shown instead."""
    exc = errors.ClientConnectorError(KEY, OSError("all addresses failed"))
    assert str(exc) == "Cannot connect to host host:443 ssl:default [all addresses failed]"


def test_unix_connector_error() -> None:
    """Of a unix socket the path is told."""
    exc = errors.UnixClientConnectorError("/run/socket", KEY, REFUSED)
    assert exc.path == "/run/socket"
    assert str(exc) == (
        "Cannot connect to unix socket /run/socket ssl:default [Connection refused]"
    )


def test_certificate_error() -> None:
    """The certificate's own error is shown, and ``ssl`` says whether TLS was spoken."""
    exc = errors.ClientConnectorCertificateError(KEY, BAD_CERTIFICATE)
    assert exc.ssl is True
    assert exc.certificate_error is BAD_CERTIFICATE
    assert exc.os_error is BAD_CERTIFICATE
    assert str(exc) == (
        "Cannot connect to host host:443 ssl:True "
        "[SSLCertVerificationError: (1, 'certificate verify failed')]"
    )


def test_certificate_error_that_is_no_os_error() -> None:
    """Older verification code raises a ``ValueError``; it is kept as it is."""
    exc = errors.ClientConnectorCertificateError(KEY, ValueError("bad name"))
    assert type(exc.os_error) is OSError
    assert "[ValueError: ('bad name',)]" in str(exc)
    restored = pickle.loads(pickle.dumps(exc))
    assert restored.certificate_error.args == ("bad name",)


@pytest.mark.parametrize(("mode", "kept"), [(ssl.CERT_REQUIRED, True), (ssl.CERT_NONE, False)])
def test_pickling_reduces_a_tls_context_to_whether_it_verifies(
    mode: ssl.VerifyMode, kept: bool
) -> None:
    """A TLS context cannot leave its process, the error about it can."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = mode
    exc = errors.UnixClientConnectorError("/p", KEY._replace(ssl=context), REFUSED)
    assert exc.ssl is context
    restored = pickle.loads(pickle.dumps(exc))
    assert restored.ssl is kept
    assert restored.args[1].ssl is kept


def test_server_disconnected() -> None:
    """The message has a default."""
    assert str(errors.ServerDisconnectedError()) == "Server disconnected"
    assert errors.ServerDisconnectedError("why").message == "why"


def test_fingerprint_mismatch() -> None:
    """Both fingerprints are kept and shown."""
    exc = errors.ServerFingerprintMismatch(b"\1", b"\2", "host", 443)
    assert (exc.expected, exc.got, exc.host, exc.port) == (b"\1", b"\2", "host", 443)
    assert str(exc) == "certificate of host:443 has fingerprint 02, expected 01"
    assert repr(exc) == (
        r"<ServerFingerprintMismatch expected=b'\x01' got=b'\x02' host='host' port=443>"
    )


def test_timeouts_are_the_builtin_one() -> None:
    """``except TimeoutError`` catches every timeout."""
    with pytest.raises(TimeoutError):
        raise errors.SocketTimeoutError("Timeout on reading data from socket")


def test_invalid_url() -> None:
    """The URL is kept as it was given, and shown without user info."""
    exc = errors.InvalidURL("http://user:pw@[", "no host")
    assert (exc.url, exc.description) == ("http://user:pw@[", "no host")
    assert exc.args == ("http://user:pw@[", "no host")
    assert str(exc) == "http://[ - no host"
    assert repr(exc) == "<InvalidURL http://[ - no host>"
    short = errors.InvalidURL(URL("/x"))
    assert (str(short), short.args, short.description) == ("/x", (URL("/x"),), None)


def test_non_http_url() -> None:
    """The argument is the URL."""
    assert str(errors.NonHttpUrlClientError(URL("ftp://u:p@host/x"))) == "ftp://host/x"
    assert repr(errors.NonHttpUrlClientError(URL("ftp://h"))) == "<NonHttpUrlClientError ftp://h>"
    assert str(errors.NonHttpUrlClientError(7)) == "7"


def test_websocket_error() -> None:
    """RFC 6455 §7.4.1: the code tells how the peer broke the protocol."""
    exc = errors.WebSocketError(1002, "Reserved bit set")
    assert (exc.code, str(exc), exc.args) == (1002, "Reserved bit set", (1002, "Reserved bit set"))


def test_line_too_long() -> None:
    """What was read and what was allowed are told."""
    exc = LineTooLong(b"GET /...", 8190, "9000")
    assert (exc.line, exc.limit, exc.actual_size, exc.code) == (b"GET /...", 8190, "9000", 400)
    assert str(exc) == "Got more than 8190 bytes when reading: b'GET /...'."
    assert LineTooLong(b"").args == (b"", "Unknown", "Unknown")
    assert exc.headers is None
    exc = LineTooLong(b"x", 4, unit="characters", option="size= of read()")
    expected = "Got more than 4 characters when reading: b'x'. The limit is set by size= of read()."
    assert str(exc) == str(copy.copy(exc)) == expected


def test_what_programs_for_aiohttp_catch() -> None:
    """Its names of errors of parsers can stand in an ``except`` clause, and catch ours."""
    assert LineTooLong.__bases__ == (http_exceptions.BadHttpMessage, errors.ClientPayloadError)
    assert issubclass(http_exceptions.BadStatusLine, http_exceptions.BadHttpMessage)
    assert http_exceptions.BadHttpMessage.__bases__ == (http_exceptions.HttpProcessingError,)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
async def test_responses_in_the_history_of_an_error_are_pickled(api: Api, protocol: int) -> None:
    """They come back as they are after their release: what was received, and no connection."""
    url = (api.url / "redirect/2").with_fragment("here")
    async with ClientSession() as session:
        with pytest.raises(errors.TooManyRedirects) as caught:
            await session.get(url, headers={"Authorization": "secret"}, max_redirects=2)
    restored: errors.TooManyRedirects = pickle.loads(pickle.dumps(caught.value, protocol))
    assert len(restored.history) == 2
    assert restored.request_info == caught.value.request_info
    for response, original in zip(restored.history, caught.value.history, strict=True):
        assert isinstance(response, ClientResponse)
        assert isinstance(original, ClientResponse)
        assert response.status == 302
        assert response.method == "GET"
        assert (response.url, response.real_url) == (original.url, original.real_url)
        assert response.headers == original.headers
        assert response.raw_headers == original.raw_headers
        assert response.request_info == original.request_info
        assert response.closed
        assert response.connection is None
        assert repr(response) == repr(original)
        with pytest.raises(errors.ClientConnectionError, match="closed"):
            await response.read()
        response.release()


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
async def test_credentials_for_one_origin_are_pickled(protocol: int) -> None:
    """The headers of the request are part of each error and response; they stay hidden."""

    async def fetch_token() -> str:
        return "secret"

    mock = MockConnector()
    mock.get("https://api.test/", status=404)
    bearer = BearerAuthMiddleware(fetch_token)
    async with ClientSession("https://api.test/", connector=mock, middlewares=[bearer]) as session:
        with pytest.raises(errors.ClientResponseError) as caught:
            await session.get("", raise_for_status=True)
    info = caught.value.request_info
    restored = pickle.loads(pickle.dumps(caught.value, protocol)).request_info
    for each in (restored, copy.deepcopy(info)):
        assert each == info
        assert each.headers["Authorization"] == "Bearer secret"
        assert "secret" not in repr(each)


async def test_a_response_that_has_been_read_is_pickled_with_its_body(api: Api) -> None:
    """One that has not been read comes without; each is of its own class."""
    async with ClientSession(response_class=Mine) as session:
        async with session.get(api.url / "redirect/1") as response:
            await response.read()
            restored = pickle.loads(pickle.dumps(response))
    assert type(restored) is Mine
    assert (await restored.json())["path"] == "/redirect/0"
    assert [each.status for each in restored.history] == [302]
    assert restored.version == (1, 1)


class Mine(ClientResponse):
    """A response class of an application."""


# -- beside aiohttp ------------------------------------------------------------------------

# Modules with the name of aiohttp's; tests/compat has tests with the real one.
MADE = (
    "import sys, types, anyhttp",
    "theirs = sys.modules['aiohttp.client_exceptions'] = types.ModuleType('theirs')",
)
CLASSES = (
    "theirs.ClientError = type('ClientError', (Exception,), {})",
    "theirs.InvalidURL = type('InvalidURL', (theirs.ClientError, ValueError), {})",
)


def test_namesakes_are_bases_when_they_exist() -> None:
    """A module that is being imported has none yet, and an older one lacks some."""
    printed = output_of(
        *MADE,
        "anyhttp.ClientError()",
        "theirs.__all__ = ('ClientError', 'InvalidURL')",
        CLASSES[0],
        "anyhttp.ClientError()",
        "assert not issubclass(anyhttp.ClientError, theirs.ClientError)",
        CLASSES[1],
        "error = anyhttp.ClientOSError(5, 'text')",
        "print(error.errno, error.strerror, error)",
        "assert issubclass(anyhttp.InvalidURL, theirs.InvalidURL)",
        "try:",
        "    raise anyhttp.InvalidUrlClientError('u', 'why')",
        "except theirs.ClientError as error:",
        "    print(error)",
    )
    assert printed.splitlines() == ["5 text [Errno 5] text", "u - why"]


def test_a_namesake_that_cannot_be_a_base() -> None:
    """The class is as it was: if it is its own namesake, or is derived from both the other way."""
    printed = output_of(
        *MADE,
        *CLASSES,
        "theirs.__all__ = ('ClientError', 'InvalidURL')",
        "theirs.InvalidURL = anyhttp.InvalidURL",
        "class Both(theirs.ClientError, anyhttp.ClientError): pass",
        "bases = anyhttp.ClientError.__bases__, anyhttp.InvalidURL.__bases__",
        "print(anyhttp.InvalidURL('u'), Both('text'))",
        "print(bases == (anyhttp.ClientError.__bases__, anyhttp.InvalidURL.__bases__))",
    )
    assert printed.splitlines() == ["u text", "True"]


def test_this_package_in_the_place_of_aiohttp() -> None:
    """Then there is nothing to do."""
    printed = output_of(
        "import sys, anyhttp",
        "sys.modules['aiohttp'] = anyhttp",
        "sys.modules['aiohttp.client_exceptions'] = anyhttp.client_exceptions",
        "bases = anyhttp.ClientOSError.__bases__",
        "print(anyhttp.ClientError('text'), anyhttp.ClientOSError.__bases__ == bases)",
    )
    assert printed == "text True"
