"""``guess_charset``: the charset of a text that does not tell."""

from __future__ import annotations

import importlib.util
import sys
from typing import Any, cast

import pytest

from anyhttp import ClientSession, guess_charset
from tests.support.api import Api

ANY = cast(Any, None)  # the response does not matter
RUSSIAN = "Съешь же ещё этих мягких французских булок, да выпей чаю. " * 5
JAPANESE = "いろはにほへと ちりぬるを わかよたれそ つねならむ うゐのおくやま\n" * 5

needs_it = pytest.mark.skipif(
    importlib.util.find_spec("charset_normalizer") is None,
    reason="charset-normalizer is not installed",
)


@pytest.mark.parametrize(
    ("body", "charset"),
    [
        (b"", "utf-8"),
        (b"plain", "utf-8"),
        ("grüße €".encode(), "utf-8"),
        (b"\xef\xbb\xbfmarked", "utf-8-sig"),
    ],
)
def test_what_needs_no_guess(body: bytes, charset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """UTF-8 is told from everything else by its form, without any other library."""
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    assert guess_charset(ANY, body) == charset


def test_the_extra_is_named_where_it_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A clear error, not an ImportError from within."""
    monkeypatch.setitem(sys.modules, "charset_normalizer", None)
    with pytest.raises(RuntimeError, match=r"pip install 'anyhttp-client\[charset\]'"):
        guess_charset(ANY, RUSSIAN.encode("koi8-r"))


@needs_it
@pytest.mark.parametrize(
    ("text", "charset"),
    [
        (RUSSIAN, "koi8-r"),
        (RUSSIAN, "cp1251"),
        (JAPANESE, "shift_jis"),
        (f"{RUSSIAN}\n" * 1000, "cp1251"),
        (RUSSIAN * 1000, "cp1251"),
        ("ASCII, but sixteen bits wide.", "utf-16"),
    ],
)
def test_a_guess_reads_the_text(text: str, charset: str) -> None:
    """Several charsets may say the same; what counts is the text."""
    body = text.encode(charset)
    assert body.decode(guess_charset(ANY, body)) == text


@needs_it
def test_what_is_no_text_is_called_utf_8() -> None:
    """There has to be an answer."""
    assert guess_charset(ANY, bytes(range(256)) * 3)


@needs_it
async def test_as_the_resolver_of_a_session(api: Api) -> None:
    """``text()`` asks it if the response does not tell."""
    body = RUSSIAN.encode("cp1251")
    api.mock.get(api.url, body=body, headers={"Content-Type": "text/plain"})
    async with ClientSession(fallback_charset_resolver=guess_charset) as session:
        async with session.get(api.url) as response:
            assert await response.text() == RUSSIAN
