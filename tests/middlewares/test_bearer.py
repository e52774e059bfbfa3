"""A token is asked for once, renewed in time, and sent to the origins that it is for."""

from __future__ import annotations

import io
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from yarl import URL

import anyhttp
from anyhttp import (
    BasicAuth,
    BearerAuthMiddleware,
    BearerToken,
    ClientConnectionError,
    ClientHandlerType,
    ClientMiddlewareType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    OAuth2Error,
    RateLimitMiddleware,
    TCPConnector,
)
from anyhttp.testing import Answer, MockConnector, ReceivedRequest, WebSocketPeer
from tests.support.cancel import How, cancel_at_every_checkpoint, cancel_when
from tests.support.client import assert_free
from tests.support.peer import CLOSE, DEAF, Head, Script, Until

API = "https://api.test/"
ELSEWHERE = "https://elsewhere.test/"

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
DENIED = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n\r\n"


class Source:
    """A token source in the test's hand: ``t1``, ``t2``, …, or what it is given."""

    def __init__(self, *results: Any) -> None:
        self._results = list(results)
        self.calls = 0
        self.go: anyio.Event | None = None
        #: how many calls do not wait for *go*
        self.ready = 0

    async def __call__(self) -> str | BearerToken:
        """Return or raise the next result."""
        self.calls += 1
        number = self.calls
        if self.go is not None and number > self.ready:
            await self.go.wait()
        result = self._results.pop(0) if self._results else f"t{number}"
        if isinstance(result, Exception):
            raise result
        token: str | BearerToken = result
        return token


class Guarded(MockConnector):
    """A mock whose ``https://api.test/`` accepts some tokens only."""

    def __init__(self, *accepted: str, **options: Any) -> None:
        super().__init__(**options)
        self.accepted = {f"Bearer {token}" for token in accepted}
        self.fallback(answer=self._answer)

    def _answer(self, request: ReceivedRequest) -> Answer:
        if request.url.origin() != URL(API).origin():
            return Answer(text="elsewhere")
        if request.headers.get("Authorization") in self.accepted:
            return Answer(text="private")
        return Answer(401, text="who are you?")

    @property
    def sent(self) -> list[str | None]:
        """The ``Authorization`` header of each request."""
        return [call.headers.get("Authorization") for call in self.calls]


async def ask(session: ClientSession, url: Any = API, method: str = "GET", **options: Any) -> int:
    """Make a request, read the response, and return its status."""
    async with session.request(method, url, **options) as response:
        await response.read()
        return response.status


Renew = Callable[[], Awaitable[str | BearerToken]]


def session_with(
    source: Renew, connector: MockConnector, base_url: str | None = API, **options: Any
) -> ClientSession:
    """Return a session that sends tokens to its base URL, or to the *origins* of *options*."""
    bearer = BearerAuthMiddleware(source, **options)
    return ClientSession(base_url, connector=connector, middlewares=[bearer])


class TestSending:
    async def test_one_token_for_many_requests(self) -> None:
        """It is asked for before the first of them, and kept."""
        source, mock = Source(), Guarded("t1")
        async with session_with(source, mock) as session:
            assert [await ask(session, path) for path in ("a", "b", "c")] == [200] * 3
        assert source.calls == 1
        assert mock.sent == ["Bearer t1"] * 3

    async def test_requests_at_once_share_one_call(self) -> None:
        """Thirty requests without a token ask once, also when it has to be renewed."""
        source, mock = Source(), Guarded("t1")
        statuses: list[int] = []

        async def one() -> None:
            statuses.append(await ask(session))

        async with session_with(source, mock) as session:
            for valid in ("t1", "t2"):
                mock.accepted = {f"Bearer {valid}"}
                source.go = anyio.Event()
                async with anyio.create_task_group() as group:
                    for _ in range(30):
                        group.start_soon(one)
                    await anyio.wait_all_tasks_blocked()
                    source.go.set()
        assert source.calls == 2
        assert statuses == [200] * 60

    async def test_a_session_that_is_not_entered(self) -> None:
        """It needs no block, as nothing else does."""
        session = session_with(Source(), Guarded("t1"))
        assert await ask(session) == 200
        await session.close()

    async def test_a_websocket(self) -> None:
        """Its handshake is a request, and ``wss`` the same origin as ``https``."""
        mock = MockConnector()

        async def peer(websocket: WebSocketPeer) -> None:
            await websocket.send("hello")

        route = mock.ws("wss://api.test/ws", peer)
        async with session_with(Source(), mock) as session:
            async with session.ws_connect("ws") as websocket:
                assert (await websocket.receive()).data == "hello"
        assert [call.headers["Authorization"] for call in route.calls] == ["Bearer t1"]

    async def test_for_one_request(self) -> None:
        """As an option of a request it keeps its token too."""
        source, mock = Source(), Guarded("t1")
        bearer = BearerAuthMiddleware(source, origins=API)
        async with ClientSession(connector=mock) as session:
            assert await ask(session, middlewares=[bearer]) == 200
            assert await ask(session) == 401
            assert await ask(session, middlewares=[bearer]) == 200
        assert source.calls == 1


class TestOrigins:
    async def test_a_redirect_to_another_origin(self) -> None:
        """The token stays where it belongs, and comes back with the client."""
        source, mock = Source(), MockConnector()
        mock.get(f"{API}away", status=302, headers={"Location": f"{ELSEWHERE}back"})
        mock.get(f"{ELSEWHERE}back", status=302, headers={"Location": f"{API}home"})
        mock.get(f"{API}home", text="home")
        async with session_with(source, mock) as session:
            assert await ask(session, "away") == 200
        assert [call.headers.get("Authorization") for call in mock.calls] == [
            "Bearer t1", None, "Bearer t1",
        ]  # fmt: skip

    @pytest.mark.parametrize("outside", [True, False])
    async def test_a_middleware_that_changes_the_url(self, outside: bool) -> None:
        """Wherever it stands, the other host gets no token."""

        async def mirror(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.url = URL(ELSEWHERE)
            return await handler(request)

        mock = Guarded("t1")
        bearer = BearerAuthMiddleware(Source())
        both: list[ClientMiddlewareType]
        both = [mirror, bearer] if outside else [bearer, mirror]
        async with ClientSession(API, connector=mock, middlewares=both) as session:
            assert await ask(session) == 200
        assert mock.sent == [None]

    async def test_the_next_attempt_goes_elsewhere(self) -> None:
        """A middleware that tries another host after a failure does not take the token there."""

        async def mirror(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            request.url = URL(ELSEWHERE)
            return await handler(request)

        mock = Guarded("t1")
        middlewares: list[ClientMiddlewareType] = [mirror, BearerAuthMiddleware(Source())]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            assert await ask(session) == 200
        assert mock.sent == ["Bearer t1", None]

    async def test_a_401_from_elsewhere_renews_nothing(self) -> None:
        """Another host says nothing of the token."""

        async def mirror(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.url = URL("https://third.test/")
            return await handler(request)

        source, mock = Source(), MockConnector()
        mock.get("https://third.test/", status=401)
        middlewares: list[ClientMiddlewareType] = [BearerAuthMiddleware(source), mirror]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            assert await ask(session) == 401
        assert source.calls == 1
        assert len(mock.calls) == 1

    @pytest.mark.parametrize(
        "url", ["https://api.test.evil.test/", "http://api.test/", "https://api.test:8443/"]
    )
    async def test_what_looks_alike(self, url: str) -> None:
        """Scheme, host and port have to be the same."""
        source, mock = Source(), MockConnector()
        mock.get(url)
        async with session_with(source, mock) as session:
            assert await ask(session, url) == 200
        assert source.calls == 0

    async def test_several(self) -> None:
        """All that are named, written as they like, and no base URL."""
        mock = Guarded("t1")
        origins = ["https://API.test:443", URL(ELSEWHERE)]
        async with session_with(Source(), mock, "https://third.test/", origins=origins) as session:
            assert await ask(session, API) == 200
            assert await ask(session, ELSEWHERE) == 200
        assert mock.sent == ["Bearer t1"] * 2

    async def test_two_middlewares_for_two_origins(self) -> None:
        """Each origin gets its own token."""
        mock = Guarded("t1")
        middlewares = [
            BearerAuthMiddleware(Source(), origins=API),
            BearerAuthMiddleware(Source("other"), origins=ELSEWHERE),
        ]
        async with ClientSession(connector=mock, middlewares=middlewares) as session:
            assert await ask(session, API) == 200
            assert await ask(session, ELSEWHERE) == 200
        assert mock.sent == ["Bearer t1", "Bearer other"]

    async def test_nobody_has_named_one(self) -> None:
        """Without origins and base URL, nothing is sent."""
        mock = MockConnector()
        async with session_with(Source(), mock, base_url=None) as session:
            with pytest.raises(
                ValueError, match="name the origins, or give the session a base_url"
            ):
                await ask(session, API)
        mock.assert_not_called()

    async def test_a_base_url_without_tls(self) -> None:
        """It is refused before anything is sent, unless it is this computer or allowed."""
        mock = MockConnector()
        for url in (
            "http://localhost:8080/",
            "http://127.0.0.1/",
            "http://[::1]/",
            "http://a.test",
        ):
            mock.get(url)
        async with session_with(Source(), mock, "http://a.test") as session:
            with pytest.raises(ValueError, match=r"base_url: .* http://a.test without TLS"):
                await ask(session, "")
        mock.assert_not_called()
        mock = MockConnector()
        for url in ("http://localhost:8080/", "http://dev.localhost/", "http://127.0.0.1/"):
            mock.get(url)
            async with session_with(Source(), mock, url) as session:
                assert await ask(session, "") == 200
            mock = MockConnector()
        mock.get("http://a.test/")
        async with session_with(Source(), mock, "http://a.test/", allow_http=True) as session:
            assert await ask(session, "") == 200
            assert mock.calls[0].headers["Authorization"] == "Bearer t1"

    async def test_no_proxy_elsewhere_gets_it_for_this_computer(self) -> None:
        """Through a proxy, what is sent to this computer crosses the network, without TLS."""
        source, mock, here = Source(), MockConnector(), "http://localhost:8080/"
        mock.get(here)
        mock.get(API)
        async with session_with(source, mock, here, origins=[here, API]) as session:
            for proxy in ("http://user:secret@proxy.test:3128", "socks5h://proxy.test"):
                with pytest.raises(ValueError, match=r"sent to the proxy \w+://proxy") as caught:
                    await ask(session, "", proxy=proxy)
                assert "secret" not in str(caught.value)
            assert source.calls == 0
            assert await ask(session, "", proxy="http://127.0.0.1:3128") == 200
            assert await ask(session, API, proxy="http://proxy.test:3128") == 200
        assert [call.headers["Authorization"] for call in mock.calls] == ["Bearer t1"] * 2
        mock = MockConnector()
        mock.get(here)
        async with session_with(Source(), mock, here, allow_http=True) as session:
            assert await ask(session, "", proxy="http://proxy.test:3128") == 200


class TestOtherCredentials:
    @pytest.mark.parametrize(
        "options",
        [{"headers": {"authorization": "Basic YTpi"}}, {"auth": BasicAuth("a", "b")}],
        ids=["header", "auth"],
    )
    async def test_those_of_the_program_win(self, options: dict[str, Any]) -> None:
        """What it gives for a request is sent, and a 401 to it renews no token."""
        source, mock = Source(), Guarded("t1")
        async with session_with(source, mock) as session:
            assert await ask(session, **options) == 401
        assert source.calls == 0
        assert mock.sent == ["Basic YTpi"]

    async def test_those_of_an_inner_middleware_win(self) -> None:
        """A 401 to them says nothing of the token."""

        async def other(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.headers["Authorization"] = "Basic YTpi"
            return await handler(request)

        source, mock = Source(), Guarded("t1")
        middlewares: list[ClientMiddlewareType] = [BearerAuthMiddleware(source), other]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            assert await ask(session) == 401
        assert source.calls == 1
        assert mock.sent == ["Basic YTpi"]

    async def test_the_token_goes_before_the_netrc_file(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """An entry there is nobody's decision for this request."""
        (tmp_path / "netrc").write_text("default login a password b\n")
        monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
        mock = Guarded("t1")
        bearer = BearerAuthMiddleware(Source())
        async with ClientSession(
            API, connector=mock, middlewares=[bearer], trust_env=True
        ) as session:
            assert await ask(session) == 200


class TestRenewal:
    async def test_after_a_401(self) -> None:
        """The request is sent again with another token, which is kept."""
        source, mock = Source(), Guarded("t2")
        async with session_with(source, mock) as session:
            assert await ask(session) == 200
            assert await ask(session) == 200
        assert mock.sent == ["Bearer t1", "Bearer t2", "Bearer t2"]

    async def test_only_once_for_each_request(self) -> None:
        """A second 401 is the response, and it can be read."""
        source, mock = Source(), Guarded()
        async with session_with(source, mock) as session:
            async with session.get("") as response:
                assert (response.status, await response.text()) == (401, "who are you?")
            assert source.calls == 2
            # the token in use is the last one, until that is refused as well
            assert await ask(session) == 401
        assert source.calls == 3
        assert mock.sent == ["Bearer t1", "Bearer t2", "Bearer t2", "Bearer t3"]

    async def test_another_request_has_renewed_it_already(self) -> None:
        """A 401 for the former token is answered with the present one, without another call."""
        source, late = Source(), anyio.Event()
        mock = MockConnector()

        async def slow(request: ReceivedRequest) -> Answer:
            if request.headers["Authorization"] == "Bearer t1":
                await late.wait()
                return Answer(401)
            return Answer(text="private")

        def quick(request: ReceivedRequest) -> Answer:
            return Answer(200 if request.headers["Authorization"] == "Bearer t2" else 401)

        mock.get(f"{API}slow", answer=slow)
        mock.get(f"{API}quick", answer=quick)
        async with session_with(source, mock) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(ask, session, "slow")
                await anyio.wait_all_tasks_blocked()
                assert await ask(session, "quick") == 200
                late.set()
        assert source.calls == 2
        assert [call.url.path for call in mock.calls] == ["/slow", "/quick", "/quick", "/slow"]

    async def test_before_it_expires(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """*leeway* seconds before, and not earlier."""
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        first = BearerToken("first", expires_in=100)
        source, mock = Source(first, "second"), Guarded("first", "second")
        async with session_with(source, mock, leeway=20) as session:
            for passed in (0, 79.9, 80.1):
                monkeypatch.setattr(time, "time", lambda: now + passed)  # noqa: B023
                assert await ask(session) == 200
        assert mock.sent == ["Bearer first", "Bearer first", "Bearer second"]

    @pytest.mark.parametrize("lifetime", [0, 10])
    async def test_a_short_life(self, monkeypatch: pytest.MonkeyPatch, lifetime: int) -> None:
        """A token is used for half its life at least; one that has expired, for one request."""
        now = time.time()
        monkeypatch.setattr(time, "time", lambda: now)
        source = Source(BearerToken("first", expires_at=now + lifetime), "second")
        mock = Guarded("first", "second")
        async with session_with(source, mock) as session:
            for passed in (0, 4.9, 5.1):
                monkeypatch.setattr(time, "time", lambda: now + passed)  # noqa: B023
                assert await ask(session) == 200
        assert source.calls == 2
        first = 2 if lifetime else 1
        assert mock.sent == ["Bearer first"] * first + ["Bearer second"] * (3 - first)

    async def test_the_connection_is_kept(self, script: Script) -> None:
        """What the server says to a token that it refuses is read, and the next request follows."""
        denied = [b"HTTP/1.1 401 No\r\nContent-Length: 4\r\n\r\n", b"gone"]
        peer = await script([(b"GET / ", denied), (b"GET / ", OK)])
        bearer = BearerAuthMiddleware(Source())
        async with ClientSession(peer.url, middlewares=[bearer]) as session:
            assert await ask(session, "") == 200

    @pytest.mark.parametrize("limit", [1, 100])
    async def test_bodies(self, tmp_path: Path, limit: int) -> None:
        """Bytes, forms and files are sent again as they were, by the only connection as well."""
        (tmp_path / "file").write_bytes(b"x" * 100_000)
        mock = Guarded(limit=limit)
        with (tmp_path / "file").open("rb") as file:
            for body in (b"bytes", {"a": "form"}, io.BytesIO(b"y" * 70_000), file):
                mock.accepted = {"Bearer t2"}
                async with session_with(Source(), mock) as session:
                    assert await ask(session, "", "POST", data=body) == 200
                mock = Guarded(limit=limit)

    async def test_a_body_that_can_be_sent_only_once(self) -> None:
        """It is an error that says what to do, and the next request asks for another token."""

        async def body() -> AsyncIterator[bytes]:
            yield b"once"

        source, mock = Source(), Guarded("t2")
        async with session_with(source, mock) as session:
            with pytest.raises(ClientPayloadError, match=r"\(401\), and the body has been used up"):
                await ask(session, "", "POST", data=body())
            assert source.calls == 1
            assert await ask(session, "", "POST", data=body()) == 200
        assert source.calls == 2

    async def test_a_body_that_waits_for_the_server(self, script: Script) -> None:
        """With ``expect100=True`` the 401 comes before the body, which can be sent then."""

        async def body() -> AsyncIterator[bytes]:
            yield b"once"

        peer = await script(
            [(Head(b"PUT / "), [DENIED, CLOSE])],
            [(Head(b"PUT / "), b"HTTP/1.1 100 Continue\r\n\r\n"), (Until(b"0\r\n\r\n"), OK)],
        )
        bearer = BearerAuthMiddleware(Source())
        async with ClientSession(peer.url, middlewares=[bearer]) as session:
            assert await ask(session, "", "PUT", data=body(), expect100=True) == 200
        assert b"Bearer t1" in peer.requests[0]
        assert b"Bearer t2" in peer.requests[1]

    async def test_a_401_in_the_middle_of_an_upload(self, script: Script, tmp_path: Path) -> None:
        """The upload ends before the file is sent again."""
        (tmp_path / "file").write_bytes(b"x" * 20_000_000)
        peer = await script([(Head(b"PUT / "), [DENIED, DEAF])], [(b"PUT / ", OK)])
        connector = TCPConnector(limit=1)
        bearer = BearerAuthMiddleware(Source())
        async with ClientSession(peer.url, middlewares=[bearer], connector=connector) as session:
            with (tmp_path / "file").open("rb") as file:
                assert await ask(session, "", "PUT", data=file) == 200


class TestFailures:
    async def test_they_are_those_of_the_token_endpoint(self) -> None:
        """Its error reaches the caller as it is, and is not taken for the answer to the request."""
        mock = MockConnector()
        mock.post(f"{ELSEWHERE}token", status=503, text="<h1>no</h1>")
        private = mock.get(API, text="private")

        async def source() -> str:
            async with session.post(f"{ELSEWHERE}token", raise_for_status=True) as response:
                return await response.text()

        async with session_with(source, mock) as session:
            with pytest.raises(ClientResponseError) as caught:
                await ask(session)
        assert caught.value.status == 503
        assert caught.value.request_info.url == URL(f"{ELSEWHERE}token")
        assert caught.value.body == b"<h1>no</h1>"
        private.assert_not_called()

    async def test_those_who_wait_get_it_too(self) -> None:
        """One call fails for all of them, each with an exception of its own; the next call does
        not remember it.
        """
        info = anyhttp.RequestInfo(URL(ELSEWHERE), "POST", None, URL(ELSEWHERE))  # type: ignore[arg-type]
        failure = ClientResponseError(info, (), status=503, message="down")
        source, mock = Source(failure), Guarded("t2")
        source.go = anyio.Event()
        failures: list[ClientResponseError] = []

        async def one() -> None:
            with pytest.raises(ClientResponseError) as caught:
                await ask(session)
            failures.append(caught.value)

        async with session_with(source, mock) as session:
            async with anyio.create_task_group() as group:
                for _ in range(5):
                    group.start_soon(one)
                await anyio.wait_all_tasks_blocked()
                source.go.set()
            assert source.calls == 1
            assert await ask(session) == 200
        assert len({id(failed) for failed in failures}) == 5
        assert {(failed.status, failed.message) for failed in failures} == {(503, "down")}
        assert failure in failures

    async def test_a_token_that_was_refused_is_not_used_again(self) -> None:
        """Not even if the source could not bring another one."""
        source, mock = Source("t1", OSError("down"), "t3"), Guarded("t3")
        async with session_with(source, mock) as session:
            with pytest.raises(OSError, match="down"):
                await ask(session)
            assert await ask(session) == 200
        assert mock.sent == ["Bearer t1", "Bearer t3"]

    @pytest.mark.parametrize(
        ("result", "expected"),
        [
            (None, "must return a str or a BearerToken, not NoneType"),
            (b"token", "must return a str or a BearerToken, not bytes"),
            ({"access_token": "secret"}, "must return a str or a BearerToken, not dict"),
        ],
    )
    async def test_what_is_no_token(self, result: Any, expected: str) -> None:
        """Nothing is sent, and the message does not show what it was."""
        mock = MockConnector()
        async with session_with(Source(result), mock) as session:
            with pytest.raises(TypeError, match=expected) as caught:
                await ask(session)
        assert "secret" not in str(caught.value)
        mock.assert_not_called()

    @pytest.mark.parametrize(
        "text", ["", "<html>error</html>", "two words", "Bearer secret", "a\r\nX: y", "é", "a=b"]
    )
    async def test_a_text_that_is_no_token(self, text: str) -> None:
        """RFC 6750 §2.1 says which characters a token has; an error page has others."""
        mock = MockConnector()
        async with session_with(Source(text), mock) as session:
            with pytest.raises(ValueError, match="a token must") as caught:
                await ask(session)
        assert not text or text not in str(caught.value)
        mock.assert_not_called()

    async def test_a_function_that_is_not_async(self) -> None:
        """It could block the event loop, so it has to be asked for in a thread."""
        source: Any = lambda: "token"  # noqa: E731 (its type is the point)
        async with session_with(source, MockConnector()) as session:
            with pytest.raises(TypeError, match="an async callable, but it returned str"):
                await ask(session)

    async def test_a_timeout_says_what_it_waited_for(self) -> None:
        """That of the request that asks, and that of one that waits for it."""
        source = Source()
        source.go = anyio.Event()
        messages: list[str] = []

        async def one() -> None:
            with pytest.raises(TimeoutError) as caught:
                await ask(session, timeout=ClientTimeout(total=0.01))
            messages.append(str(caught.value))

        async with session_with(source, MockConnector()) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(one)
                group.start_soon(one)
        assert len(messages) == 2
        assert all("waiting for a token" in message for message in messages)


class TestOwnRequests:
    @pytest.mark.parametrize("in_task", [False, True])
    async def test_of_the_same_session(self, in_task: bool) -> None:
        """A source that asks the origin itself does not wait for itself, also in another task."""
        mock = MockConnector(limit=1)
        mock.post(f"{API}token", json={"access_token": "abc", "token_type": "bearer"})
        mock.get(API, text="private")
        found: list[BearerToken] = []

        async def fetch() -> None:
            async with session.post("token") as response:
                found.append(BearerToken.from_oauth2(await response.json()))

        async def source() -> BearerToken:
            if in_task:
                async with anyio.create_task_group() as group:
                    group.start_soon(fetch)
            else:
                await fetch()
            return found.pop()

        async with session_with(source, mock) as session:
            with anyio.fail_after(5):
                assert await ask(session) == 200
        assert [call.headers.get("Authorization") for call in mock.calls] == [None, "Bearer abc"]

    async def test_after_a_401_with_one_connection(self) -> None:
        """The response to the first request does not keep the source from its connection."""
        mock = MockConnector(limit=1)
        tokens = iter(["old", "new"])
        mock.post(f"{API}token", answer=lambda _: Answer(json={"access_token": next(tokens)}))

        def private(request: ReceivedRequest) -> Answer:
            new = request.headers["Authorization"] == "Bearer new"
            return Answer(200 if new else 401, body=b"x" * 200_000)

        mock.get(API, answer=private)

        async def source() -> BearerToken:
            async with session.post("token") as response:
                return BearerToken.from_oauth2(await response.json())

        async with session_with(source, mock) as session:
            with anyio.fail_after(5):
                assert await ask(session) == 200

    async def test_before_a_rate_limit(self) -> None:
        """A request that waits for a token takes no turn."""
        mock = MockConnector()
        mock.post(f"{API}token", json={"access_token": "abc"})
        mock.get(API, text="private")

        async def source() -> BearerToken:
            async with session.post("token") as response:
                return BearerToken.from_oauth2(await response.json())

        limit = RateLimitMiddleware(1e6, concurrency=1)
        middlewares: list[ClientMiddlewareType] = [BearerAuthMiddleware(source), limit]
        async with ClientSession(API, connector=mock, middlewares=middlewares) as session:
            with anyio.fail_after(5):
                assert await ask(session) == 200

    async def test_of_another_middleware_whose_source_needs_the_first(self) -> None:
        """Two sources that ask for each other's origins end too."""
        mock = Guarded("t1")
        mock.accepted.add("Bearer a")

        async def first() -> str:
            await ask(session, ELSEWHERE)
            return "a"

        async def second() -> str:
            await ask(session, API)
            return "b"

        middlewares = [
            BearerAuthMiddleware(first, origins=API),
            BearerAuthMiddleware(second, origins=ELSEWHERE),
        ]
        async with ClientSession(connector=mock, middlewares=middlewares) as session:
            with anyio.fail_after(5):
                assert await ask(session, API) == 200
        assert mock.sent == [None, "Bearer b", "Bearer a"]

    async def test_a_task_that_outlives_the_source(self) -> None:
        """When the source has returned, requests of tasks that it started get the token."""
        mock = Guarded("t1")
        go = anyio.Event()

        async def later() -> None:
            await go.wait()
            assert await ask(session) == 200

        async with anyio.create_task_group() as group:

            async def source() -> str:
                group.start_soon(later)
                return "t1"

            async with session_with(source, mock) as session:
                assert await ask(session) == 200
                go.set()
                await anyio.wait_all_tasks_blocked()
        assert mock.sent == ["Bearer t1"] * 2


class TestCancellation:
    @pytest.mark.parametrize("how", get_args(How))
    async def test_it_can_be_cancelled_everywhere(self, how: How) -> None:
        """Nothing is left, and the next request gets its token."""
        mock = Guarded()
        mock.post(f"{ELSEWHERE}token", json={"access_token": "right"})

        async def operation() -> None:
            number = 0

            async def source() -> BearerToken | str:
                nonlocal number
                number += 1
                if number == 1:
                    return "wrong"
                async with session.post(f"{ELSEWHERE}token") as response:
                    return BearerToken.from_oauth2(await response.json())

            bearer = BearerAuthMiddleware(source)
            assert await ask(session, "", "PUT", data=b"x" * 100_000, middlewares=[bearer]) == 200
            bearers.append(bearer)

        async def after() -> None:
            assert_free(session)

        bearers: list[BearerAuthMiddleware] = []
        mock.accepted = {"Bearer right"}
        async with ClientSession(API, connector=mock) as session:
            assert await cancel_at_every_checkpoint(operation, after=after, how=how)
            assert await ask(session, middlewares=bearers) == 200

    @pytest.mark.uvloop
    async def test_another_one_takes_over(self) -> None:
        """If the request that asks is cancelled, exactly one of those that wait asks again."""
        source, mock = Source(), Guarded("t2")
        source.go = anyio.Event()
        statuses: list[int] = []

        async def one() -> None:
            statuses.append(await ask(session))

        async with session_with(source, mock) as session:
            async with anyio.create_task_group() as group:

                async def the_others_wait() -> None:
                    await anyio.wait_all_tasks_blocked()
                    for _ in range(3):
                        group.start_soon(one)
                    await anyio.wait_all_tasks_blocked()

                assert await cancel_when(lambda: ask(session), the_others_wait)
                await anyio.wait_all_tasks_blocked()
                assert source.calls == 2
                source.go.set()
        assert statuses == [200] * 3
        assert source.calls == 2

    async def test_one_that_waits_is_cancelled(self) -> None:
        """The others wait on."""
        source, mock = Source(), Guarded("t1")
        source.go = anyio.Event()
        async with session_with(source, mock) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(ask, session)
                await anyio.wait_all_tasks_blocked()
                assert await cancel_when(lambda: ask(session), anyio.wait_all_tasks_blocked)
                source.go.set()
        assert mock.sent == ["Bearer t1"]

    @pytest.mark.parametrize("after", ["", "a 401"])
    async def test_the_session_is_closed(self, after: str) -> None:
        """Those that wait fail at once; the source is not waited for."""
        source, mock = Source(), Guarded()
        if after:
            source.ready = 1
        source.go = anyio.Event()
        session = session_with(source, mock)
        failures: list[str] = []

        async def one() -> None:
            with pytest.raises(ClientConnectionError) as caught:
                await ask(session)
            failures.append(str(caught.value))

        async with anyio.create_task_group() as group:
            for _ in range(2):
                group.start_soon(one)
            await anyio.wait_all_tasks_blocked()
            await session.close()
        assert failures == ["Session is closed"] * 2
        assert mock.sent == (["Bearer t1"] * 2 if after else [])

    async def test_the_total_time_of_the_one_that_asks(self) -> None:
        """It ends this one alone."""
        source, mock = Source(), Guarded("t2")
        source.go = anyio.Event()
        statuses: list[int] = []

        async def impatient() -> None:
            with pytest.raises(TimeoutError):
                await ask(session, timeout=ClientTimeout(total=0.01))
            assert source.go is not None
            source.go.set()

        async def patient() -> None:
            statuses.append(await ask(session))

        async with session_with(source, mock) as session:
            async with anyio.create_task_group() as group:
                group.start_soon(impatient)
                await anyio.wait_all_tasks_blocked()
                group.start_soon(patient)
        assert statuses == [200]

    def test_another_event_loop(self) -> None:
        """A loop that ended while it waited for a token keeps no other one from asking."""
        source = Source()
        bearer = BearerAuthMiddleware(source)

        async def run(patience: float) -> int:
            source.go = anyio.Event()
            if patience:
                source.go.set()
            async with ClientSession(API, connector=Guarded("t2"), middlewares=[bearer]) as session:
                with anyio.move_on_after(patience):
                    return await ask(session)
            return 0

        assert [anyio.run(run, patience) for patience in (0, 5)] == [0, 200]


class TestSecrecy:
    async def test_nothing_shows_the_token(self, caplog: pytest.LogCaptureFixture) -> None:
        """No ``repr``, no text of an exception, and no line of a log."""
        caplog.set_level(logging.DEBUG)
        token = BearerToken("c2VjcmV0", expires_in=3600)
        bearer = BearerAuthMiddleware(Source(token, token), origins=[API])
        shown: list[str] = [repr(token), str(token), repr(bearer)]

        async def look(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            shown.extend((repr(request), repr(request.headers), repr(request.headers.copy())))
            assert request.headers["Authorization"] == "Bearer c2VjcmV0"
            response = await handler(request)
            shown.append(repr(response))
            return response

        async with ClientSession(
            API, connector=Guarded(), middlewares=[bearer, look], raise_for_status=True
        ) as session:
            with pytest.raises(ClientResponseError) as caught:
                await ask(session)
        shown += [repr(caught.value), str(caught.value), repr(caught.value.request_info)]
        assert "c2VjcmV0" not in "".join((*shown, caplog.text))
        assert shown[:3] == [
            f"BearerToken('***', expires_at={token.expires_at!r})",
            f"BearerToken('***', expires_at={token.expires_at!r})",
            "BearerAuthMiddleware(origins=['https://api.test'])",
        ]


class TestArguments:
    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"token_source": "token"}, TypeError, "token_source must be a callable, not str"),
            ({"leeway": -1}, ValueError, "leeway must not be negative"),
            ({"leeway": None}, TypeError, "leeway must be a number of seconds"),
            ({"leeway": float("inf")}, ValueError, "leeway must be finite"),
            ({"allow_http": 1}, TypeError, "allow_http must be a bool"),
            ({"origins": []}, ValueError, "at least one origin"),
            ({"origins": 1}, TypeError, "origins must be"),
            ({"origins": [1]}, TypeError, "origins must hold a str"),
            ({"origins": "api.test"}, ValueError, "not 'api.test'"),
            ({"origins": "localhost:80"}, ValueError, "not 'localhost:80'"),
            ({"origins": "ftp://api.test"}, ValueError, "not 'ftp://api.test'"),
            ({"origins": "https://127.1"}, ValueError, "not 'https://127.1'"),
            ({"origins": "https://[1"}, ValueError, "one of them is not a URL"),
            ({"origins": "https://a:secret@api.test"}, ValueError, "without user info"),
            ({"origins": "https://api.test/v1"}, ValueError, "whatever the path"),
            ({"origins": "https://api.test/?a"}, ValueError, "whatever the path"),
            ({"origins": "http://api.test"}, ValueError, "to http://api.test without TLS"),
        ],
    )
    def test_bad_ones_are_named(
        self, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        """Before anything is sent, and without showing what may be secret."""
        arguments: dict[str, Any] = {"token_source": Source()} | options
        with pytest.raises(error, match=message) as caught:
            BearerAuthMiddleware(**arguments)
        assert "secret" not in str(caught.value)

    def test_http_that_is_allowed(self) -> None:
        """By its name, or because it is this computer."""
        BearerAuthMiddleware(Source(), origins="http://api.test", allow_http=True)
        BearerAuthMiddleware(Source(), origins=["http://localhost:80", "http://[::1]:8080"])


def test_an_error_of_a_token_endpoint_is_an_error_of_the_client() -> None:
    """So that whoever catches those catches this."""
    assert issubclass(OAuth2Error, anyhttp.ClientError)
