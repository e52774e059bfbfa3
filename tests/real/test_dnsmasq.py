"""``AsyncResolver`` against dnsmasq, a DNS server that nobody here wrote."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from anyhttp import AsyncResolver, ClientConnectorDNSError, ClientSession, TCPConnector
from tests.support.programs import free_port, program, running
from tests.support.server import Server

RECORDS = (
    "--address=/web.test/127.0.0.1",
    "--host-record=both.test,192.0.2.1,2001:db8::1",
    "--cname=alias.test,both.test",
    *(f"--host-record=many.test,192.0.2.{number}" for number in range(1, 101)),
)


@pytest.fixture(scope="session")
def nameserver() -> Iterator[str]:
    """A running dnsmasq that knows the records above and asks nobody else."""
    command = program("dnsmasq", "dnsmasq-base")
    port = free_port()
    options = (
        "--keep-in-foreground", f"--port={port}", "--listen-address=127.0.0.1", "--user=",
        "--bind-interfaces", "--no-resolv", "--no-hosts", "--local=/test/", "--conf-file=/dev/null",
        "--pid-file=", *RECORDS,
    )  # fmt: skip
    with running([command, *options], port):
        yield f"127.0.0.1:{port}"


@pytest.mark.parametrize(
    ("host", "family", "expected"),
    [
        ("both.test", socket.AF_UNSPEC, {"192.0.2.1", "2001:db8::1"}),
        ("both.test", socket.AF_INET, {"192.0.2.1"}),
        ("alias.test.", socket.AF_INET6, {"2001:db8::1"}),
        # too many for one datagram, so they are asked for again by TCP
        ("many.test", socket.AF_INET, {f"192.0.2.{number}" for number in range(1, 101)}),
    ],
)
async def test_names_that_it_knows(
    nameserver: str, host: str, family: socket.AddressFamily, expected: set[str]
) -> None:
    """Addresses of each family, through aliases, however many."""
    found = await AsyncResolver([nameserver], hosts_file=None).resolve(host, 80, family)
    assert {address["host"] for address in found} == expected


async def test_a_session_uses_it(nameserver: str, server: Server) -> None:
    """Names below ``web.test`` lead to this machine; others do not exist."""
    resolver = AsyncResolver([nameserver], hosts_file=None)
    async with ClientSession(connector=TCPConnector(resolver=resolver)) as session:
        url = server.url.with_host("www.web.test") / "json"
        async with session.get(url) as response:
            assert response.status == 200
        with pytest.raises(ClientConnectorDNSError, match=r"no\.test:80"):
            await session.get("http://no.test/")
