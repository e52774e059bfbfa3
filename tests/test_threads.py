"""Threads that each have a session of their own disturb nobody, whatever the library keeps for all.

Parsed header fields, heads of requests, destinations, codecs and TLS contexts are kept for the
whole process.  Python is told to change threads as often as it can; where it has no global lock,
they run at the same time anyway.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import anyio
import pytest

from anyhttp import ClientSession, CookieJar, FormData
from tests.support.routes import DOCUMENT
from tests.support.server import Server
from tests.support.tls import Authority

THREADS = 8
ROUNDS = 12


@pytest.fixture
def restless() -> Iterator[None]:
    """Let threads run for a moment only until the next one's turn."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


async def talk(server: Server, authority: Authority, name: str) -> None:
    """Use a session for many things, and find in each response what belongs to *name*."""
    jar = CookieJar(unsafe=True)
    headers = {"X-Name": name}
    async with ClientSession(server.url, headers=headers, cookie_jar=jar) as session:
        async with session.get("cookies/set", params={"name": name}) as response:
            assert await response.json() == {"cookies": {"name": name}}
        for number in range(ROUNDS):
            text = f"{name}-{number}"
            async with session.get(f"echo?text={text}", headers={f"X-{text}": text}) as response:
                echo = await response.json()
                sent = dict(echo["headers"])
                assert (sent["X-Name"], sent[f"X-{text}"]) == (name, text)
                assert sent["Cookie"] == f"name={name}"
                assert echo["query"] == [["text", text]]
            charset = ("latin-1", "utf-8")[number % 2]
            kind = {"type": f"text/x-{text}; charset={charset}", "charset": charset}
            async with session.get("send", params={**kind, "text": f"{text}é"}) as response:
                assert response.content_type == f"text/x-{text}"
                assert await response.text() == f"{text}é"
            async with session.post("echo-body", data=FormData({"a": text})) as response:
                assert await response.text() == f"a={text}"
            async with session.get("gzip") as response:
                assert await response.json() == DOCUMENT
            async with session.get(server.https_url / "json", ssl=authority.client) as response:
                assert await response.json() == DOCUMENT
            async with session.get("stream/20") as response:
                assert len([line async for line in response.content]) == 20


@pytest.mark.usefixtures("restless")
def test_each_thread_has_its_own_session(server: Server, tls_ca: Authority) -> None:
    """Half of them run asyncio, the others trio; all share one TLS context and one server."""
    failures: list[BaseException] = []
    together = threading.Barrier(THREADS)

    def run(number: int) -> None:
        backend = ("asyncio", "trio")[number % 2]
        try:
            together.wait(10)
            anyio.run(talk, server, tls_ca, f"t{number}", backend=backend)
        except BaseException as exc:  # noqa: BLE001  (raised below)
            failures.append(exc)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(50)
        assert not thread.is_alive()
    if failures:
        raise failures[0]
