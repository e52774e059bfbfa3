"""Over any chain of redirects: who sees which credential, and how each server is verified."""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final, NamedTuple
from unittest import mock

import pytest
from hypothesis import example, given, strategies as st
from yarl import URL

from anyhttp import BasicAuth, ClientSession, CookieJar, Fingerprint, TCPConnector
from anyhttp.connector import replaced_network
from tests.support.canned import Canned, CannedSource
from tests.support.examples import examples
from tests.support.responses import EMPTY, redirect

CONTEXT: Final = ssl.create_default_context()
PROXY: Final = "http://proxy.test:3128"
PROXY_LOGIN: Final = BasicAuth("proxy", "secret")
GIVEN_TO_PROXY: Final = "Basic of-the-header"
#: name and password in one word: whose they are
OPTION, IN_URL, SESSION, NETRC, NETRC_DEFAULT = (
    BasicAuth(who, who) for who in ("option", "url", "session", "netrc", "default")
)
HEADER: Final = "Bearer of-the-header"


class Place(NamedTuple):
    """An origin as a URL spells it."""

    scheme: str
    authority: str

    @property
    def host(self) -> str:
        return self.authority.partition(":")[0].lower()

    @property
    def origin(self) -> tuple[str, str, int]:
        """What RFC 6454 §4 compares."""
        port = self.authority.partition(":")[2]
        return self.scheme, self.host, int(port or {"http": 80, "https": 443}[self.scheme])

    def leads_to_tls(self, other: Place) -> bool:
        """Whether *other* is the same host behind TLS, both at their default ports."""
        return self.origin == ("http", self.host, 80) and other.origin == ("https", self.host, 443)


@dataclass(frozen=True)
class Step:
    """A redirect, and how its ``Location`` is written."""

    status: int
    place: Place
    written: str = "whole"
    login: str = ""


@dataclass(frozen=True)
class Asked:
    """What the program gives: with a request, in its session, in its environment."""

    place: Place
    auth: str = ""
    session_auth: bool = False
    base: Place | None = None
    cookies: bool = False
    cookie_header: bool = False
    host: bool = False
    proxy_header: bool = False
    proxy: str = ""
    netrc: bool = False
    ssl: Any = True
    server_hostname: str | None = None
    method: str = "GET"


class Seen(NamedTuple):
    """What one server sees of one request, and what is asked of its certificate."""

    place: Place
    method: str
    body: bytes
    authorization: str | None
    cookies: frozenset[str]
    host: str
    proxy_authorization: str | None
    ssl: Any
    server_hostname: str | None


places = st.builds(
    Place,
    st.sampled_from(["http", "https"]),
    st.sampled_from(["a.test", "A.test", "a.test:80", "a.test:443", "a.test:8080", "b.a.test"]),
)
steps = st.builds(
    Step,
    st.sampled_from([301, 302, 303, 307, 308]),
    places,
    st.sampled_from(["whole", "whole", "whole", "path", "no scheme"]),
    st.sampled_from(["", "", "", "moved:there"]),
)
askings = st.builds(
    Asked,
    place=places,
    auth=st.sampled_from(["", "option", "url", "header", "session header"]),
    session_auth=st.booleans(),
    base=st.one_of(st.none(), places),
    cookies=st.booleans(),
    cookie_header=st.booleans(),
    host=st.booleans(),
    proxy_header=st.booleans(),
    proxy=st.sampled_from(["", "with a login", "without"]),
    netrc=st.sampled_from([False, False, True]),  # it is read in a thread
    ssl=st.sampled_from([True, False, CONTEXT, Fingerprint(bytes(32))]),
    server_hostname=st.sampled_from([None, "name.test"]),
    method=st.sampled_from(["GET", "POST", "PUT"]),
)


# -- the model


def expected(asked: Asked, chain: list[Step]) -> Iterator[Seen]:
    """Tell what each server of the chain may see."""
    place, method, body = asked.place, asked.method, b"" if asked.method == "GET" else b"body"
    is_at_home = True  # no other origin has been in the chain so far
    is_verified_as_asked = True
    authorization = first_authorization(asked)
    has_been_secure = place.scheme == "https"
    for step in (None, *chain):
        if step is not None:
            if step.status == 303 or (step.status in {301, 302} and method == "POST"):
                method, body = "GET", b""
            before, place = place, target(place, step)
            if place.origin != before.origin:
                is_at_home = False
                is_verified_as_asked &= before.leads_to_tls(place)
                is_base = asked.base is not None and asked.base.origin == place.origin
                authorization = SESSION.encode() if asked.session_auth and is_base else None
            if step.login and step.written == "whole":
                authorization = BasicAuth(*step.login.split(":")).encode()
            is_downgraded = has_been_secure and place.scheme == "http"
            has_been_secure |= place.scheme == "https"
            if asked.netrc and authorization is None and not is_downgraded:
                authorization = NETRC.encode() if place.host == "b.a.test" else None
        given = {"option=1": asked.cookies, "header=1": asked.cookie_header}
        own = {pair for pair, is_given in given.items() if is_given and is_at_home}
        yield Seen(
            place=place,
            method=method,
            body=body,
            authorization=authorization,
            cookies=frozenset(own | jar_cookies(place)),
            host="given.test" if asked.host and is_at_home else written_host(place),
            proxy_authorization=for_proxy(asked, place, is_at_home=is_at_home),
            ssl=asked.ssl if is_verified_as_asked else True,
            server_hostname=asked.server_hostname if is_verified_as_asked else None,
        )


def for_proxy(asked: Asked, place: Place, *, is_at_home: bool) -> str | None:
    """Tell what the proxy is told: only where it reads the request, which is without TLS."""
    if not asked.proxy or place.scheme == "https":
        return None
    if asked.proxy == "with a login":  # which goes before a header
        return PROXY_LOGIN.encode()
    return GIVEN_TO_PROXY if asked.proxy_header and is_at_home else None


def first_authorization(asked: Asked) -> str | None:
    """Tell what the first server is told; the program says it in one way at most."""
    is_base = asked.base is None or asked.base.origin == asked.place.origin
    match asked.auth:
        case "option":
            return OPTION.encode()
        case "url":
            return IN_URL.encode()
        case "header" | "session header":
            return HEADER
    if asked.session_auth and is_base:
        return SESSION.encode()
    if asked.netrc:
        return (NETRC if asked.place.host == "b.a.test" else NETRC_DEFAULT).encode()
    return None


def target(before: Place, step: Step) -> Place:
    """Tell where *step* leads."""
    match step.written:
        case "path":
            return before
        case "no scheme":
            return Place(before.scheme, step.place.authority)
    return step.place


def jar_cookies(place: Place) -> set[str]:
    """Tell what the jar has for *place*."""
    found = {"domain=1"}
    if place.host == "a.test":
        found |= {"host=1"}
        if place.scheme == "https":
            found |= {"secure=1"}
    return found


def written_host(place: Place) -> str:
    """Tell how the authority of *place* is written: without its default port."""
    return place.authority.lower().removesuffix({"http": ":80", "https": ":443"}[place.scheme])


# -- the program


def location(step: Step, number: int) -> str:
    """Return the text of the header."""
    path = f"/{number}"
    login = f"{step.login}@" if step.login else ""
    match step.written:
        case "path":
            return path
        case "no scheme":
            return f"//{step.place.authority}{path}"
    return f"{step.place.scheme}://{login}{step.place.authority}{path}"


async def seen(asked: Asked, chain: list[Step]) -> list[Seen]:
    """Make the request, and return what servers saw of it."""
    answers = [redirect(location(step, number), step.status) for number, step in enumerate(chain)]
    waiting = iter([*answers, EMPTY])
    source = CannedSource(lambda: Canned(next(waiting)))
    jar = CookieJar()
    jar.update_cookies_from_headers(
        ["host=1", "secure=1; Secure", "domain=1; Domain=a.test"], URL("https://a.test/")
    )
    headers = {"Cookie": "header=1"} if asked.cookie_header else {}
    if asked.host:
        headers["Host"] = "given.test"
    if asked.proxy_header:
        headers["Proxy-Authorization"] = GIVEN_TO_PROXY
    options: dict[str, Any] = {}
    session_headers: dict[str, str] = {}
    match asked.auth:
        case "option":
            options["auth"] = OPTION
        case "header":
            headers["Authorization"] = HEADER
        case "session header":
            session_headers["Authorization"] = HEADER
    if asked.cookies:
        options["cookies"] = {"option": "1"}
    if asked.proxy:
        options.update(proxy=PROXY, proxy_auth=PROXY_LOGIN if "with a" in asked.proxy else None)
    if asked.method != "GET":
        options["data"] = b"body"
    login = f"{IN_URL.login}:{IN_URL.password}@" if asked.auth == "url" else ""
    async with ClientSession(
        None if asked.base is None else "{}://{}/".format(*asked.base),
        connector=TCPConnector(),
        cookie_jar=jar,
        headers=session_headers,
        auth=SESSION if asked.session_auth else None,
        trust_env=asked.netrc,
    ) as session:
        with replaced_network(source):
            async with session.request(
                asked.method,
                f"{asked.place.scheme}://{login}{asked.place.authority}/",
                headers=headers,
                ssl=asked.ssl,
                server_hostname=asked.server_hostname,
                **options,
            ) as response:
                assert response.status == HTTPStatus.OK
                assert len(response.history) == len(chain)
    return [what_was_seen(*each) for each in zip(source.requests, source.sent, strict=True)]


def what_was_seen(request: Any, sent: bytes) -> Seen:
    """Return what one server saw."""
    head, _, body = sent.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    fields = [(name.lower(), value) for name, value in (line.split(": ", 1) for line in lines)]
    found = dict(fields)
    assert len(found) == len(fields)
    url: URL = request.url
    authority = url.raw_host or ""
    if not url.is_default_port():
        authority += f":{url.port}"
    return Seen(
        place=Place(url.scheme, authority),
        method=first.split(" ")[0],
        body=body,
        authorization=found.get("authorization"),
        cookies=frozenset(found["cookie"].split("; ")) if "cookie" in found else frozenset(),
        host=found["host"],
        proxy_authorization=found.get("proxy-authorization"),
        ssl=request.connection_key.ssl,
        server_hostname=request.connection_key.server_hostname,
    )


@contextmanager
def environment() -> Iterator[None]:
    """Give the program a netrc file, and no proxies."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "netrc"
        path.write_text(
            "machine b.a.test login netrc password netrc\ndefault login default password default\n"
        )
        path.chmod(0o600)
        with mock.patch.dict(os.environ, {"NETRC": str(path)}):
            yield


@pytest.mark.once
@examples(60)
@given(asked=askings, chain=st.lists(steps, min_size=1, max_size=4))
@example(  # what comes without TLS may not choose for which host the netrc file is read
    asked=Asked(Place("https", "a.test"), netrc=True),
    chain=[Step(302, Place("http", "a.test:80")), Step(302, Place("http", "b.a.test"))],
)
async def test_who_sees_what(asked: Asked, chain: list[Step]) -> None:
    """CVE-2018-18074 and all that followed: what was given for one origin is for that one alone."""
    if asked.auth and asked.session_auth:
        asked = replace(asked, session_auth=False)
    with environment():
        found = await seen(asked, chain)
    for number, (server, model) in enumerate(zip(found, expected(asked, chain), strict=True)):
        model = (
            model._replace(place=server.place)
            if model.place.origin == server.place.origin
            else model
        )
        assert server == model, (number, asked, chain)
