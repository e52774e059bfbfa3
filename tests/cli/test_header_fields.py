"""``-H``: fields that are left out, and fields without a value, as with curl."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from tests.support.command import Fetch, Peer

#: What a request has by default, or by other options of the command.
SENT = ("Accept", "Accept-Encoding", "User-Agent", "Content-Type")


def test_a_field_without_a_value_is_left_out(peer: Peer, fetch: Fetch, tmp_path: Path) -> None:
    """``NAME:`` takes out what is sent by default, also if it stands in a file; blanks are none."""
    fetch("-d", "a=b", peer.url)
    assert set(SENT) <= set(peer.received[-1].headers)
    path = tmp_path / "fields"
    path.write_text("User-Agent:\n")
    fields = ["-H", "accept:", "-H", "Accept-Encoding: ", "-H", "Content-Type:", "-H", f"@{path}"]
    assert fetch("-d", "a=b", *fields, "-H", "X:", peer.url)[1] == b"fine\n"
    sent = peer.received[-1]
    assert set(sent.headers) == {"Host", "Content-Length"}
    assert sent.body == b"a=b"


def test_a_field_with_a_semicolon_is_sent_empty(peer: Peer, fetch: Fetch) -> None:
    """``NAME;`` sends a field that has no value."""
    assert fetch("-H", "Accept;", "-H", "X-Empty;", peer.url)[0] == 0
    sent = peer.received[-1].headers
    assert (sent.get_all("Accept"), sent["X-Empty"]) == ([""], "")


def test_a_value_wins_over_leaving_out(peer: Peer, fetch: Fetch) -> None:
    """What is given beside ``NAME:`` is sent, as it is not there by default."""
    assert fetch("-H", "Accept:", "-H", "Accept: a/b", peer.url)[0] == 0
    assert peer.received[-1].headers.get_all("Accept") == ["a/b"]
    assert fetch("-H", "Cookie:", "-b", "a=1", peer.url)[0] == 0
    assert peer.received[-1].headers["Cookie"] == "a=1"


def test_what_other_options_imply_is_left_out(peer: Peer, fetch: Fetch) -> None:
    """``--json`` sets ``Accept``, and ``--no-compressed`` sets ``Accept-Encoding``."""
    fields = ["-H", "Accept:", "-H", "Accept-Encoding:"]
    assert fetch("--json", "1", "--no-compressed", *fields, peer.url)[0] == 0
    sent = peer.received[-1].headers
    assert (sent["Accept"], sent["Accept-Encoding"]) == (None, None)
    assert sent["Content-Type"] == "application/json"


def test_credentials_and_cookies_are_left_out(
    peer: Peer, fetch: Fetch, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those from the URL, netrc and the file of cookies: none is sent, also after a redirect."""
    netrc, jar = tmp_path / "netrc", tmp_path / "jar"
    netrc.write_text("machine 127.0.0.1 login a password b\n")
    monkeypatch.setenv("NETRC", str(netrc))
    jar.write_text("# Netscape HTTP Cookie File\n127.0.0.1\tFALSE\t/\tFALSE\t0\ta\t1\n")
    names = ("Authorization", "Cookie")
    given = ["--cookie-jar", str(jar)]
    fetch(*given, peer.url)
    assert None not in [peer.received[-1].headers[name] for name in names]
    peer.elsewhere = "/json"
    urls = [f"{peer.url}/elsewhere", f"http://u:p@{peer.address}/"]
    for url in urls:
        assert fetch(*given, "-H", "Authorization:", "-H", "Cookie:", url)[0] == 0
    assert len(peer.received) == 4
    assert {each.headers[name] for each in peer.received[1:] for name in names} == {None}


@pytest.mark.parametrize(
    "command", [["sse", "--no-reconnect"], ["bench", "-n", "1", "-c", "1"], ["-O"], ["ws"]]
)
def test_each_command_leaves_fields_out(
    peer: Peer,
    fetch: Fetch,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: Sequence[str],
) -> None:
    """Also in the handshake of a WebSocket, and in the requests of a download."""
    monkeypatch.chdir(tmp_path)
    fetch(*command, "-H", "User-Agent:", "-H", "Accept:", f"{peer.url}/json")
    assert peer.received
    for each in peer.received:
        assert (each.headers["User-Agent"], each.headers["Accept"]) == (None, None)
