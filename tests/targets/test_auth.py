from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
from yarl import URL

from anyhttp import BasicAuth, encode_basic_auth


@pytest.mark.parametrize(
    ("auth", "header"),
    [
        (BasicAuth("Aladdin", "open sesame"), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="),
        (BasicAuth("test", "123£", "utf-8"), "Basic dGVzdDoxMjPCow=="),
        (BasicAuth("test", "123£"), "Basic dGVzdDoxMjOj"),
        (BasicAuth("login"), "Basic bG9naW46"),
        (BasicAuth("a", "b:c"), "Basic YTpiOmM="),
    ],
)
def test_credentials_there_and_back(auth: BasicAuth, header: str) -> None:
    """RFC 7617 §2 and §2.1: in base64, in a charset that both sides have to know."""
    assert auth.encode() == header
    assert BasicAuth.decode(header, auth.encoding) == auth
    assert BasicAuth.decode(header.replace("Basic", "bAsIc"), auth.encoding) == auth
    assert encode_basic_auth(auth.login, auth.password, auth.encoding) == header


def test_the_function_sends_utf_8() -> None:
    """Unlike the class, whose default is older than RFC 7617."""
    assert encode_basic_auth("test", "123£") == "Basic dGVzdDoxMjPCow=="
    with pytest.raises(ValueError, match="RFC 7617"):
        encode_basic_auth("a:b")


def test_credentials_of_a_url() -> None:
    """They are percent-decoded; a URL that has none gives none."""
    assert BasicAuth.from_url(URL("http://us%40er:p%3Aw@host/")) == BasicAuth("us@er", "p:w")
    assert BasicAuth.from_url(URL("http://user@host/")) == BasicAuth("user")
    assert BasicAuth.from_url(URL("http://:secret@host/")) == BasicAuth("", "secret")
    auth = BasicAuth.from_url(URL("http://u:p@host/"), encoding="utf-8")
    assert auth is not None
    assert auth.encoding == "utf-8"
    assert BasicAuth.from_url(URL("http://host/")) is None
    untyped: Any = BasicAuth.from_url
    with pytest.raises(TypeError, match=r"url must be a yarl\.URL, not str"):
        untyped("http://u:p@host/")


@pytest.mark.parametrize("arguments", [(None,), ("a", None), ("a:b",)])
def test_what_credentials_are_not(arguments: Any) -> None:
    """A colon ends the login, so it can hold none."""
    with pytest.raises(ValueError):
        BasicAuth(*arguments)


@pytest.mark.parametrize("encoding", ["no-such", "undefined", "rot13", "hex", "a\0b"])
@pytest.mark.parametrize(
    "use",
    [
        lambda encoding: BasicAuth("a", "b", encoding),
        lambda encoding: BasicAuth.decode("Basic YTpi", encoding),
        lambda encoding: BasicAuth.from_url(URL("http://a:b@host/"), encoding=encoding),
        lambda encoding: encode_basic_auth("a", "b", encoding),
    ],
)
def test_an_encoding_that_encodes_no_text(use: Callable[[str], object], encoding: str) -> None:
    """Some codecs of Python are no charsets; that is known before anything is sent."""
    with pytest.raises(ValueError, match=r"^encoding must be a charset that Python knows$"):
        use(encoding)


@pytest.mark.parametrize("encoding", ["ascii", "idna"])
def test_what_an_encoding_cannot_encode(encoding: str) -> None:
    """The error does not show it."""
    with pytest.raises(ValueError, match=f"cannot be encoded as {encoding}") as caught:
        BasicAuth("user", "secr\u00e9t.." + 64 * "x", encoding).encode()
    assert caught.value.__cause__ is None
    assert "secr" not in str(caught.value)


@pytest.mark.parametrize(
    "header",
    ["", "Basic", "Basic c2VjcmV0", "Basic secret!", "Basic sécret", "Bearer secret", "secret"],
)
def test_what_is_no_header(header: str) -> None:
    """The message does not show what might be the credentials."""
    with pytest.raises(ValueError) as caught:
        BasicAuth.decode(header)
    assert "cret" not in str(caught.value)
    assert "c2VjcmV0" not in str(caught.value)


def test_the_repr_shows_no_password() -> None:
    """It is a tuple nevertheless, and survives pickling."""
    auth = BasicAuth("user", "secret")
    assert repr(auth) == "BasicAuth(login='user', password='***')"
    assert auth == ("user", "secret", "latin1")
    assert pickle.loads(pickle.dumps(auth)) == auth
