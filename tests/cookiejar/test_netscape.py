"""``cookies.txt``: what curl and ``http.cookiejar`` write is read, and they read ours."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from contextlib import suppress
from http.cookiejar import MozillaCookieJar
from http.cookies import CookieError, SimpleCookie
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st
from yarl import URL

from anyhttp import CookieJar
from anyhttp._headers import read_all
from anyhttp.cookiejar import cookie_header
from anyhttp.cookiejar._matching import Place, scoped
from anyhttp.cookiejar._netscape import (
    BadLine,
    is_netscape,
    netscape_file,
    netscape_line,
    read_netscape,
)
from tests.support.examples import examples

SITE = URL("https://www.example.com/x/y")
TITLE = "# Netscape HTTP Cookie File\n"
LATER = 4_000_000_000

CURL = shutil.which("curl")


def sent(jar: CookieJar, url: URL | str = SITE) -> str:
    """Return the ``Cookie`` header for *url*, empty if there is none."""
    return cookie_header(jar, URL(url)) or ""


def loaded(path: Path, content: str | bytes, **options: Any) -> CookieJar:
    """Return a jar with the cookies of a file that has this content."""
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    jar = CookieJar(**options)
    jar.load(path)
    return jar


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The path of a file that is not there yet."""
    return tmp_path / "cookies.txt"


@pytest.fixture
def jar() -> CookieJar:
    """A jar with cookies of all kinds."""
    jar = CookieJar()
    jar.update_cookies_from_headers(
        [
            "host=1",
            f"domain=2; Domain=example.com; Max-Age={60 * 60}",
            "path=3; Path=/x/; HttpOnly",
            "secure=4; Secure; HttpOnly; Domain=example.com",
            "__Host-prefix=5; Secure; Path=/",
            'quoted="a b\\"c,"',
            "equals=a=b==",
            "empty=",
            "bytes=\udce9\udcff",
            "unicode=ключ",
        ],
        SITE,
    )
    return jar


class TestReading:
    @pytest.mark.parametrize(
        "title", [TITLE, "# HTTP Cookie File\r\n", "\n\n", "", "# mine\n" + TITLE]
    )
    @pytest.mark.parametrize("end", ["\n", "\r\n"])
    def test_what_others_write(self, file: Path, title: str, end: str) -> None:
        """With or without a title, comments and blank lines, on Windows or elsewhere."""
        lines = [
            "# https://curl.se/docs/http-cookies.html",
            "",
            f"www.example.com\tFALSE\t/\tFALSE\t{LATER}\thost\t1",
            f".example.com\tTRUE\t/x\tTRUE\t{LATER}.25\tdomain\t2",
            "#HttpOnly_.Example.com\ttrue\t/\tfalse\t0\tsession\t3",
            "   ",
        ]
        jar = loaded(file, title + end.join(lines) + end)
        assert sent(jar) == "domain=2; host=1; session=3"
        assert sent(jar, "https://example.com/x") == "domain=2; session=3"
        assert sent(jar, "http://other.example.com/") == "session=3"
        assert {cookie.key for cookie in jar if cookie["httponly"]} == {"session"}
        assert jar.host_only_cookies == {("www.example.com", "", "host")}

    @pytest.mark.parametrize(
        ("line", "header"),
        [
            ("www.example.com\tFALSE\t/\tFALSE\t0\tname", "name="),
            ("www.example.com\tFALSE\t/\tFALSE\t0\tname\t", "name="),
            ("www.example.com\tFALSE\t/\tFALSE\t\tname\tvalue", "name=value"),
            ("www.example.com\tFALSE\t/\tFALSE\t-1\tname\tvalue", "name=value"),
            ("www.example.com\tFALSE\t\tFALSE\t0\tname\tvalue", "name=value"),
            ("example.com\tTRUE\t/\tFALSE\t0\tname\tvalue", "name=value"),
            (".www.example.com\tFALSE\t/\tFALSE\t0\tname\tvalue", "name=value"),
            (".example.com\tFALSE\t/\tFALSE\t0\tname\tvalue", ""),
            ('www.example.com\tFALSE\t/\tFALSE\t0\tname\t"a b\\"c"', 'name="a b\\"c"'),
            ("www.example.com\tFALSE\t/\tFALSE\t0\tname\t a=b=# ", "name=a=b=#"),
            ("www.example.com\tFALSE\t/\tFALSE\t0\tимя\tключ", "имя=ключ"),
            # nobody could set them, or they have expired
            ("www.example.com\tFALSE\t/\tFALSE\t1\tname\tvalue", ""),
            ("www.example.com\tFALSE\t/\tFALSE\t0\t\tvalue", ""),
            ("www.example.com\tFALSE\t/\tFALSE\t0\t__Secure-name\tvalue", ""),
            ("127.0.0.1\tFALSE\t/\tFALSE\t0\tname\tvalue", ""),
        ],
    )
    def test_lines(self, file: Path, line: str, header: str) -> None:
        """What programs write where the format leaves them the choice."""
        assert sent(loaded(file, TITLE + line)) == header

    def test_addresses(self, file: Path) -> None:
        """A jar that accepts their cookies loads them."""
        jar = loaded(file, TITLE + "127.0.0.1\tFALSE\t/\tFALSE\t0\ta\tb\n", unsafe=True)
        assert sent(jar, "http://127.0.0.1/") == "a=b"

    def test_bytes_that_are_no_text(self, file: Path) -> None:
        """They go back to their server as they are."""
        jar = loaded(file, TITLE.encode() + b"www.example.com\tFALSE\t/\tFALSE\t0\ta\t\xe9\xff\n")
        assert sent(jar) == "a=\udce9\udcff"

    def test_a_mark_at_the_beginning(self, file: Path, jar: CookieJar) -> None:
        """Editors on Windows write one; it is in the way of neither format."""
        line = "www.example.com\tFALSE\t/\tFALSE\t0\ta\tb\n"
        assert sent(loaded(file, f"\ufeff{line}")) == "a=b"
        jar.save(file)
        assert len(loaded(file, b"\xef\xbb\xbf" + file.read_bytes())) == len(jar)

    def test_a_title_alone(self, file: Path) -> None:
        """It is a jar without cookies."""
        assert len(loaded(file, TITLE)) == 0

    @pytest.mark.parametrize(
        ("line", "message"),
        [
            ("www.example.com FALSE / FALSE 0 secret secret", "it has 1 fields, separated by tabs"),
            ("www.example.com\tFALSE\t/\tFALSE\t0", "it has 5 fields, separated by tabs, not 7"),
            ("www.example.com\tFALSE\t/\tFALSE\t0\ta\tsecret\tsecret", "it has 8 fields"),
            ("www.example.com\tmaybe\t/\tFALSE\t0\ta\tsecret", "second field is neither TRUE nor"),
            ("www.example.com\tFALSE\t/\t1\t0\ta\tsecret", "its fourth field is neither TRUE nor"),
            ("www.example.com\tFALSE\t/\tFALSE\tsoon\ta\tsecret", "fifth field is not a time"),
            (
                f"www.example.com\tFALSE\t/\tFALSE\t{'9' * 400}\ta\tsecret",
                "fifth field is not a time",
            ),
            ("\tFALSE\t/\tFALSE\t0\ta\tsecret", "it has no domain"),
            ("#HttpOnly_.\tFALSE\t/\tFALSE\t0\ta\tsecret", "it has no domain"),
            ("www|example.com\tFALSE\t/\tFALSE\t0\ta\tsecret", "its domain holds a '|'"),
            (
                "www.exa\x00mple.com\tFALSE\t/\tFALSE\t0\ta\tsecret",
                "domain or path holds a control",
            ),
            (
                "www.example.com\tFALSE\t/\x7f\tFALSE\t0\ta\tsecret",
                "domain or path holds a control",
            ),
            (
                "www.example.com\tFALSE\t/\tFALSE\t0\ta\tx\rsecret",
                "a control character or a semicolon",
            ),
            ("www.example.com\tFALSE\t/\tFALSE\t0\ta\tsecret; b", "a control character or a semi"),
            ("www.example.com\tFALSE\t/\tFALSE\t0\ta=b\tsecret", "a cookie cannot be named 'a=b'"),
        ],
    )
    def test_a_damaged_line(self, file: Path, line: str, message: str) -> None:
        """The error names file and line, shows no value, and the jar is as it was."""
        good = "www.example.com\tFALSE\t/\tFALSE\t0\tgood\t1\n"
        file.write_text(TITLE + good + line + "\n" + good, newline="")
        jar = CookieJar()
        jar.update_cookies({"old": "1"})
        with pytest.raises(
            ValueError, match=rf"cookies.txt' is not a file of cookies: line 3: .*{message}"
        ) as caught:
            jar.load(file)
        assert "secret" not in str(caught.value)
        assert sent(jar) == "old=1"

    @pytest.mark.parametrize(
        "content",
        ["", "\n", "# a comment\n", "# a comment\nkey = value\n", "<html>\t</html", "\x00"],
    )
    def test_another_file(self, file: Path, content: str) -> None:
        """A cut or foreign file is no empty jar."""
        with pytest.raises(ValueError, match="is not a file of cookies"):
            loaded(file, content)

    @given(st.binary(), st.booleans())
    def test_any_bytes(self, content: bytes, titled: bool) -> None:
        """Whatever is in a file, it is cookies or a ``ValueError``."""
        content = TITLE.encode() * titled + content
        if is_netscape(content):
            with suppress(BadLine):
                list(read_netscape(content, 0.0))


class TestWriting:
    def test_it_comes_back(self, file: Path, jar: CookieJar) -> None:
        """Whole, and in the order in which they are sent."""
        jar.save(file, format="netscape")
        again = CookieJar()
        again.load(file)
        for url in (SITE, URL("http://www.example.com/"), URL("https://a.example.com/x/")):
            assert sent(again, url) == sent(jar, url)
        assert again.host_only_cookies == jar.host_only_cookies
        for attribute in ("httponly", "secure", "path", "domain"):
            assert {cookie.key: cookie[attribute] for cookie in again} == {
                cookie.key: cookie[attribute] for cookie in jar
            }

    def test_what_it_looks_like(self, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        """A title, and a line for each cookie, for its owner alone."""
        monkeypatch.setattr(time, "time", lambda: 1_700_000_000.5)
        jar = CookieJar()
        jar.update_cookies_from_headers(
            ["a=1", "b=2; Domain=example.com; Path=/x; Secure; HttpOnly; Max-Age=60"], SITE
        )
        jar.save(file, format="netscape")
        title, note, blank, *lines = file.read_text().split("\n")
        assert title + "\n" == TITLE
        assert (note[0], blank) == ("#", "")
        assert lines == [
            "www.example.com\tFALSE\t/x\tFALSE\t0\ta\t1",
            "#HttpOnly_.example.com\tTRUE\t/x\tTRUE\t1700000060\tb\t2",
            "",
        ]
        assert file.stat().st_mode & 0o077 == 0

    def test_what_it_has_no_place_for(self, file: Path, caplog: pytest.LogCaptureFixture) -> None:
        """The log says how many cookies are left out; JSON has them all."""
        odd = SimpleCookie("tab=1; lines=2")
        try:
            odd["tab"]["path"] = "/\t"
            odd["lines"]["path"] = "/\nwww.evil.test\tFALSE\t/\tFALSE\t0\ta\tb"
        except CookieError:  # this Python refuses it already
            odd = SimpleCookie()
        jar = CookieJar()
        jar.update_cookies({"everywhere": "1"})
        jar.update_cookies(odd, SITE)
        jar.update_cookies({"good": "1"}, SITE)
        jar.save(file, format="netscape")
        assert f"left out {1 + len(odd)} cookies" in caplog.text
        again = CookieJar()
        again.load(file)
        assert [cookie.key for cookie in again] == ["good"]
        jar.save(file)
        assert len(json.loads(file.read_text())) == 2 + len(odd)

    def test_an_unknown_format(self, file: Path) -> None:
        """The message says which there are."""
        unknown: Any = "pickle"
        with pytest.raises(ValueError, match='format must be "json" or "netscape", not \'pickle\''):
            CookieJar().save(file, format=unknown)
        assert not file.exists()

    @examples(50)
    @given(
        name=st.text("aZ09!#$%&'*+-.^_`|~\"\\()/:<>?@[]{}кé \xa0", min_size=1, max_size=5),
        value=st.text(st.characters(exclude_categories=["C"]), max_size=5),
        attributes=st.sampled_from(["", "; Domain=example.com; HttpOnly", "; Secure; Max-Age=60"]),
    )
    def test_any_cookie(self, name: str, value: str, attributes: str) -> None:
        """A cookie that a server can set is read as it was written."""
        for morsel in read_all([f"{name}={value}{attributes}"])[0]:
            cookie = scoped(morsel, Place("www.example.com", "/", secure=True), 1000.0)
            line = cookie and netscape_line(cookie)
            if line:  # else a prefix such as "__Host-" has not been obeyed
                (again,) = read_netscape(netscape_file([line]), 1000.0)
                for attribute in ("name", "text", "path", "host_only", "secure", "expires"):
                    assert getattr(again, attribute) == getattr(cookie, attribute)
                assert again.morsel.value == morsel.value


class TestOthers:
    """The same files for programs that people have."""

    def test_the_standard_library_reads_it(self, file: Path, jar: CookieJar) -> None:
        """It knows whom the cookies are for; but it reads no bytes that are not UTF-8."""
        jar.clear(lambda cookie: cookie.key == "bytes")
        jar.save(file, format="netscape")
        theirs = MozillaCookieJar(file)
        theirs.load(ignore_discard=True, ignore_expires=True)
        found = {cookie.name: cookie for cookie in theirs}
        assert found.keys() == {cookie.key for cookie in jar}
        assert (found["host"].domain, found["host"].domain_specified) == ("www.example.com", False)
        assert (found["domain"].domain, found["domain"].domain_specified) == (".example.com", True)
        assert found["quoted"].value == '"a b\\"c,"'
        assert found["secure"].secure
        assert found["secure"].has_nonstandard_attr("HTTPOnly")

    def test_what_the_standard_library_writes_is_read(self, file: Path, jar: CookieJar) -> None:
        """There and back."""
        jar.clear(lambda cookie: cookie.key == "bytes")
        jar.save(file, format="netscape")
        theirs = MozillaCookieJar(file)
        theirs.load(ignore_discard=True, ignore_expires=True)
        theirs.save(ignore_discard=True, ignore_expires=True)
        again = CookieJar()
        again.load(file)
        assert sorted(sent(again).split("; ")) == sorted(sent(jar).split("; "))
        assert again.host_only_cookies == jar.host_only_cookies

    @pytest.mark.skipif(CURL is None, reason="curl is not installed")
    def test_curl(self, file: Path, tmp_path: Path, jar: CookieJar) -> None:
        """It reads the file, and what it writes of it is read again."""
        jar.save(file, format="netscape")
        written = tmp_path / "by curl"
        subprocess.run(
            [str(CURL), "-sS", "-b", file, "-c", written, (tmp_path / "none").as_uri()],
            check=False,
            capture_output=True,
        )
        again = CookieJar()
        again.load(written)
        assert sorted(sent(again).split("; ")) == sorted(sent(jar).split("; "))
        assert again.host_only_cookies == jar.host_only_cookies
        assert {cookie.key: cookie["httponly"] for cookie in again} == {
            cookie.key: cookie["httponly"] for cookie in jar
        }
