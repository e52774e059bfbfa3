"""Credentials from the user's netrc file: who gets them, and who never does."""

from __future__ import annotations

import base64
import logging
import os
import threading
from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import BasicAuth, ClientSession, ClientTimeout, TCPConnector
from anyhttp._targets.auth import netrc_auth
from tests.support.api import Api
from tests.support.server import Server

FILE = """\
machine 127.0.0.1 login user password s3cret
machine Named.Example login named password other
machine xn--mnchen-3ya.example login m password umlaut
machine secret.example login secret password grün
machine account.example account acc password pass
machine nothing.example
default login anyone password shared
"""


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that ``$NETRC`` names."""
    path = tmp_path / "the netrc"
    path.write_text(FILE, encoding="utf-8")
    monkeypatch.setenv("NETRC", str(path))
    return path


def write(path: Path, content: bytes | None) -> None:
    """Make *content* that of the file, or remove it."""
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)


def basic(login: str, password: str) -> str:
    """Return the header for them."""
    return "Basic " + base64.b64encode(f"{login}:{password}".encode()).decode()


async def sent(session: ClientSession, url: URL, **options: Any) -> list[str]:
    """Return the ``Authorization`` headers that arrive for *url*."""
    async with session.get(url, **options) as response:
        headers = (await response.json())["headers"]
    return [value for name, value in headers if name.lower() == "authorization"]


class TestTheFile:
    @pytest.mark.parametrize(
        ("url", "auth"),
        [
            ("http://127.0.0.1:8080/", ("user", "s3cret")),
            ("https://named.example/", ("named", "other")),
            ("https://NAMED.EXAMPLE/", ("named", "other")),
            ("https://münchen.example/", ("m", "umlaut")),
            ("https://account.example/", ("acc", "pass")),
            ("https://nothing.example/", None),
            # CVE-2024-47081: what stands before the host is not the host
            ("http://named.example:@other.example/", None),
            ("http://named.example:80@other.example/", None),
            ("http://other.example/named.example", None),
            ("http://sub.named.example/", None),
            ("http://named.example.other.example/", None),
            ("http://default/", None),
        ],
    )
    @pytest.mark.usefixtures("netrc")
    async def test_the_host_alone_decides(self, url: str, auth: tuple[str, str] | None) -> None:
        """Compared as a whole and without case; neither port nor scheme count."""
        found = await netrc_auth(URL(url), default=False)
        assert found == (None if auth is None else BasicAuth(*auth, "utf-8"))

    @pytest.mark.usefixtures("netrc")
    async def test_default_is_for_all_others(self) -> None:
        """Whoever has no entry; one that says nothing is an entry all the same."""
        shared = BasicAuth("anyone", "shared", "utf-8")
        for host in ("other.example", "default"):
            assert await netrc_auth(URL(f"http://{host}/")) == shared
        assert await netrc_auth(URL("http://nothing.example/")) is None

    @pytest.mark.usefixtures("netrc")
    async def test_text_is_sent_as_it_stands_in_the_file(self) -> None:
        """In UTF-8."""
        auth = await netrc_auth(URL("http://secret.example/"))
        assert auth is not None
        assert auth.encode() == basic("secret", "grün")

    @pytest.mark.parametrize(
        ("content", "message"),
        [
            (b"machine x login y passwort hunter2", "cannot parse the netrc file .* line 1"),
            (b"machine 127.0.0.1 login a:b password hunter2", "cannot use an entry"),
            (b"\xff", "cannot parse the netrc file"),
            (None, "cannot read the netrc file .*No such file"),
        ],
    )
    async def test_a_file_that_is_no_good_is_passed_over(
        self,
        content: bytes | None,
        message: str,
        netrc: Path,
        api: Api,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        """With a warning in the log, which shows nothing of what the file says."""
        write(netrc, content)
        with caplog.at_level(logging.WARNING, "anyhttp.client"):
            async with ClientSession(trust_env=True) as session:
                assert await sent(session, api.url / "echo") == []
        (record,) = caplog.records
        assert record.levelno == logging.WARNING
        pytest.raises(AssertionError, match=message).match if False else None
        import re

        assert re.search(message, record.getMessage())
        assert "hunter2" not in record.getMessage()

    async def test_the_usual_place(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        """``~/.netrc`` (``~/_netrc`` on Windows); most people have none, which is no news."""
        monkeypatch.delenv("NETRC", raising=False)
        monkeypatch.setenv("HOME", str(tmp_path))
        monkeypatch.setenv("USERPROFILE", str(tmp_path))
        url = URL("http://127.0.0.1/")
        assert await netrc_auth(url) is None
        (tmp_path / ("_netrc" if os.name == "nt" else ".netrc")).write_text(FILE, "utf-8")
        assert await netrc_auth(url) == BasicAuth("user", "s3cret", "utf-8")
        assert not caplog.records

    async def test_it_is_not_read_on_the_event_loop(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, server: Server
    ) -> None:
        """A home directory may be on a slow disk: others go on meanwhile, ``total`` holds."""
        if not hasattr(os, "mkfifo"):
            pytest.skip("needs named pipes")
        path = tmp_path / "fifo"
        os.mkfifo(path)
        monkeypatch.setenv("NETRC", str(path))
        async with ClientSession(trust_env=True, timeout=ClientTimeout(total=0.2)) as session:
            try:
                with pytest.raises(TimeoutError, match="while reading the netrc file"):
                    await session.get(server.url)
            finally:
                # Whoever opens a pipe waits for the other end: let the thread go.
                await anyio.to_thread.run_sync(path.write_text, "")
        assert server.requests == []


class TestRequests:
    @pytest.mark.usefixtures("netrc")
    async def test_only_with_trust_env(self, api: Api) -> None:
        """The file is the user's, and not every program is to speak for the user."""
        async with ClientSession() as session:
            assert session.trust_env is False
            assert await sent(session, api.url / "echo") == []
        async with ClientSession(trust_env=True) as session:
            assert session.trust_env is True
            assert await sent(session, api.url / "echo") == [basic("user", "s3cret")]

    @pytest.mark.usefixtures("netrc")
    async def test_all_others_go_first(self, api: Api) -> None:
        """The argument, the URL, the session's, a header: each makes the file superfluous."""
        url = api.url / "echo"
        auth = BasicAuth("me", "mine")
        mine = [basic("me", "mine")]
        async with ClientSession(trust_env=True) as session:
            assert await sent(session, url, auth=auth) == mine
            assert await sent(session, url.with_user("me").with_password("mine")) == mine
            assert await sent(session, url, headers={"authorization": "token"}) == ["token"]
        async with ClientSession(trust_env=True, auth=auth) as session:
            assert await sent(session, url) == mine
        async with ClientSession(trust_env=True, headers={"Authorization": "token"}) as session:
            assert await sent(session, url) == ["token"]

    async def test_credentials_of_the_session_for_elsewhere(self, netrc: Path, api: Api) -> None:
        """With a base URL its own go to that origin only; the file may know this one."""
        session = ClientSession(
            "https://api.example/", trust_env=True, auth=BasicAuth("api", "key")
        )
        async with session:
            assert await sent(session, api.url / "echo") == [basic("user", "s3cret")]

    async def test_a_redirect_within_the_origin(self, netrc: Path, api: Api) -> None:
        """They go along."""
        async with ClientSession(trust_env=True) as session:
            assert await sent(session, api.url / "redirect" / "2") == [basic("user", "s3cret")]

    async def test_a_redirect_to_another_host(self, netrc: Path, api: Api) -> None:
        """It gets what the file has for that host, never those of the first; nor ``default``,
        which is for hosts that the user turns to.
        """
        other = (api.url / "echo").with_host("localhost")
        url = (api.url / "redirect-to").with_query(url=str(other))
        async with ClientSession(trust_env=True) as session:
            assert await sent(session, other) == [basic("anyone", "shared")]
            assert await sent(session, url) == []
            write(netrc, FILE.encode() + b"machine localhost login local password host\n")
            assert await sent(session, url) == [basic("local", "host")]

    async def test_a_header_is_not_replaced_on_the_way(self, netrc: Path, api: Api) -> None:
        """It is dropped beyond its origin; then the file may have something for the other."""
        write(netrc, b"machine localhost login local password host\n")
        other = (api.url / "echo").with_host("localhost")
        url = (api.url / "redirect-to").with_query(url=str(other))
        async with ClientSession(trust_env=True) as session:
            assert await sent(session, url, headers={"Authorization": "token"}) == [
                basic("local", "host")
            ]

    async def test_a_redirect_from_https_to_http_gets_none(
        self, netrc: Path, server: Server
    ) -> None:
        """A server must not be able to have them sent in the clear."""
        write(netrc, b"machine localhost login l password p\nmachine 127.0.0.1 login 1 password 2")
        url = (server.https_url / "redirect-to").with_query(url=str(server.url / "echo"))
        async with ClientSession(trust_env=True) as session:
            assert await sent(session, url, ssl=False) == []

    async def test_redirects_after_one_from_https_to_http_get_none(
        self, netrc: Path, server: Server
    ) -> None:
        """The server could have them sent in the clear by two redirects instead of one."""
        write(netrc, b"machine localhost login l password p\nmachine 127.0.0.1 login 1 password 2")
        in_the_clear = server.url / "redirect-to"
        for target in (server.url / "echo", (server.url / "echo").with_host("localhost")):
            again = in_the_clear.with_query(url=str(target))
            url = (server.https_url / "redirect-to").with_query(url=str(again))
            async with ClientSession(trust_env=True) as session:
                assert await sent(session, url, ssl=False) == []

    async def test_a_redirect_back_to_https_gets_them(self, netrc: Path, server: Server) -> None:
        """There they are not sent in the clear."""
        write(netrc, b"machine localhost login l password p")
        again = (server.url / "redirect-to").with_query(url=str(server.https_url / "echo"))
        url = (server.https_url / "redirect-to").with_query(url=str(again))
        connector = TCPConnector(ssl=False)
        async with ClientSession(connector=connector, trust_env=True) as session:
            assert await sent(session, url) == [basic("l", "p")]

    async def test_many_requests_at_once(self, netrc: Path, server: Server) -> None:
        """Each looks for itself, and no thread stays behind."""
        before = threading.active_count()
        async with ClientSession(trust_env=True) as session, anyio.create_task_group() as group:

            async def ask() -> None:
                assert await sent(session, server.url / "echo") == [basic("user", "s3cret")]

            for _ in range(10):
                group.start_soon(ask)
        assert threading.active_count() < before + 200
