"""What a redirect makes of a request: what stays, and what the next server must not get."""

from __future__ import annotations

from typing import Any

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import BasicAuth, ClientPayloadError, ClientRequest, ClientTimeout
from anyhttp._http1 import Limits
from anyhttp._targets import Destination, origin_of
from anyhttp.client._hop import Hop, Settings, version_of
from anyhttp.client._session_scope import SessionDefaults
from anyhttp.client_reqrep import RequestSettings
from anyhttp.middlewares import RetryMiddleware
from anyhttp.payload import BytesPayload

ME, OTHER = BasicAuth("me", "secret"), BasicAuth("other", "secret")
HERE = URL("http://host.test/a")
FIELDS = {
    "Host": "name.test",
    "Cookie": "a=1",
    "Authorization": "Bearer x",
    "Proxy-Authorization": "Basic y",
    "Content-Type": "text/plain",
    "X-Other": "stays",
}


def defaults(auth: BasicAuth | None = None, base: URL | None = None) -> SessionDefaults:
    """Return those of a session."""
    return SessionDefaults(
        base_origin=None if base is None else origin_of(base),
        auth=auth,
        request_class=ClientRequest,
        fallback_charset_resolver=lambda response, body: "utf-8",
        retry_connections=True,
        log_query=False,
    )


def hop(method: str = "POST", url: URL = HERE, **settings: Any) -> Hop:
    """Return a request with everything that is for one origin alone."""
    made = Hop(None, method, Destination(url), RequestSettings(**settings))
    made.headers = CIMultiDict(FIELDS)
    made.cookies = {"a": "1"}
    made.auth = ME
    made.body = BytesPayload(b"hello")
    return made


def test_a_new_one() -> None:
    """It names its session, and has no body, no credentials, and no headers that were prepared."""
    session = object()
    made = Hop(session, "GET", Destination(HERE), RequestSettings())
    assert made.session is session
    assert made.body is None
    assert made.auth is None
    assert made.prepared is None
    assert made.headers_version == 0
    assert made.url == HERE


def test_headers_are_copied_before_they_are_changed() -> None:
    """They may be those of the session, which later requests have too."""
    made = hop()
    ours = made.headers
    made.prepared = object()  # type: ignore[assignment]
    made.copy_headers()
    assert made.headers == ours
    assert made.headers is not ours
    assert made.headers_version == version_of(made.headers)
    assert made.prepared is not None
    copied = made.headers
    assert made.change_headers() is made.headers
    assert made.headers == copied
    assert made.headers is not copied
    assert made.prepared is None
    given = CIMultiDict({"A": "b"})
    assert made.change_headers(given) is given
    assert made.headers is given


class TestCredentials:
    """Where those of a request come from."""

    @staticmethod
    def taken(url: str, given: BasicAuth | None = None, of_session: BasicAuth | None = None) -> Hop:
        made = hop(url=URL(url))
        made.auth = None
        del made.headers["Authorization"]
        made.take_credentials(given, defaults(of_session))
        return made

    def test_one_of_three(self) -> None:
        """The option, the URL, or else the session."""
        assert self.taken("http://host.test/").auth is None
        assert self.taken("http://host.test/", of_session=OTHER).auth == OTHER
        assert self.taken("http://host.test/", ME, OTHER).auth == ME
        made = self.taken("http://me:secret@host.test/?q#f", of_session=OTHER)
        assert made.auth == ME
        assert made.url == URL("http://host.test/?q#f")
        assert not made.destination.has_credentials

    def test_never_two(self) -> None:
        """Nobody could say which is meant."""
        with pytest.raises(ValueError, match="credentials in the URL"):
            self.taken("http://me:secret@host.test/", OTHER)
        made = hop()
        with pytest.raises(ValueError, match="an Authorization header"):
            made.take_credentials(ME, defaults())
        made.take_credentials(None, defaults())
        assert made.auth is None


@pytest.mark.parametrize(
    ("size", "options", "streams"),
    [
        (None, {}, False),
        (10, {}, False),
        (1_000_000, {}, True),
        (10, {"compress": "gzip"}, True),
        (10, {"expect100": True}, True),
    ],
)
def test_which_bodies_take_a_task(size: int | None, options: Any, streams: bool) -> None:
    """All but small ones that are sent with the head as they are."""
    made = hop(**options)
    made.body = None if size is None else BytesPayload(bytes(size))
    assert made.streams is streams


class TestRedirect:
    """From one request to the next."""

    def test_without_the_body(self) -> None:
        """What was said of the body goes with it."""
        made = hop(compress="gzip", chunked=True, expect100=True, server_hostname="name.test")
        made.redirect(303, HERE / "b", defaults())
        assert (made.method, made.url, made.body) == ("GET", HERE / "b", None)
        assert made.settings == RequestSettings(server_hostname="name.test")
        assert "Content-Type" not in made.headers
        assert made.headers["X-Other"] == "stays"

    def test_with_the_body(self) -> None:
        """Everything stays at the same origin."""
        made = hop(compress="gzip", chunked=True, expect100=True)
        body, settings = made.body, made.settings
        made.redirect(307, HERE / "b", defaults())
        assert (made.method, made.url, made.body) == ("POST", HERE / "b", body)
        assert made.settings is settings
        assert made.headers == FIELDS
        assert made.cookies == {"a": "1"}
        assert made.auth == ME

    def test_with_a_body_that_is_used_up(self) -> None:
        """It cannot be sent; but it does not have to be for another method."""
        made = hop()
        assert made.body is not None
        made.body._consumed = True
        with pytest.raises(ClientPayloadError, match="used up"):
            made.redirect(307, HERE, defaults())
        made.redirect(303, HERE, defaults())
        assert made.body is None

    @pytest.mark.parametrize("target", ["http://other.test/", "https://host.test:444/"])
    def test_to_another_origin(self, target: str) -> None:
        """What the caller has given for the first one stays there, also how to verify it."""
        made = hop(method="GET", ssl=False, server_hostname="name.test")
        made.redirect(302, URL(target), defaults(auth=OTHER))
        assert set(made.headers) == {"Content-Type", "X-Other"}
        assert made.cookies is None
        assert made.auth is None
        assert made.settings == RequestSettings()

    def test_to_tls(self) -> None:
        """The same host, by TLS: how it is verified was meant for it."""
        made = hop(method="GET", ssl=False, server_hostname="name.test")
        made.redirect(301, URL("https://host.test/"), defaults())
        assert made.settings == RequestSettings(ssl=False, server_hostname="name.test")
        assert made.auth is None
        assert "Cookie" not in made.headers

    def test_to_the_origin_of_the_session(self) -> None:
        """Its credentials are for that one."""
        made = hop(method="GET", url=URL("http://other.test/"))
        made.redirect(302, HERE, defaults(auth=OTHER, base=HERE))
        assert made.auth == OTHER
        made.redirect(302, URL("http://other.test/"), defaults(auth=OTHER, base=HERE))
        assert made.auth is None

    @pytest.mark.parametrize(
        ("target", "expected"),
        [
            ("http://me:word@host.test/b", BasicAuth("me", "word")),
            ("http://me@host.test/b", BasicAuth("me", "")),
            ("http://:word@host.test/b", BasicAuth("", "word")),
        ],
    )
    def test_to_credentials_in_the_target(self, target: str, expected: BasicAuth) -> None:
        """They take the place of all others, and are not part of the URL."""
        for fields in (FIELDS, {}):
            made = hop(method="GET")
            made.headers = CIMultiDict(fields)
            made.redirect(302, URL(target), defaults())
            assert made.auth == expected
            assert made.url == HERE.with_path("/b")
            assert "Authorization" not in made.headers


def test_what_runs_code_that_does_not_watch_the_time() -> None:
    """The environment is read, middlewares of a program, and functions that look at a status."""

    def settings(**options: Any) -> bool:
        given: dict[str, Any] = {"raise_for_status": False} | options
        made = Settings(
            timeout=ClientTimeout(),
            limits=Limits(),
            read_bufsize=1,
            auto_decompress=True,
            max_body_size=None,
            request=RequestSettings(),
            **given,
        )
        return made.runs_other_code

    async def middleware(request: Any, handler: Any) -> Any:
        raise NotImplementedError

    async def look(response: Any) -> None:
        raise NotImplementedError

    assert settings() is False
    assert settings(raise_for_status=True) is False
    assert settings(middlewares=(RetryMiddleware(),)) is False
    assert settings(middlewares=(middleware,)) is True
    assert settings(middlewares=(RetryMiddleware(), middleware)) is True
    assert settings(trust_env=True) is True
    assert settings(raise_for_status=look) is True
