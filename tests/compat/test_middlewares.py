"""Middlewares, and the one for Digest authentication."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

from yarl import URL

from tests.compat.comparison import (
    class_names,
    compared,
    different,
    failure,
    headers_seen,
    read,
    request_seen,
    seen,
)
from tests.support.digest import DigestServer, Policy
from tests.support.server import Server
from tests.support.tls import Authority

LOGIN, PASSWORD = "Mufasa", "Circle of Life"


def recorder(name: str, log: list[str]) -> Any:
    """Return a middleware that writes down what it sees."""

    async def record(request: Any, handler: Any) -> Any:
        log.append(f"{name} > {request.method} {request.url.path}")
        response = await handler(request)
        log.append(f"{name} < {response.status}")
        return response

    return record


@compared
async def test_order_and_redirects(client: ModuleType, base: URL) -> object:
    """Which of them sees what, and when."""
    log: list[str] = []
    middlewares = (recorder("a", log), recorder("b", log))
    async with client.ClientSession(middlewares=middlewares) as session:
        await read(session.get(base / "redirect/2"))
        await read(session.post(base / "redirect-to", data=b"x", params={"status": "307"}))
        await read(session.get(base / "json", middlewares=[recorder("own", log)]))
        await read(session.get(base / "json", middlewares=()))
    return log


@compared
async def test_several_attempts(client: ModuleType, base: URL) -> object:
    """The handler can be called again, with the body as it was."""

    async def thrice(request: Any, handler: Any) -> Any:
        for _ in range(2):
            (await handler(request)).release()
        return await handler(request)

    async with client.ClientSession(middlewares=[thrice]) as session:
        return [
            await seen(session.post(base / "echo", json={"a": 1})),
            await seen(session.put(base / "echo", data={"a": "b"})),
        ]


@compared
async def test_changes(client: ModuleType, base: URL) -> object:
    """What the attributes say is what is sent."""

    async def change(request: Any, handler: Any) -> Any:
        request.method = "PUT"
        request.url = request.url.with_path("/echo").with_query(c="d e")
        request.headers["X-One"] = "1"
        request.headers.add("X-One", "2")
        del request.headers["Accept"]
        return await handler(request)

    async with client.ClientSession(middlewares=[change]) as session:
        async with session.post(base / "nowhere", data=b"x") as response:
            return [str(response.real_url), request_seen(await response.json())]


@different(there="/nowhere", here="/echo")
async def test_the_url_of_a_response(client: ModuleType, base: URL) -> object:
    """It is the one that was asked, and not the one that a middleware has changed."""

    async def change(request: Any, handler: Any) -> Any:
        request.url = base / "echo"
        return await handler(request)

    async with client.ClientSession(middlewares=[change]) as session:
        async with session.get(base / "nowhere") as response:
            return response.url.path


@compared
async def test_new_bodies(client: ModuleType, base: URL) -> object:
    """``update_body()`` and the headers that it makes."""
    found = []
    for new in (b"bytes", "text", {"a": "b"}, client.JsonPayload({"a": 1}), None):

        async def replace(request: Any, handler: Any, body: Any = new) -> Any:
            await request.update_body(body)
            return await handler(request)

        async with client.ClientSession(middlewares=[replace]) as session:
            found.append(await seen(session.post(base / "echo", data=b"as it was")))
            found.append(await seen(session.put(base / "echo")))
    return found


@compared
async def test_new_bodies_and_redirects(client: ModuleType, base: URL) -> object:
    """A redirect that keeps the body keeps the one that the middleware has put there."""

    async def extend(request: Any, handler: Any) -> Any:
        await request.update_body(await request.body.as_bytes() + b"+")
        return await handler(request)

    url = (base / "redirect-to").with_query(url="/echo", status=307)
    async with client.ClientSession(middlewares=[extend]) as session:
        return await seen(session.post(url, data=b"body"))


@compared
async def test_errors_pass(client: ModuleType, base: URL) -> object:
    """Those of the request reach the middleware, and those of the middleware the caller."""
    caught = []

    async def catch(request: Any, handler: Any) -> Any:
        try:
            return await handler(request)
        except Exception as exc:
            caught.append(class_names(exc))
            raise

    async def fail(request: Any, handler: Any) -> Any:
        raise LookupError

    async with client.ClientSession(middlewares=[catch]) as session:
        found = [
            await failure(session.get("http://127.0.0.1:1/")),
            await failure(session.get(base / "hang", timeout=client.ClientTimeout(sock_read=0.05))),
            await failure(session.get(base / "json", middlewares=[fail])),
        ]
    return found, caught


@different(there="here.test", here="127.0.0.1")
async def test_the_host_of_a_changed_url(client: ModuleType, base: URL) -> object:
    """The ``Host`` header is that of the URL that is sent (RFC 9110 §7.2)."""

    async def change(request: Any, handler: Any) -> Any:
        request.url = base / "echo"
        return await handler(request)

    async with client.ClientSession(middlewares=[change]) as session:
        headers = dict(await headers_seen(session.get("http://here.test/")))
        return headers["Host"].partition(":")[0]


def masked(signatures: list[str | None]) -> list[str | None]:
    """Return *signatures* with a word in the place of what is random."""
    return [
        None if text is None or "qop=" not in text
        # the server has verified the response
        else re.sub(r'(cnonce|response)="[0-9a-f]+"', r'\1="..."', text)
        for text in signatures
    ]  # fmt: skip


def policies() -> list[dict[str, Any]]:
    """What servers ask for."""
    algorithms = ["MD5", "md5", "SHA", "SHA-256", "SHA256", "SHA-512"]
    return [
        *({"algorithm": name, "qop": None} for name in (None, *algorithms)),
        *({"algorithm": name, "qop": "auth"} for name in algorithms),
        {"algorithm": "MD5-sess", "qop": "auth"},
        {"algorithm": "SHA-256-SESS", "qop": "auth-int"},
        {"qop": "auth, auth-int"},
        {"opaque": None},
        {"realm": 'with "quotes", and = and \\'},
        {"realm": ""},
        {"domain": "/a"},
        {"uses": 1},
    ]


@compared
async def test_digests(client: ModuleType, base: URL, tls_ca: Authority) -> object:
    """The headers that are sent, parameter for parameter."""
    found = []
    for policy in policies():
        server = DigestServer(tls_ca.server, Policy(**policy))
        try:
            digest = client.DigestAuthMiddleware(LOGIN, PASSWORD)
            async with client.ClientSession(middlewares=[digest]) as session:
                statuses = [
                    (await read(session.get(server.url / "a?b=c%2Fd")))[0],
                    (await read(session.post(server.url / "a/b", data=b"body")))[0],
                    (await read(session.post(server.url / "c", data=b"body")))[0],
                ]
            if policy.get("qop", "auth") is None:
                signatures = server.signatures  # nothing in there is random
            else:
                signatures = masked(server.signatures)
            found.append((policy, statuses, signatures, server.complaints))
        finally:
            server.stop()
    return found


@compared
async def test_digests_elsewhere(client: ModuleType, base: URL, tls_ca: Authority) -> object:
    """Where the credentials go, and where not."""
    second = DigestServer(tls_ca.server, Policy())
    first = DigestServer(tls_ca.server, Policy(domain=f"/a {second.url}b"))
    third = DigestServer(tls_ca.server, Policy())
    try:
        for preemptive in (True, False):
            digest = client.DigestAuthMiddleware(LOGIN, PASSWORD, preemptive=preemptive)
            async with client.ClientSession(middlewares=[digest]) as session:
                for url in (first.url, first.url / "a", first.url / "a/b", third.url, second.url):
                    await read(session.get(url))
    finally:
        for server in (first, second, third):
            server.stop()
    return [
        (server.requests, server.complaints, [text is not None for text in server.signatures])
        for server in (first, second, third)
    ]


@compared
async def test_digest_arguments(client: ModuleType, base: URL) -> object:
    """What cannot be a login or a password."""
    make = client.DigestAuthMiddleware
    return [
        await failure(lambda: make(None, "x")),
        await failure(lambda: make("x", None)),
        await failure(lambda: make("a:b", "x")),
    ]


@compared
async def test_bad_challenges(
    client: ModuleType, base: URL, tls_ca: Authority, server: Server
) -> object:
    """Which of them are errors, and which leave the 401 as it is."""
    found = []
    for before in (
        'Digest nonce="n"', 'Digest realm="r"', 'Digest realm="r", nonce=""', "Digest",
        'Digest realm="r", nonce="n", qop="x"', 'Digest realm="r", nonce="n", algorithm=X',
        "Digest ,,", 'Digest realm="r" nonce="n"', 'Basic realm="x"',
    ):  # fmt: skip
        peer = DigestServer(tls_ca.server, Policy(before=(before,)))
        peer._challenges = lambda _, line=before: [("WWW-Authenticate", line)]  # type: ignore[misc,method-assign]
        try:
            digest = client.DigestAuthMiddleware(LOGIN, PASSWORD)
            async with client.ClientSession(middlewares=[digest]) as session:
                found.append(await failure(session.get(peer.url)))
        finally:
            peer.stop()
    return found


@different(there=[401, 401, 401], here=[200, 200, 200])
async def test_challenges_among_others(client: ModuleType, base: URL, tls_ca: Authority) -> object:
    """RFC 9110 §11.6.1: a server may offer several; one that is known is answered."""
    found = []
    for before in ('Basic realm="x"', "Negotiate", 'Bearer realm="x", error="y"'):
        server = DigestServer(tls_ca.server, Policy(before=(before,)))
        try:
            digest = client.DigestAuthMiddleware(LOGIN, PASSWORD)
            async with client.ClientSession(middlewares=[digest]) as session:
                found.append((await read(session.get(server.url)))[0])
        finally:
            server.stop()
    return found
