"""Every kind of proxy with every kind of target, with TLS verified wherever it is spoken.

What each pair does is written down in ``WAYS``; a test compares it with what proxy and origin
saw, and another one with the table in ``docs/howto/proxies.md``.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Final

import anyio
import pytest
from yarl import URL

from anyhttp import ClientConnectorCertificateError, ClientSession, TCPConnector
from tests.support.peer import Script
from tests.support.proxies import Proxies, Seen
from tests.support.targets import ANSWERS, TARGETS, exchange, make_origin
from tests.support.tls import Authority

pytest.importorskip("socksio", reason="socksio is not installed (anyhttp-client[socks])")
pytestmark = pytest.mark.uvloop

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "howto" / "proxies.md"

#: How a request gets to each of the targets, step by step.
WAYS: Final = {
    "none": ("direct", "TLS", "direct", "TLS"),
    "http": ("forward", "`CONNECT`, TLS", "`CONNECT`", "`CONNECT`, TLS"),
    "https": ("TLS, forward", "TLS, `CONNECT`, TLS", "TLS, `CONNECT`", "TLS, `CONNECT`, TLS"),
    "socks4": ("tunnel", "tunnel, TLS", "tunnel", "tunnel, TLS"),
    "socks4a": ("tunnel", "tunnel, TLS", "tunnel", "tunnel, TLS"),
    "socks5": ("tunnel", "tunnel, TLS", "tunnel", "tunnel, TLS"),
    "socks5h": ("tunnel", "tunnel, TLS", "tunnel", "tunnel, TLS"),
}
#: Those that are told an address, so that names are resolved on this side.
RESOLVED_HERE: Final = frozenset({"socks4", "socks5"})

by_proxy = pytest.mark.parametrize("proxy", WAYS)
by_target = pytest.mark.parametrize("target", TARGETS)


def observed(seen: Seen | None, *, proxy_tls: bool, origin_tls: bool) -> str:
    """Say in the words of the table what the proxy saw."""
    steps = ["TLS"] if proxy_tls else []
    if seen is None:
        steps += [] if origin_tls else ["direct"]
    elif seen.asked.startswith("CONNECT"):
        steps.append("`CONNECT`")
    else:
        steps.append("tunnel" if seen.asked.startswith("SOCKS") else "forward")
    return ", ".join([*steps, "TLS"] if origin_tls else steps)


@by_target
@by_proxy
async def test_each_pair_works(
    script: Script, tls_ca: Authority, proxies: Proxies, proxy: str, target: str
) -> None:
    """The answer arrives; the first byte in a tunnel is a TLS record's for https and wss.

    CVE-2026-84381.
    """
    origin_tls = target in {"https", "wss"}
    origin = await make_origin(script, target, tls_ca)
    url = URL(f"{target}://localhost:{origin.port}/path")
    made = None if proxy == "none" else proxies(proxy)
    async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
        answer = await exchange(session, url, made.url if made else None)
    assert answer == ANSWERS[target]
    (request,) = origin.requests
    assert request.startswith(b"GET /path HTTP/1.1\r\nHost: localhost:%d\r\n" % origin.port)
    seen = None
    if made is not None:
        (seen,) = made.seen
        if seen.asked.startswith("GET"):
            assert seen.asked == f"GET http://localhost:{origin.port}/path"
        if "forward" not in WAYS[proxy][TARGETS.index(target)]:
            host = "127.0.0.1" if proxy in RESOLVED_HERE else "localhost"
            assert seen.asked.endswith(f" {host}:{origin.port}")
            assert seen.inside.startswith(b"\x16\x03" if origin_tls else b"GET /path ")
    way = observed(seen, proxy_tls=proxy == "https", origin_tls=origin_tls)
    assert way == WAYS[proxy][TARGETS.index(target)]


@pytest.mark.parametrize("target", ["https", "wss"])
@by_proxy
async def test_a_wrong_certificate_of_the_origin_fails(
    script: Script, tls_ca: Authority, proxies: Proxies, proxy: str, target: str
) -> None:
    """The name in the URL is what the certificate is for, whatever is in between."""
    origin = await make_origin(script, target, tls_ca, "other.test")
    made = None if proxy == "none" else proxies(proxy)
    async with ClientSession(connector=TCPConnector(ssl=tls_ca.client)) as session:
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await exchange(
                session,
                URL(f"{target}://localhost:{origin.port}/path"),
                made.url if made else None,
            )
    assert (caught.value.host, caught.value.port) == ("localhost", origin.port)
    assert origin.requests == [b""]


@by_target
@pytest.mark.parametrize("trust", ["another-name", "another-authority"])
async def test_a_wrong_certificate_of_the_proxy_fails(
    script: Script, tls_ca: Authority, proxies: Proxies, target: str, trust: str
) -> None:
    """Before the proxy is told a word."""
    made = proxies("https", *(["other.test"] if trust == "another-name" else []))
    context = tls_ca.client if trust == "another-name" else True
    async with ClientSession(connector=TCPConnector(ssl=context)) as session:
        with pytest.raises(ClientConnectorCertificateError) as caught:
            await exchange(session, URL(f"{target}://localhost:1/path"), made.url)
    assert (caught.value.host, caught.value.port) == ("localhost", made.port)
    assert made.seen == []


@pytest.mark.parametrize("target", ["https", "wss"])
@pytest.mark.parametrize("proxy", [name for name in WAYS if name != "https"])
async def test_an_unknown_authority_fails_by_default(
    script: Script, tls_ca: Authority, proxies: Proxies, proxy: str, target: str
) -> None:
    """Nobody has to ask for verification: it needs ``ssl=False`` to go without.

    With an https proxy the test above has seen its own certificate fail first.
    """
    origin = await make_origin(script, target, tls_ca, "localhost")
    made = None if proxy == "none" else proxies(proxy)
    async with ClientSession() as session:
        with pytest.raises(ClientConnectorCertificateError):
            await exchange(
                session,
                URL(f"{target}://localhost:{origin.port}/path"),
                made.url if made else None,
            )


@pytest.mark.once
@pytest.mark.parametrize("target", ["http", "https"])
async def test_the_trust_store_of_the_system_verifies_both_layers(
    script: Script, tls_ca: Authority, proxies: Proxies, tmp_path: Path, target: str
) -> None:
    """Without an ``ssl`` option, in a process of its own whose system trusts the authority."""
    pytest.importorskip("click")
    origin = await make_origin(script, target, tls_ca)
    proxy = proxies("https")
    (tmp_path / "ca.pem").write_bytes(tls_ca.ca_pem)
    command = [sys.executable, "-m", "anyhttp", "-x", str(proxy.url)]
    fetched = await anyio.run_process(
        [*command, f"{target}://localhost:{origin.port}/path"],
        env={
            **os.environ,
            "SSL_CERT_FILE": str(tmp_path / "ca.pem"),
            "PYTHONPATH": str(PAGE.parents[2]),
        },
    )
    assert fetched.stdout == b"hello"
    assert len(proxy.seen) == 1


def test_the_table_in_the_docs_is_this_one() -> None:
    """The documentation says what the tests saw."""
    lines = ["| proxy | `http` | `https` | `ws` | `wss` |", "|---|---|---|---|---|"]
    for proxy, ways in WAYS.items():
        name = proxy if proxy == "none" else f"`{proxy}://`"
        lines.append(f"| {' | '.join((name, *ways))} |")
    found = re.search(r"^\| proxy \|.*?\n\n", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)
    assert found is not None
    assert found[0].splitlines()[:-1] == lines
