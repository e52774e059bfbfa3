"""Fields of responses, as text: what a peer may write into them."""

from __future__ import annotations

import codecs
import encodings
import re
import warnings
from contextlib import suppress
from typing import Any, Final

from multidict import CIMultiDict
from yarl import URL

from anyhttp import (
    ClientError,
    CookieJar,
    InvalidUrlRedirectClientError,
    NonHttpUrlRedirectClientError,
)
from anyhttp._downloads.content_range import parse_content_range
from anyhttp._headers import (
    BadContentDispositionHeader,
    BadContentDispositionParam,
    content_disposition,
    content_disposition_filename,
    is_token,
    parse_challenges,
    parse_content_disposition,
    parse_content_type,
    parse_date,
    parse_links,
    parse_mimetype,
    parse_parameters,
    parse_retry_after,
    read_all,
)
from anyhttp._headers.content_type import _parse
from anyhttp._targets import host_error
from anyhttp._websocket import HandshakeRefused, Offer
from anyhttp.client._redirects import redirect_target
from anyhttp.client_middleware_digest_auth import authorization, digest_challenge
from anyhttp.cookiejar import cookie_header, response_cookies
from tests.fuzz.target import target

_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f]")
_SITE: Final = URL("https://www.example.com/a/b")


def _text(data: bytes) -> str:
    """Return what the client makes of received bytes."""
    return data.decode("utf-8", "surrogateescape")


def _lines(data: bytes) -> list[str]:
    """Return the values of several lines of one field: of a head, no value has a line break."""
    return _text(data).split("\n")


@target(calls=60)
def set_cookie(data: bytes) -> None:
    """No line of ``Set-Cookie`` costs another one, or puts anything into a request but itself."""
    lines = _lines(data)
    good, bad = read_all(lines)
    assert len(good) + bad == len(lines)
    alone = [morsel for line in lines for morsel in read_all([line])[0]]
    assert good == alone[: len(good)]
    for morsel in good:
        assert morsel.key
        assert not _CONTROL.search(f"{morsel.key}{morsel.coded_value}{morsel.value}")
        assert ";" not in f"{morsel.key}{morsel.coded_value}"
        assert "=" not in morsel.key
        f"{morsel.key}{morsel.coded_value}".encode("utf-8", "surrogateescape")
        morsel.output()
    assert response_cookies(lines).keys() == {morsel.key for morsel in good}
    jar = CookieJar()
    jar.update_cookies_from_headers(lines, _SITE)
    assert len(jar) <= len(good)
    sent = cookie_header(jar, _SITE) or ""
    known = {f"{morsel.key}={morsel.coded_value}" for morsel in good}
    assert not sent or set(sent.split("; ")) <= {
        piece for one in known for piece in one.split("; ")
    }


@target()
def dates(data: bytes) -> None:
    """The short way for usual dates gives what the long one gives; no date is out of range."""
    text = _text(data)
    at = parse_date(text)
    assert at == parse_date(f"{text} ")  # which is no usual date
    assert at is None or -11_644_473_600 <= at < 253_402_300_800  # the years 1601 to 9999


@target()
def retry_after(data: bytes) -> None:
    """A number of seconds that is none or can be waited for; the second line is ``Date``."""
    value, _, date = _text(data).partition("\n")
    seconds = parse_retry_after(CIMultiDict({"Retry-After": value, "Date": date}), 1e9)
    assert seconds is None or seconds >= 0  # not NaN


@target(calls=200, memory=2000)
def links(data: bytes) -> None:
    """Each link has a URL without control characters, unless its host is one that is refused."""
    found = parse_links(_text(data), _SITE)
    for parameters in found.values():
        url = parameters["url"]
        assert isinstance(url, URL)
        assert url.is_absolute() or url.scheme
        assert not _CONTROL.search(str(url)) or host_error(url.raw_host)
        for name in parameters:
            assert is_token(name)
            assert name == name.lower()


@target(calls=100)
def content_disposition_field(data: bytes) -> None:
    """A field is understood, or refused with a warning; what is understood can be written again."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        kind, params = parse_content_disposition(_text(data))
        filename = content_disposition_filename(params)
    known = {BadContentDispositionHeader, BadContentDispositionParam}
    assert {warning.category for warning in caught} <= known
    assert kind or not params
    assert filename is None or isinstance(filename, str)
    plain = {name: value for name, value in params.items() if "*" not in name}
    assert not plain.get("filename", "").startswith(("/", "\\"))
    if kind is not None and not any(map(_CONTROL.search, plain.values())):
        again = content_disposition(kind, plain, quote_fields=False)
        assert parse_content_disposition(again) == (kind, plain)


@target(calls=100)
def content_type(data: bytes) -> None:
    """Whatever the type, it has a codec that decodes text, or none; memory does not grow."""
    text = _text(data)
    known = set(_cache())
    parsed = parse_content_type(text)
    assert parsed == _parse(text)
    assert parsed.fits("application/json") == parsed.is_json
    if parsed.encoding is not None:
        assert isinstance(codecs.lookup(parsed.encoding).name, str)
        b"\xff\0a".decode(parsed.encoding, "replace")
    # Python remembers for ever each name of a charset that it has looked up and not found.
    assert all(_cache()[name] is not None for name in set(_cache()) - known)
    assert dict(parse_mimetype(text).parameters) == dict(parsed.parameters)


def _cache() -> dict[str, Any]:
    cache: dict[str, Any] = encodings._cache
    return cache


@target(calls=100)
def challenges(data: bytes) -> None:
    """Names are tokens, a good line survives its neighbours, and a signature has its parameters."""
    lines = _lines(data)
    good = 'Digest realm="r\\"r", nonce=good'
    for challenge in parse_challenges([*lines, good]):
        assert is_token(challenge.scheme)
        for name in challenge.parameters:
            assert is_token(name)
            assert name == name.lower()
        with suppress(ClientError):
            _sign(challenge)
    last = parse_challenges([*lines, good])[-1]
    assert last.parameters == {"realm": 'r"r', "nonce": "good"}
    for line in lines:
        for name in parse_parameters(line):
            assert is_token(name)


def _sign(challenge: Any) -> None:
    checked = digest_challenge(challenge)
    header = authorization(
        checked, "user", "password", method="GET", uri="/", qop="auth", body_hash="",
        count="00000001", cnonce="c",
    )  # fmt: skip
    found = parse_parameters(header.removeprefix("Digest "))
    assert found["realm"] == checked.realm
    assert found["nonce"] == checked.nonce
    assert found["uri"] == "/"
    assert not re.search(r"[\r\n\x00]", header)
    header.encode("utf-8", "surrogateescape")


@target(calls=200, memory=2000)
def location(data: bytes) -> None:
    """A redirect leads to a URL that can be requested, or to one of two errors."""
    text = _text(data)
    headers = CIMultiDict({"Location": text})
    for requote, websocket in ((True, False), (False, False), (True, True)):
        try:
            url = redirect_target(_SITE, headers, requote=requote, websocket=websocket)
        except (InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError):
            continue
        assert (url is None) == (text == "")
        if url is not None:
            assert url.scheme in {"http", "https", "ws", "wss"}
            assert url.raw_host
            assert url.raw_host.isascii()
            assert url.port is None or 0 <= url.port <= 65535
            assert not re.search(r"[\x00-\x20\x7f]", f"{url.raw_host}{url.raw_path_qs}")
            assert url.raw_path_qs.startswith("/")
            # The user info is taken out of the URL before anybody sees it.
            assert not _CONTROL.search(str(url.with_user(None)).encode().decode())


@target()
def content_range(data: bytes) -> None:
    """A range lies within its file."""
    found = parse_content_range(_text(data))
    if found is not None:
        assert 0 <= found.first <= found.last
        assert found.total is None or found.last < found.total


@target(calls=100)
def websocket_handshake(data: bytes) -> None:
    """The first line is the extensions, the second the protocol: what was offered, or refused."""
    lines = (*_lines(data), "")
    headers = CIMultiDict({"Sec-WebSocket-Extensions": lines[0]})
    if lines[1]:
        headers["Sec-WebSocket-Protocol"] = lines[1]
    for compress in (0, 9, 15):
        with suppress(HandshakeRefused):
            _agree(headers, compress)


def _agree(headers: CIMultiDict[str], compress: int) -> None:
    accepted = Offer(("chat", "superchat"), compress).agreed(headers)
    assert accepted.protocol in {None, "chat", "superchat"}
    assert accepted.compression is None or compress
    assert accepted.window_bits <= compress
    deflater, inflater = accepted.deflater(), accepted.inflater()
    if deflater is not None and inflater is not None:
        assert inflater.inflate(deflater.compress(b"some text"), 0) == b"some text"
