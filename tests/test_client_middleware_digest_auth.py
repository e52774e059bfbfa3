"""Digest authentication: the RFC's examples, and a server that verifies every signature."""

from __future__ import annotations

import hashlib
import io
import itertools
import os
from collections.abc import AsyncIterator, Callable, Iterator
from itertools import product
from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from multidict import CIMultiDict
from yarl import URL

import anyhttp
from anyhttp import (
    ClientError,
    ClientHandlerType,
    ClientPayloadError,
    ClientRequest,
    ClientResponse,
    ClientSession,
    DigestAuthMiddleware,
    TCPConnector,
)
from anyhttp._headers.challenges import Challenge, parse_challenges, parse_parameters
from anyhttp.client_middleware_digest_auth import authorization, digest_challenge
from anyhttp.testing import Answer
from tests.support.api import Api
from tests.support.cancel import How, cancel_at_every_checkpoint
from tests.support.client import assert_free
from tests.support.digest import DigestServer, Guard, Policy
from tests.support.peer import Script
from tests.support.server import Server
from tests.support.tls import Authority

LOGIN, PASSWORD = "Mufasa", "Circle of Life"
ALGORITHMS = ["MD5", "SHA", "SHA-256", "SHA256", "SHA-512", "SHA512", "sha-256", "Md5"]
if "sha512_256" in hashlib.algorithms_available:
    ALGORITHMS.append("SHA-512-256")


class GuardedApi(Guard):
    """An API at an origin of its own that verifies digests."""

    def __init__(self, url: URL, policy: Policy) -> None:
        super().__init__(policy)
        self.url = url


Guarded = Callable[..., GuardedApi]


@pytest.fixture
def guarded(api: Api) -> Guarded:
    """Make APIs that verify digests; the arguments are those of :class:`Policy`."""
    numbers = itertools.count(10_001)

    def make(**policy: Any) -> GuardedApi:
        guard = GuardedApi(api.url.with_port(next(numbers)), Policy(**policy))
        api.answer_at(guard.url, guard.answer)
        return guard

    return make


Start = Callable[..., DigestServer]


@pytest.fixture
def guarded_server(tls_ca: Authority) -> Iterator[Start]:
    """Start servers that verify digests; the arguments are those of :class:`Policy`."""
    servers: list[DigestServer] = []

    def start(**policy: Any) -> DigestServer:
        servers.append(DigestServer(tls_ca.server, Policy(**policy)))
        return servers[-1]

    yield start
    for server in servers:
        server.stop()


def digest_session(server: Api | GuardedApi | Server, **options: Any) -> ClientSession:
    """Return a session that signs by the right credentials."""
    login = options.pop("login", LOGIN)
    password = options.pop("password", PASSWORD)
    digest = DigestAuthMiddleware(login, password, **options)
    return ClientSession(server.url, middlewares=[digest])


async def ask(session: ClientSession, path: Any = "a", method: str = "GET", **options: Any) -> int:
    """Make a request, read the response, and return its status."""
    async with session.request(method, path, **options) as response:
        await response.read()
        return response.status


def parsed(signature: str | None) -> dict[str, str]:
    """Return the parameters of an ``Authorization`` header."""
    assert signature is not None
    assert signature.startswith("Digest ")
    return parse_parameters(signature.removeprefix("Digest "))


def denial(*challenges: str) -> Answer:
    """Return a 401 with these challenges."""
    return Answer(401, headers=[("WWW-Authenticate", challenge) for challenge in challenges])


class TestExamples:
    """The signatures that RFC 7616 §3.9 computes."""

    CHALLENGE = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm={}, '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )

    @pytest.mark.parametrize(
        ("algorithm", "response"),
        [
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ],
    )
    def test_sha_256_and_md5(self, algorithm: str, response: str) -> None:
        """RFC 7616 §3.9.1."""
        (challenge,) = parse_challenges([self.CHALLENGE.format(algorithm)])
        cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        header = authorization(
            digest_challenge(challenge),
            LOGIN,
            PASSWORD,
            method="GET",
            uri="/dir/index.html",
            qop="auth",
            body_hash="",
            count="00000001",
            cnonce=cnonce,
        )
        assert parsed(header) == {
            "username": LOGIN,
            "realm": "http-auth@example.org",
            "uri": "/dir/index.html",
            "algorithm": algorithm,
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v",
            "nc": "00000001",
            "cnonce": cnonce,
            "qop": "auth",
            "response": response,
            "opaque": "FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        }

    @pytest.mark.skipif(
        "sha512_256" not in hashlib.algorithms_available,
        reason="Python's OpenSSL has no SHA-512/256",
    )
    @pytest.mark.parametrize("userhash", [True, False])
    @pytest.mark.parametrize("login", ["Jäsøn Doe", "Ja\u0308søn Doe"])
    def test_sha_512_256_and_unicode(self, userhash: bool, login: str) -> None:
        """RFC 7616 §3.9.2 with the values of erratum 4897; names are normalised (§4)."""
        text = (
            'Digest realm="api@example.org", qop="auth", algorithm=SHA-512-256, '
            'nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK", '
            'opaque="HRPCssKJSGjCrkzDg8OhwpzCiGPChXYjwrI2QmXDnsOS", charset=UTF-8, '
            f"userhash={str(userhash).lower()}"
        )
        (challenge,) = parse_challenges([text])
        header = authorization(
            digest_challenge(challenge),
            login,
            "Secret, or not?",
            method="GET",
            uri="/doe.json",
            qop="auth",
            body_hash="",
            count="00000001",
            cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
        )
        fields = parsed(header)
        expected = "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"
        assert fields["response"] == expected
        if userhash:
            name = "793263caabb707a56211940d90411ea4a575adeccb7e360aeb624ed06ece9b0b"
            assert fields["username"] == name
            assert fields["userhash"] == "true"
        else:
            assert "username" not in fields
            assert fields["username*"] == "UTF-8''J%C3%A4s%C3%B8n%20Doe"
            assert "userhash" not in fields


class TestSigning:
    @pytest.mark.parametrize(
        ("session", "qop"),
        [
            # RFC 2069, without qop, has no cnonce to make a session with
            ("", None),
            *product(["", "-sess", "-SESS"], ["auth", "auth-int", "auth,auth-int"]),
        ],
    )
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    async def test_every_algorithm_and_qop(
        self, guarded: Guarded, algorithm: str, session: str, qop: str | None
    ) -> None:
        """Signatures of several requests are verified, and one 401 is answered for all."""
        server = guarded(algorithm=algorithm + session, qop=qop)
        async with digest_session(server) as client:
            assert await ask(client) == 200
            assert await ask(client, "a/b?c=%20d&e", "POST", data=b"body") == 200
            assert await ask(client, "upload", "PUT", data=io.BytesIO(b"x" * 100_000)) == 200
        assert server.complaints == ["no signature"]
        fields = parsed(server.signatures[-1])
        assert fields["algorithm"] == algorithm + session
        if qop:
            assert fields["qop"] == qop.rpartition(",")[2]
            assert fields["nc"] == "00000003"

    async def test_without_an_algorithm(self, guarded: Guarded) -> None:
        """RFC 7616 §3.3: it is MD5 then."""
        server = guarded(algorithm=None, opaque=None)
        async with digest_session(server) as client:
            assert await ask(client) == 200
        assert "opaque" not in parsed(server.signatures[-1])

    @pytest.mark.parametrize("opaque", ["", 'a "b" \\c'])
    async def test_quoting(self, guarded: Guarded, opaque: str) -> None:
        """What stands in quotes is unescaped, computed with, and escaped again."""
        server = guarded(realm='a "realm", with \\ and =', opaque=opaque, login='A "B\\')
        async with digest_session(server, login='A "B\\') as client:
            assert await ask(client) == 200

    @pytest.mark.parametrize("charset", [None, "UTF-8"])
    @pytest.mark.parametrize("userhash", [False, True])
    async def test_names_that_are_not_ascii(
        self, guarded: Guarded, charset: str | None, userhash: bool
    ) -> None:
        """They are sent in UTF-8, as ``username*``, or as a digest."""
        who = {"login": "Jäsøn", "password": "gehöim"}
        server = guarded(charset=charset, userhash=userhash, **who)
        async with digest_session(server, **who) as client:
            assert await ask(client) == 200

    @pytest.mark.parametrize("path", ["a%2Fb?q=%C3%A4&x=a+b", "?only=query", "%7Euser/"])
    async def test_the_target_as_it_is_sent(self, guarded: Guarded, path: str) -> None:
        """The encoded path and query are signed; a decoded one would be another."""
        server = guarded()
        async with digest_session(server) as client:
            url = URL(str(server.url) + path, encoded=True)
            assert await ask(client, url) == 200

    async def test_a_wrong_password(self, guarded_server: Start) -> None:
        """One 401 is answered, the second is the response: it never loops."""
        server = guarded_server()
        async with digest_session(server, password="wrong") as client:
            assert await ask(client) == 401
            assert await ask(client) == 401
            assert_free(client, idle=1)
        assert len(server.requests) == 4
        assert server.complaints == ["no signature"] + ["another digest"] * 3

    @pytest.mark.parametrize("limit", [1, 100])
    async def test_it_keeps_its_connection(self, guarded_server: Start, limit: int) -> None:
        """The answer to the 401 goes over the same one."""
        server = guarded_server(uses=1)
        middleware = DigestAuthMiddleware(LOGIN, PASSWORD)
        connector = TCPConnector(limit=limit)
        async with ClientSession(
            server.url, connector=connector, middlewares=[middleware]
        ) as client:
            for _ in range(3):
                assert await ask(client) == 200
        assert server.connections == 1

    async def test_the_option_of_a_request(self, guarded: Guarded) -> None:
        """It works for one request as for a session."""
        server = guarded()
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(server.url) as client:
            assert await ask(client, middlewares=[digest]) == 200
            assert await ask(client) == 401
            assert await ask(client, middlewares=[digest]) == 200
        assert server.complaints == ["no signature"] * 2

    async def test_it_takes_the_place_of_other_credentials(self, guarded: Guarded) -> None:
        """There is one ``Authorization`` header, its own."""
        server = guarded()
        async with digest_session(server) as client:
            assert await ask(client, auth=anyhttp.BasicAuth("a", "b")) == 200


class TestCancellation:
    @pytest.mark.parametrize("how", get_args(How))
    @pytest.mark.parametrize("qop", ["auth", "auth-int"])
    async def test_it_can_be_cancelled_everywhere(
        self, guarded_server: Start, tmp_path: Path, how: How, qop: str
    ) -> None:
        """Nothing is left, and the next request is signed as it should be."""
        server = guarded_server(qop=qop)
        (tmp_path / "file").write_bytes(b"x" * 100_000)

        async def operation() -> None:
            digest = DigestAuthMiddleware(LOGIN, PASSWORD)
            with (tmp_path / "file").open("rb") as file:
                status = await ask(client, method="PUT", data=file, middlewares=[digest])
            assert status == 200

        async def after() -> None:
            assert_free(client)
            assert await ask(client) == 200

        async with digest_session(server) as client:
            assert await cancel_at_every_checkpoint(operation, after=after, how=how)


class TestNonces:
    async def test_a_stale_one_is_replaced(self, guarded: Guarded) -> None:
        """RFC 7616 §3.3: after ``stale=true`` the request is signed with the new nonce."""
        server = guarded(uses=2)
        async with digest_session(server) as client:
            assert [await ask(client) for _ in range(5)] == [200] * 5
        assert server.complaints == ["no signature", "stale", "stale"]

    async def test_the_next_one_is_used(self, guarded: Guarded) -> None:
        """RFC 7616 §3.5: a nonce in ``Authentication-Info`` saves the 401 of a stale one."""
        server = guarded(uses=1, announces=True)
        async with digest_session(server) as client:
            assert [await ask(client) for _ in range(5)] == [200] * 5
        assert server.complaints == ["no signature"]
        assert {parsed(header)["nc"] for header in server.signatures if header} == {"00000001"}

    async def test_other_news_changes_nothing(self, api: Api) -> None:
        """``Authentication-Info`` may say other things, or that the nonce stays."""
        answers = [
            Answer(204, headers={"Authentication-Info": info})
            for info in ("qop=auth, nc=00000001", 'nextnonce="n"', 'nextnonce="\udce9"', "?")
        ]
        api.mock.get(api.url, answers=[denial('Digest realm="r", nonce="n", qop="auth"'), *answers])
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            for _ in answers:
                assert await ask(client, "") == 204
        last = parsed(api.mock.calls[-1].headers["Authorization"])
        assert (last["nonce"], last["nc"]) == ("n", "00000004")

    async def test_a_control_character_in_it_changes_nothing(self, script: Script) -> None:
        """It is read, but could not be sent back: no request would be possible any more."""
        denial = b"HTTP/1.1 401 No\r\nContent-Length: 0\r\n"
        denial += b'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth"\r\n\r\n'
        news = b'HTTP/1.1 204 Fine\r\nAuthentication-Info: nextnonce="\x01"\r\n\r\n'
        peer = await script([(b"GET / ", denial), (b"GET / ", news)], [(b"GET / ", news)])
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(peer.url, middlewares=[digest]) as client:
            assert [await ask(client, "") for _ in range(2)] == [204] * 2
        assert b'nonce="n"' in peer.requests[-1]

    @pytest.mark.parametrize("algorithm", ["MD5", "MD5-sess"])
    @pytest.mark.parametrize("shared", [False, True])
    async def test_many_requests_at_once(
        self, guarded: Guarded, algorithm: str, shared: bool
    ) -> None:
        """No two of them have the same nonce and count, whoever was asked when."""
        server = guarded(shared_nonce=shared, algorithm=algorithm)
        async with digest_session(server) as client:
            statuses: list[int] = []

            async def one() -> None:
                statuses.append(await ask(client))

            for _ in range(2):
                async with anyio.create_task_group() as group:
                    for _ in range(20):
                        group.start_soon(one)
        assert statuses == [200] * 40
        assert set(server.complaints) == {"no signature"}
        assert len(server.signatures) <= 60

    async def test_preemptive_may_be_switched_off(self, guarded: Guarded) -> None:
        """Each request is asked for its signature then."""
        server = guarded()
        async with digest_session(server, preemptive=False) as client:
            assert [await ask(client) for _ in range(3)] == [200] * 3
        assert server.complaints == ["no signature"] * 3

    async def test_a_cnonce_is_used_once(self, guarded: Guarded) -> None:
        """But with -sess, where it is part of the key of the session (§3.4.2)."""
        for algorithm, count in (("MD5", 3), ("MD5-sess", 1)):
            server = guarded(algorithm=algorithm)
            async with digest_session(server) as client:
                for _ in range(3):
                    assert await ask(client) == 200
            names = {parsed(header)["cnonce"] for header in server.signatures if header}
            assert len(names) == count


class TestWhere:
    """CVE-2026-54276: the credentials stay with the origin that they were made for."""

    async def test_another_origin_gets_no_signature(self, guarded: Guarded) -> None:
        """Whether it is asked directly or by a redirect, and whatever it asks for."""
        first, other = guarded(), guarded()
        async with digest_session(first) as client:
            assert await ask(client) == 200
            assert await ask(client, other.url / "a") == 401
        assert other.signatures == [None]

    async def test_nor_by_a_redirect(self, guarded: Guarded, api: Api) -> None:
        """A redirect within the origin is signed, one that leaves it is not."""
        other = guarded()
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            url = (api.url / "redirect-to").with_query(url=str(other.url / "x"))
            assert await ask(client, url) == 401
        assert other.signatures == [None]

    async def test_the_first_request_decides(self, guarded: Guarded, api: Api) -> None:
        """Even if that origin asks for nothing."""
        other = guarded()
        async with digest_session(api) as client:
            assert await ask(client, "json") == 200
            assert await ask(client, other.url) == 401

    async def test_domain_names_others(self, guarded: Guarded) -> None:
        """RFC 7616 §3.3: what the origin names shares the credentials, and nothing else."""
        shared = guarded()
        shared.policy.qop = "auth-int"
        first = guarded(domain=f"/a {shared.url}a/")
        async with digest_session(first) as client:
            assert await ask(client) == 200
            assert await ask(client, shared.url / "a/b") == 200
            assert await ask(client, shared.url / "a/c") == 200
            assert await ask(client, shared.url / "ab") == 401
            assert await ask(client, shared.url / "b") == 401
        # it did not know the nonce of the other, but could answer with one of its own
        assert [header is not None for header in shared.signatures] == [
            True, True, True, False, False,
        ]  # fmt: skip

    async def test_domain_says_what_is_signed_at_once(self, guarded: Guarded) -> None:
        """Other paths of the origin are asked first."""
        server = guarded(domain="/secret /x/")
        async with digest_session(server) as client:
            for path in ("secret", "secret/1", "x/1", "secrets", "x"):
                assert await ask(client, path) == 200
        assert server.complaints == ["no signature"] * 3

    async def test_a_domain_whose_host_is_too_long(self, guarded: Guarded) -> None:
        """It names nothing that can be asked, and IDNA is not given it (CVE-2026-45409)."""
        server = guarded(domain=f"http://{'a' * 2000}/")
        async with digest_session(server) as client:
            assert [await ask(client) for _ in range(2)] == [200] * 2
        assert server.complaints == ["no signature"]

    async def test_a_domain_without_end(self, guarded: Guarded) -> None:
        """Each request is compared with what it names, so it names no more than 64 URLs."""
        server = guarded(domain=" ".join(f"/{number}/" for number in range(100)))
        async with digest_session(server) as client:
            for path in ("x", "63/x", "64/x", "63/y"):
                assert await ask(client, path) == 200
        assert server.complaints == ["no signature"] * 2

    async def test_only_the_origin_says_so(self, guarded: Guarded) -> None:
        """What it has named cannot name others in turn."""
        third = guarded()
        second = guarded(domain=str(third.url))
        first = guarded(domain=str(second.url))
        async with digest_session(first) as client:
            assert await ask(client) == 200
            assert await ask(client, second.url) == 200
            assert await ask(client, third.url) == 401
        assert third.signatures == [None]

    async def test_tls_is_not_left(self, guarded_server: Start, tls_ca: Authority) -> None:
        """What was protected does not go to a plain http URL, even if the origin names it."""
        plain = guarded_server()
        first = guarded_server(domain=f"/ {plain.url} ftp://a/ http:// //[ relative")
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        connector = TCPConnector(ssl=tls_ca.client)
        async with ClientSession(connector=connector, middlewares=[digest]) as client:
            assert await ask(client, first.https_url) == 200
            assert await ask(client, plain.url) == 401
        assert plain.signatures == [None]

    async def test_a_request_that_is_sent_elsewhere_afterwards(self, guarded: Guarded) -> None:
        """A middleware outside may change where it goes; the signature stays behind."""
        first, other = guarded(), guarded()

        async def mirror(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            await handler(request)
            request.url = other.url
            return await handler(request)

        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(first.url, middlewares=[mirror, digest]) as client:
            assert await ask(client) == 401
        assert other.signatures == [None]

    async def test_an_answer_from_elsewhere(self, guarded: Guarded) -> None:
        """A middleware inside has asked another origin: its challenge is not answered."""
        first, other = guarded(), guarded()

        async def divert(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.url = other.url
            return await handler(request)

        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(first.url, middlewares=[digest, divert]) as client:
            assert await ask(client) == 401
        assert other.signatures == [None]

    async def test_a_signed_request_that_is_sent_elsewhere(self, guarded: Guarded) -> None:
        """A middleware inside changes where it goes; the signature stays behind."""
        first, other = guarded(), guarded()
        target: list[URL] = []

        async def divert(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
            request.url = (target or [request.url])[0]
            return await handler(request)

        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(first.url, middlewares=[digest, divert]) as client:
            assert await ask(client) == 200
            target.append(other.url)
            assert await ask(client) == 401
        assert other.signatures == [None]


class TestChallenges:
    """What servers send in ``WWW-Authenticate``."""

    BASIC = 'Basic realm="simple, Digest realm=\\"no\\"", charset="UTF-8"'

    @pytest.mark.parametrize(
        ("before", "after"),
        [
            ((BASIC,), ()),
            ((), (BASIC,)),
            (("Negotiate", "NTLM TlRMTVNTUAABAAAA==", BASIC), ("Bearer",)),
            (('Digest realm="r", nonce="n", algorithm=TIGER-192',), ()),
            (('Digest realm="r", nonce="n", qop="auth-tomorrow"', "Digest"), ()),
            (("Digest !!!, =, ,,", '"', "a b c"), ()),
        ],
    )
    async def test_the_first_that_is_understood_is_answered(
        self, guarded: Guarded, before: tuple[str, ...], after: tuple[str, ...]
    ) -> None:
        """RFC 7616 §3.7: others may stand before and after it."""
        server = guarded(before=before, after=after)
        async with digest_session(server) as client:
            assert await ask(client) == 200

    async def test_two_that_are_understood(self, guarded: Guarded) -> None:
        """The one that the server put first is the one that it likes best."""
        server = guarded(after=('Digest realm="other", nonce="n", algorithm=MD5',))
        async with digest_session(server) as client:
            assert await ask(client) == 200

    @pytest.mark.parametrize(
        ("challenge", "message"),
        [
            ('Digest nonce="n"', "has no realm"),
            ('Digest realm="r"', "has no nonce"),
            ('Digest realm="r", nonce=""', "empty nonce"),
            ('Digest realm="r\x7f", nonce="n"', "control character in its realm"),
            ("Digest realm=r, nonce=a\x01b", "control character in its nonce"),
            ('Digest realm="r", nonce="n", opaque="\x1b[2J"', "control character in its opaque"),
            ('Digest realm="r", nonce="n", qop="confidential"', "unknown qop"),
            ('Digest realm="r", nonce="n", algorithm=CRC32', "unknown algorithm"),
            ('Digest realm="r", nonce="n", algorithm=MD5-SESS-SESS', "unknown algorithm"),
            ('Digest realm="r", nonce="n", algorithm=\u017fHA-256', "unknown algorithm"),
        ],
    )
    async def test_one_that_cannot_be_answered(
        self, api: Api, challenge: str, message: str
    ) -> None:
        """Is an error that says why; the connection is closed."""
        raw = (
            "HTTP/1.1 401 Unauthorized\r\nContent-Length: 1\r\n"
            f"WWW-Authenticate: {challenge}\r\n\r\nx"
        )
        api.mock.get(api.url, answer=Answer(raw=raw.encode()))
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            with pytest.raises(ClientError, match=message):
                await client.get("")
            assert_free(client)

    @pytest.mark.parametrize("challenges", [[], ["Digest"], ['Basic realm="a"']])
    async def test_none(self, api: Api, challenges: list[str]) -> None:
        """The 401 is the response."""
        api.mock.get(api.url, answer=denial(*challenges))
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            assert await ask(client, "") == 401

    async def test_octets_that_are_not_utf_8(self, api: Api) -> None:
        """They are sent back as they came."""
        api.mock.get(api.url, answers=[denial('Digest realm="caf\udce9", nonce="n"'), 204])
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            assert await ask(client, "") == 204
        key = hashlib.md5(b"Mufasa:caf\xe9:Circle of Life").hexdigest()
        request = hashlib.md5(b"GET:/").hexdigest()
        response = hashlib.md5(f"{key}:n:{request}".encode()).hexdigest()
        signature = api.mock.calls[-1].headers["Authorization"]
        assert 'realm="caf\udce9"' in signature
        assert f'response="{response}"' in signature

    async def test_a_second_one_that_is_malformed(self, api: Api) -> None:
        """The answer to the answer is the response, whatever it asks for."""
        first, second = denial('Digest realm="r", nonce="n"'), denial("Digest realm=r")
        api.mock.get(api.url, answers=[first, second])
        digest = DigestAuthMiddleware(LOGIN, PASSWORD)
        async with ClientSession(api.url, middlewares=[digest]) as client:
            assert await ask(client, "") == 401


class TestBodies:
    @pytest.mark.parametrize("qop", ["auth", "auth-int"])
    async def test_a_body_that_was_used_up(self, guarded: Guarded, qop: str) -> None:
        """It cannot be sent after the 401: an error says so, and nothing empty is sent."""

        async def data() -> AsyncIterator[bytes]:
            yield b"once"

        server = guarded(qop=qop)
        async with digest_session(server) as client:
            with pytest.raises(ClientPayloadError, match="used up"):
                await client.post("a", data=data())
            # signed at once, it is sent once
            assert await ask(client, method="POST", data=data()) == 200
        assert server.complaints == ["no signature"]

    async def test_a_file_is_signed_where_it_stands(self, guarded: Guarded, tmp_path: Path) -> None:
        """And sent from there, within the length that was given."""
        (tmp_path / "file").write_bytes(b"0123456789" * 50_000)
        server = guarded(qop="auth-int")
        async with digest_session(server) as client:
            for length in ({}, {"Content-Length": "70000"}):
                with (tmp_path / "file").open("rb") as file:
                    file.seek(7)
                    assert await ask(client, method="PUT", data=file, headers=length) == 200
        assert server.complaints == ["no signature"]

    async def test_a_pipe_cannot_be_signed(self, guarded: Guarded) -> None:
        """What is read for the signature is gone."""
        server = guarded(qop="auth-int")
        async with digest_session(server) as client:
            assert await ask(client) == 200
            reader, writer = os.pipe()
            with os.fdopen(writer, "wb") as sink:
                sink.write(b"once")
            with pytest.raises(ClientPayloadError, match="only once"):
                await client.post("a", data=os.fdopen(reader, "rb"))

    async def test_a_compressed_body(self, guarded: Guarded) -> None:
        """It is not there to be signed; with ``auth`` it need not be."""
        server = guarded(qop="auth-int, auth")
        async with digest_session(server) as client:
            assert await ask(client, method="POST", data=b"x" * 1000, compress="gzip") == 200
        server = guarded(qop="auth-int")
        async with digest_session(server) as client:
            with pytest.raises(ClientError, match="compressed"):
                await client.post("a", data=b"x" * 1000, compress="gzip")


class TestArguments:
    @pytest.mark.parametrize(
        ("login", "password"), [(None, "x"), ("x", None), ("a:b", "x"), (":", "")]
    )
    def test_what_cannot_be_credentials(self, login: Any, password: Any) -> None:
        """As for :class:`BasicAuth`."""
        with pytest.raises(ValueError, match="must"):
            DigestAuthMiddleware(login, password)

    def test_the_password_is_not_shown(self) -> None:
        """Not in a repr, which ends in logs."""
        assert "secret" not in repr(DigestAuthMiddleware("a", "secret"))

    async def test_outside_a_session(self) -> None:
        """It is a plain callable, with whatever handler."""
        seen: list[str | None] = []

        async def handler(request: ClientRequest) -> ClientResponse:
            seen.append(request.headers.get("Authorization"))
            raise LookupError

        request = ClientRequest("GET", URL("http://a/"), CIMultiDict())
        with pytest.raises(LookupError):
            await DigestAuthMiddleware("a", "b")(request, handler)
        assert seen == [None]


class TestParser:
    @pytest.mark.parametrize(
        ("values", "challenges"),
        [
            ([], []),
            ([""], []),
            (["Basic"], [("Basic", {})]),
            (["Basic realm=x"], [("Basic", {"realm": "x"})]),
            (["a, b"], [("a", {}), ("b", {})]),
            (["A x=1, y=2, B, C z=\"3\""],
             [("A", {"x": "1", "y": "2"}), ("B", {}), ("C", {"z": "3"})]),
            (["A x=1", "y=2, B"], [("A", {"x": "1", "y": "2"}), ("B", {})]),
            (["A  X = 1 ,\ty\t=\t\"2\""], [("A", {"x": "1", "y": "2"})]),
            (["A YWJj==, B c=1"], [("A", {}), ("B", {"c": "1"})]),
            (["A YWJj="], [("A", {})]),
            (['A x="a\\"b\\\\c, D y=1"'], [("A", {"x": 'a"b\\c, D y=1'})]),
            (["A x=1, x=2"], [("A", {"x": "1"})]),
            (["A x=, y=2"], [("A", {"y": "2"})]),
            (['A x="open, B y=1'], [("A", {}), ("B", {"y": "1"})]),
            (['A x="a"b, y=1'], [("A", {"y": "1"})]),
            (['A x="1" y=2  z="3",w=4'], [("A", {"x": "1", "y": "2", "z": "3", "w": "4"})]),
            (["A x=1 B y=2"], [("A", {"x": "1"}), ("B", {"y": "2"})]),
            (["x=1, A y=2"], [("A", {"y": "2"})]),
            ([",, ,A,, x=1,,"], [("A", {"x": "1"})]),
            (["@ A x=1, B"], [("B", {})]),
        ],
    )  # fmt: skip
    def test_lists_of_challenges(
        self, values: list[str], challenges: list[tuple[str, dict[str, str]]]
    ) -> None:
        """RFC 9110 §11.6.1, and what malformed pieces leave of the others."""
        assert parse_challenges(values) == [Challenge(*pair) for pair in challenges]

    def test_lists_of_parameters(self) -> None:
        """RFC 7616 §3.5."""
        parsed = parse_parameters('nextnonce="a, b", nc=00000001, junk, =, x="')
        assert parsed == {"nextnonce": "a, b", "nc": "00000001"}


def test_a_subclass_with_a_step_of_aiohttp(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing calls it, so requests that it keeps unsigned would be signed."""
    for name in ("_in_protection_space", "_encode", "_authenticate"):
        with pytest.raises(TypeError, match=rf"Mine\.{name} would be passed over.*__call__"):
            type("Mine", (DigestAuthMiddleware,), {name: lambda *args: False})
        with monkeypatch.context() as patch:
            patch.setattr(DigestAuthMiddleware, name, lambda *args: False, raising=False)
            with pytest.raises(TypeError, match=rf"DigestAuthMiddleware\.{name} would be"):
                DigestAuthMiddleware("me", "secret")
