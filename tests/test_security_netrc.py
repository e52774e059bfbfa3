"""More rules of the chapter "Credentials stay where they belong" in ``tests/test_security.py``."""

from __future__ import annotations

from pathlib import Path

import pytest
from yarl import URL

from anyhttp import ClientSession, TCPConnector
from tests.support.names import Names
from tests.support.peer import Script, Step
from tests.support.responses import EMPTY

GOOD = b"\r\nAuthorization: Basic Z29vZDpzZWNyZXQ=\r\n"  # good:secret
EVIL = b"\r\nAuthorization: Basic ZXZpbDpvdGhlcg==\r\n"  # evil:other


@pytest.fixture
def netrc(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A netrc file with entries for two hosts; no proxy."""
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.delenv(name, raising=False)
    path = tmp_path / "netrc"
    path.write_text(
        "machine good.test login good password secret\n"
        "machine evil.test login evil password other\n"
    )
    path.chmod(0o600)
    monkeypatch.setenv("NETRC", str(path))
    return path


@pytest.mark.usefixtures("netrc")
class TestNetrcIsMatchedByTheParsedHostNameAlone:
    """CVE-2024-47081; and not read at all without ``trust_env``."""

    @pytest.mark.parametrize("trust_env", [False, True])
    async def test_only_with_trust_env(self, trust_env: bool, http1: str, script: Script) -> None:
        """Nobody's password goes out because a file happens to be there."""
        peer = await script([(b"GET ", EMPTY)])
        connector = TCPConnector(http1=http1, resolver=Names())
        async with ClientSession(connector=connector, trust_env=trust_env) as session:
            await session.get(peer.url.with_host("good.test"))
        assert (GOOD in peer.requests[0]) == trust_env

    @pytest.mark.parametrize(
        "url",
        [
            "http://evil.test:{}/good.test",
            "http://evil.test:{}/?good.test",
            "http://evil.test:{}/#@good.test",
            "http://EVIL.test:{}/",
        ],
    )
    async def test_no_other_part_of_the_url_counts(
        self, url: str, http1: str, script: Script
    ) -> None:
        """A path, query or fragment with another host's name in it is not that host."""
        peer = await script([(b"GET ", EMPTY)])
        connector = TCPConnector(http1=http1, resolver=Names())
        async with ClientSession(connector=connector, trust_env=True) as session:
            await session.get(url.format(peer.port))
        assert GOOD not in peer.requests[0]
        assert EVIL in peer.requests[0]

    @pytest.mark.parametrize("host", ["sub.good.test", "good.test.evil.example", "ood.test"])
    async def test_no_other_host_counts(self, host: str, http1: str, script: Script) -> None:
        """Neither one below nor one that is called alike."""
        peer = await script([(b"GET ", EMPTY)])
        connector = TCPConnector(http1=http1, resolver=Names())
        async with ClientSession(connector=connector, trust_env=True) as session:
            await session.get(f"http://{host}:{peer.port}/")
        assert b"Authorization" not in peer.requests[0]

    async def test_user_info_in_the_url_goes_first(self, http1: str, script: Script) -> None:
        """``good.test:@`` is the user info of another host, and not a host."""
        peer = await script([(b"GET ", EMPTY)])
        connector = TCPConnector(http1=http1, resolver=Names())
        async with ClientSession(connector=connector, trust_env=True) as session:
            await session.get(f"http://good.test:@evil.test:{peer.port}/")
        assert GOOD not in peer.requests[0]
        assert EVIL not in peer.requests[0]
        assert b"\r\nAuthorization: Basic Z29vZC50ZXN0Og==\r\n" in peer.requests[0]

    async def test_each_hop_is_looked_up_anew(self, http1: str, script: Script) -> None:
        """A redirect takes the entry of one host to no other."""
        first: list[Step] = []
        peer = await script(first, [(b"GET /b ", EMPTY)])
        target = URL(f"http://evil.test:{peer.port}/b")
        moved = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\n\r\n"
        first.append((b"GET /a ", moved.encode()))
        connector = TCPConnector(http1=http1, resolver=Names())
        async with ClientSession(connector=connector, trust_env=True) as session:
            await session.get(f"http://good.test:{peer.port}/a")
        assert GOOD in peer.requests[0]
        assert GOOD not in peer.requests[1]
