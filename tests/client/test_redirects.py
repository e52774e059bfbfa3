"""Where a redirect leads, and how the next request is made: pure functions, tried by tables."""

from __future__ import annotations

from typing import Final

import pytest
from multidict import CIMultiDict
from yarl import URL

from anyhttp import InvalidUrlRedirectClientError, NonHttpUrlRedirectClientError
from anyhttp.client._redirects import next_method, redirect_target, without_body_headers

ASKED: Final = URL("http://host:8080/a/b?q=1#part")


@pytest.mark.parametrize(
    ("status", "method", "expected"),
    [
        (301, "GET", ("GET", True)),
        (301, "POST", ("GET", False)),
        (301, "PUT", ("PUT", True)),
        (301, "DELETE", ("DELETE", True)),
        (301, "HEAD", ("HEAD", True)),
        (302, "GET", ("GET", True)),
        (302, "POST", ("GET", False)),
        (302, "PUT", ("PUT", True)),
        (303, "GET", ("GET", False)),
        (303, "POST", ("GET", False)),
        (303, "PUT", ("GET", False)),
        (303, "DELETE", ("GET", False)),
        (303, "HEAD", ("HEAD", True)),
        (307, "POST", ("POST", True)),
        (307, "PUT", ("PUT", True)),
        (308, "POST", ("POST", True)),
        (308, "GET", ("GET", True)),
    ],
)
def test_the_method_after_a_redirect(status: int, method: str, expected: tuple[str, bool]) -> None:
    """RFC 9110 §15.4: 303 asks for a GET; 301 and 302 turn a POST into one, as browsers do."""
    assert next_method(status, method) == expected


def test_what_describes_a_body_goes_with_it() -> None:
    """RFC 9110 §15.4: content-specific header fields are removed (CVE-2023-45803)."""
    headers = CIMultiDict(
        {
            "Accept": "*/*",
            "content-length": "3",
            "Content-Type": "text/plain",
            "Content-Encoding": "gzip",
            "Content-Language": "en",
            "Transfer-Encoding": "chunked",
            "expect": "100-continue",
            "X-Content": "kept",
        }
    )
    assert without_body_headers(headers) == {"Accept": "*/*", "X-Content": "kept"}


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        pytest.param("http://other/x", "http://other/x", id="another host"),
        pytest.param("https://host:8080/x", "https://host:8080/x", id="another scheme"),
        pytest.param("//other:81/x", "http://other:81/x", id="the same scheme"),
        pytest.param("/x", "http://host:8080/x", id="the same host"),
        pytest.param("x", "http://host:8080/a/x", id="beside it"),
        pytest.param("../x", "http://host:8080/x", id="above it"),
        pytest.param("?r=2", "http://host:8080/a/b?r=2", id="a query alone"),
        pytest.param("http:x", "http://host:8080/a/x", id="a scheme alone, beside it"),
        pytest.param("HTTP:/x", "http://host:8080/x", id="a scheme alone, the same host"),
        pytest.param("http:?r=2", "http://host:8080/a/b?r=2", id="a scheme and a query"),
        pytest.param("ht\ttp:/x", "http://host:8080/x", id="a scheme alone, with a tab in it"),
        pytest.param("/x#there", "http://host:8080/x#there", id="a fragment of its own"),
        pytest.param("/x y", "http://host:8080/x%20y", id="a space"),
        pytest.param("/caf\u00e9", "http://host:8080/caf%C3%A9", id="UTF-8"),
        pytest.param("/caf\udce9", "http://host:8080/caf%E9", id="no UTF-8"),
        pytest.param("http://b\u00fccher.example/", "http://xn--bcher-kva.example/", id="IDNA"),
        pytest.param("http://me:pw@host/", "http://me:pw@host/", id="credentials"),
        pytest.param("http://[::1]:8/", "http://[::1]:8/", id="IPv6"),
    ],
)
def test_the_target(location: str, expected: str) -> None:
    """RFC 9110 §10.2.2: a reference is resolved against the URL that was asked."""
    headers = CIMultiDict({"Location": location})
    target = redirect_target(ASKED, headers, requote=True)
    assert target == URL(expected, encoded=True)


@pytest.mark.parametrize(
    ("location", "expected"),
    [("/a%2fb%20c", "/a%2fb%20c"), ("/~x%7ey", "/~x%7ey"), ("/a+b?c+d", "/a+b?c+d")],
)
def test_the_target_is_taken_as_it_is(location: str, expected: str) -> None:
    """Without *requote* each character stays what the server wrote."""
    target = redirect_target(ASKED, CIMultiDict({"Location": location}), requote=False)
    assert target is not None
    assert target.raw_path_qs == expected


@pytest.mark.parametrize("requote", [True, False])
def test_a_response_that_names_no_target(requote: bool) -> None:
    """It is the final one, then."""
    assert redirect_target(ASKED, CIMultiDict(), requote=requote) is None


def test_an_old_name_of_the_header() -> None:
    """``URI`` is used where there is no ``Location``."""
    headers = CIMultiDict({"URI": "/old"})
    assert redirect_target(ASKED, headers, requote=True) == URL("http://host:8080/old")
    headers["Location"] = "/new"
    assert redirect_target(ASKED, headers, requote=True) == URL("http://host:8080/new")


@pytest.mark.parametrize(
    "location",
    [
        pytest.param("http://" + "a" * 2000 + "/", id="a host that is too long"),
        pytest.param("http://host:99999/", id="a port that is too large"),
        pytest.param("http://host:x/", id="a port that is no number"),
        pytest.param("http:///path", id="no host"),
        pytest.param("https://.host/", id="a host that begins with a dot"),
        pytest.param("http://a..b/", id="two dots in a row"),
        pytest.param("http:/\t/" + "\N{SNOWMAN}" * 600, id="a tab before a long host"),
        pytest.param("https:path", id="another scheme alone"),
        pytest.param("https:/path", id="another scheme alone, and a path"),
        pytest.param("http://[::1/", id="half an IPv6 address"),
        pytest.param("http://[::1]@/", id="brackets in the user info"),
        pytest.param("http://ho st/", id="a space in the host"),
        pytest.param("http://host\udce9/", id="bytes in the host"),
    ],
)
@pytest.mark.parametrize("requote", [True, False])
def test_a_target_that_is_no_url(location: str, requote: bool) -> None:
    """Nothing is sent anywhere, and the error says that it is the server's doing."""
    with pytest.raises(InvalidUrlRedirectClientError):
        redirect_target(ASKED, CIMultiDict({"Location": location}), requote=requote)


@pytest.mark.parametrize("location", ["/x y", "/x\x01y", "/x\x7fy"])
def test_a_target_that_would_split_the_request(location: str) -> None:
    """Without *requote* nobody escapes what must not stand in a request line."""
    with pytest.raises(InvalidUrlRedirectClientError):
        redirect_target(ASKED, CIMultiDict({"Location": location}), requote=False)


@pytest.mark.parametrize("location", ["/x#\udce9", "/x?\udce9", "/x#a b", "/x#\x1b[31m", "#\x01"])
def test_a_target_that_cannot_be_shown(location: str) -> None:
    """Without *requote*: the fragment is not sent, but ``str(response.url)`` holds it."""
    with pytest.raises(InvalidUrlRedirectClientError):
        redirect_target(ASKED, CIMultiDict({"Location": location}), requote=False)
    target = redirect_target(ASKED, CIMultiDict({"Location": location}), requote=True)
    assert target is not None
    assert str(target).isascii()
    assert str(target).isprintable()


@pytest.mark.parametrize("location", ["ftp://host/", "file:///etc/passwd", "mailto:me@host"])
def test_a_target_of_another_protocol(location: str) -> None:
    """It is never followed."""
    with pytest.raises(NonHttpUrlRedirectClientError):
        redirect_target(ASKED, CIMultiDict({"Location": location}), requote=True)


def test_the_error_does_not_show_credentials() -> None:
    """What yarl says may quote the user info, so its message is left out."""
    headers = CIMultiDict({"Location": "http://me:secret@host:x/"})
    with pytest.raises(InvalidUrlRedirectClientError) as caught:
        redirect_target(ASKED, headers, requote=True)
    assert "secret" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize(
    ("location", "requote", "description"),
    [
        ("http://host:x/", True, "the server redirects to something that is not a URL"),
        ("http://host:99999/", True, "the server redirects to something that is not a URL"),
        ("http://.host/", True, "host"),
        ("/x y", False, "spaces"),
        ("http://" + "a" * 2000 + "/", True, "host"),
    ],
)
def test_the_error_says_where_to_and_why(location: str, requote: bool, description: str) -> None:
    """With the target as the server has sent it, cut if it is very long."""
    with pytest.raises(InvalidUrlRedirectClientError) as caught:
        redirect_target(ASKED, CIMultiDict({"Location": location}), requote=requote)
    assert str(caught.value.url)[:50] == location[:50]
    assert description in str(caught.value.description)


def test_the_error_of_another_protocol_says_where_to() -> None:
    """There is no more to say."""
    with pytest.raises(NonHttpUrlRedirectClientError) as caught:
        redirect_target(ASKED, CIMultiDict({"Location": "ftp://host/"}), requote=True)
    assert str(caught.value) == "ftp://host/"


class TestWebSocket:
    """A handshake that is redirected."""

    PLAIN, TLS = URL("ws://host/"), URL("wss://host/")

    @pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
    def test_to_any_scheme(self, scheme: str) -> None:
        """A request that is none cannot be redirected to the first two."""
        headers = CIMultiDict({"Location": f"{scheme}://other/"})
        target = URL(headers["Location"])
        assert redirect_target(self.PLAIN, headers, requote=True, websocket=True) == target
        if scheme == "http":
            assert redirect_target(URL("https://host/"), headers, requote=True) == target
        if scheme in {"ws", "wss"}:
            with pytest.raises(NonHttpUrlRedirectClientError):
                redirect_target(ASKED, headers, requote=True)

    @pytest.mark.parametrize("scheme", ["ws", "wss", "http", "https"])
    def test_never_from_tls_to_none(self, scheme: str) -> None:
        """What is said on it would be said to everybody."""
        headers = CIMultiDict({"Location": f"{scheme}://other/"})
        if scheme in {"wss", "https"}:
            target = redirect_target(self.TLS, headers, requote=True, websocket=True)
            assert target == URL(headers["Location"])
        else:
            with pytest.raises(
                InvalidUrlRedirectClientError,
                match="- a WebSocket over TLS is redirected to one without TLS",
            ):
                redirect_target(self.TLS, headers, requote=True, websocket=True)


def test_a_target_without_a_port() -> None:
    """A connector may take schemes that have none of their own."""
    headers = CIMultiDict({"Location": "//other/x"})
    asked = URL("rtsp://host:554/")
    with pytest.raises(InvalidUrlRedirectClientError, match="the URL has no port"):
        redirect_target(asked, headers, requote=True)
    headers["Location"] = "//other:554/x"
    assert redirect_target(asked, headers, requote=True) == URL("rtsp://other:554/x")
