"""``anyhttp ws`` through proxies."""

from __future__ import annotations

from io import FileIO
from pathlib import Path

import pytest

from tests.support.command import BACKENDS
from tests.support.proxies import Proxies
from tests.support.tls import Authority

pytest.importorskip("click")
pytest.importorskip("rich")
pytest.importorskip("trio")

from anyhttp._cli._commands import run

WAIT = ("--wait", "0.3")


@pytest.mark.parametrize("scheme", ["http", "https", "socks4a", "socks5h"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_proxy_is_gone_through(
    address: str,
    proxies: Proxies,
    typed: FileIO,
    capfd: pytest.CaptureFixture[str],
    tls_ca: Authority,
    tmp_path: Path,
    scheme: str,
    backend: str,
) -> None:
    """``-x`` names it, credentials included; a WebSocket takes a tunnel also of HTTP proxies."""
    if scheme.startswith("socks"):
        pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    proxy = proxies(scheme, login=("user", "secret"))
    typed.write(b"hello\n")
    typed.close()
    args = ["-x", str(proxy.login_url), "--cacert", str(tmp_path / "ca.pem"), *WAIT]
    assert run(["ws", f"{address}/echo", *args, "--backend", backend]) == 0
    assert capfd.readouterr() == ("hello\n", "")
    verb = "SOCKS" if scheme.startswith("socks") else "CONNECT"
    assert [seen.asked.startswith(verb) for seen in proxy.seen] == [True]
    assert proxy.seen[0].asked.endswith(address)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_proxy_of_the_environment(
    address: str,
    proxies: Proxies,
    typed: FileIO,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    backend: str,
) -> None:
    """As for the browser, that of ``http`` serves ``ws``, too; ``no_proxy`` excludes hosts."""
    proxy = proxies("http")
    monkeypatch.setenv("http_proxy", str(proxy.url))
    typed.write(b"hello\n")
    typed.close()
    command = ["ws", f"{address}/echo", *WAIT, "--backend", backend]
    assert run(command) == 0
    assert capfd.readouterr() == ("hello\n", "")
    assert [seen.asked for seen in proxy.seen] == [f"CONNECT {address}"]
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    assert run(command) == 0
    assert len(proxy.seen) == 1
