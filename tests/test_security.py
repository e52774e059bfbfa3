"""What a hostile peer, page or input must not achieve: one test for each rule of old holes.

Each class is a chapter of ``docs/explanation/trust.md``; each docstring names its rule, and the
advisories about clients that had the hole.  The corners of each rule are tested where the rule
lives: in ``tests/wire``, ``test_strict``, ``test_cookiejar`` and so on.  The chapter on HTTP/2 has
its tests in ``tests/http2/test_hostile_*``.
"""

from __future__ import annotations

import gzip
import json
import logging
import pickle
import time
import traceback
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import pytest
from yarl import URL

from anyhttp import (
    BasicAuth,
    ClientConnectorCertificateError,
    ClientError,
    ClientPayloadError,
    ClientResponse,
    ClientResponseError,
    ClientSession,
    ClientTimeout,
    CookieJar,
    Fingerprint,
    FormData,
    InvalidUrlClientError,
    InvalidUrlRedirectClientError,
    MultipartReader,
    MultipartWriter,
    NonHttpUrlRedirectClientError,
    ServerFingerprintMismatch,
    TCPConnector,
    TooManyRedirects,
)
from anyhttp._http1 import Limits
from anyhttp.http_exceptions import LineTooLong
from tests.support.client import assert_free, client, wait_free
from tests.support.cost import assert_linear, cheap
from tests.support.engines import NAMES, receive
from tests.support.names import Names
from tests.support.peer import (
    CLOSE,
    DEAF,
    STALL,
    Action,
    Flag,
    Head,
    Script,
    SendUnasked,
    Step,
    Tell,
    Wait,
)
from tests.support.requests import fields, pieces, requests_of
from tests.support.responses import CHUNKS, EMPTY, OK_LINE as OK, redirect
from tests.support.tls import Authority

SECRET = "nobody-may-read-this"
CONTROL = ("\r\nEvil: 1", "\n", "\r", "\x00", "\x1b", "\x7f")


async def read_all(response: ClientResponse, how: str) -> None:
    """Read the body in one of the ways there are."""
    if how == "read":
        await response.read()
    elif how == "content":
        while await response.content.readany():
            pass
    else:
        async for _ in response.content.iter_chunked(1):
            pass


async def failure(attempt: Awaitable[object]) -> Exception:
    """Return what *attempt* raises."""
    try:
        await attempt
    except (ClientError, OSError, ValueError) as exc:
        return exc
    raise AssertionError("nothing was raised")


def everything_shown(exc: BaseException) -> str:
    """Return all that logs and terminals show of an exception."""
    lines = traceback.format_exception(exc)
    return "\n".join((str(exc), repr(exc), *lines))


# -- credentials -----------------------------------------------------------------------


class TestCredentialsStayWhereTheyBelong:
    GIVEN = (
        ("Authorization", f"Basic {SECRET}"),
        ("authorization", f"Bearer {SECRET}"),
        ("Cookie", f"a={SECRET}"),
        ("COOKIE", f"b={SECRET}"),
        ("Proxy-Authorization", f"Basic {SECRET}"),
        ("proxy-authorization", f"Basic {SECRET}"),
        ("X-Other", "goes along"),
    )

    @pytest.mark.parametrize("part", ["scheme", "host", "port"])
    @pytest.mark.parametrize("given_by", ["request", "session", "options"])
    async def test_a_redirect_to_another_origin_drops_every_credential(
        self, part: str, given_by: str, http1: str, script: Script, tls_ca: Authority
    ) -> None:
        """Whichever part of the origin changes, whoever gave them, and in every copy.

        CVE-2023-32681, CVE-2023-43804, CVE-2024-37891, CVE-2026-34518, CVE-2026-44431,
        CVE-2026-47265.
        """
        first: list[Step] = []
        last: list[Step] = [(b"GET /b ", EMPTY)]
        if part == "host":
            peer = other = await script(first, last)
            target = other.url.with_host("localhost") / "b"
        else:
            peer = await script(first)
            other = await script(last, tls=tls_ca.server if part == "scheme" else None)
            target = other.url / "b"
        first.append((b"GET /a ", redirect(target)))
        of_session: dict[str, Any] = {}
        of_request: dict[str, Any] = {}
        if given_by == "request":
            of_request = {"headers": self.GIVEN, "cookies": {"c": SECRET}}
        elif given_by == "session":
            of_session = {"headers": self.GIVEN}
        else:
            of_request = {"auth": BasicAuth(SECRET, SECRET), "cookies": {"c": SECRET}}
        connector = TCPConnector(http1=http1, ssl=tls_ca.client)
        async with ClientSession(connector=connector, **of_session) as session:
            await session.get(peer.url / "a", **of_request)
        assert {"authorization", "cookie"} <= fields_of_any(peer.requests[0])
        found = fields(other.requests[-1])
        assert not {"authorization", "cookie", "proxy-authorization"} & found.keys()
        assert given_by == "options" or found["x-other"] == "goes along"

    async def test_and_for_the_rest_of_the_chain(self, http1: str, script: Script) -> None:
        """Even where it leads back to the origin that they were meant for."""
        first: list[Step] = []
        peer = await script(first)
        other = await script([(b"GET /b ", redirect(peer.url / "c"))])
        first += [(b"GET /a ", redirect(other.url / "b")), (b"GET /c ", EMPTY)]
        url = (peer.url / "a").with_user(SECRET).with_password(SECRET)
        async with client(http1) as session:
            async with session.get(url, cookies={"c": SECRET}) as response:
                assert [past.url.port for past in response.history] == [peer.port, other.port]
        with_them, without = requests_of(peer.requests[0])
        assert {"authorization", "cookie"} <= fields(with_them).keys()
        assert not {"authorization", "cookie"} & fields(without).keys()
        assert not {"authorization", "cookie"} & fields(other.requests[0]).keys()

    async def test_auth_of_a_session_with_a_base_url_stays_there(
        self, http1: str, script: Script
    ) -> None:
        """Asked for another origin by its full URL, it says nothing either."""
        peer = await script([(b"GET /a ", EMPTY)])
        other = await script([(b"GET /b ", EMPTY)])
        async with client(http1, base_url=peer.url, auth=BasicAuth("user", SECRET)) as session:
            await session.get("a")
            await session.get(other.url / "b")
        assert "authorization" in fields(peer.requests[0])
        assert "authorization" not in fields(other.requests[0])

    @pytest.mark.parametrize("lax", ["unverified", "pinned", "other name"])
    async def test_an_unverified_connection_is_never_lent_to_a_verified_request(
        self, lax: str, http1: str, script: Script, tls_ca: Authority
    ) -> None:
        """CVE-2024-35195, CVE-2026-54275: ``ssl`` and ``server_hostname`` are part of the key."""
        connections: list[list[Step]] = [[(b"GET /a ", EMPTY)], [], [(b"GET /b ", EMPTY)]]
        context = tls_ca.server
        options: dict[str, Any]
        if lax == "unverified":
            options = {"ssl": False}
        elif lax == "pinned":
            options = {"ssl": Fingerprint(tls_ca.fingerprint)}
        else:
            context = tls_ca.server_for("good.test")
            options = {"ssl": tls_ca.client, "server_hostname": "good.test"}
        strict: dict[str, Any] = {"ssl": tls_ca.client} if lax == "other name" else {}
        peer = await script(*connections, tls=context)
        async with client(http1) as session:
            await session.get(peer.url / "a", **options)
            assert_free(session, idle=1)
            with pytest.raises(ClientConnectorCertificateError):
                await session.get(peer.url / "a", **strict)
            # and the other way round it is not to be had either
            await session.get(peer.url / "b", ssl=False, server_hostname="good.test")

    async def test_a_pin_is_not_satisfied_by_another_pins_connection(
        self, http1: str, script: Script, tls_ca: Authority
    ) -> None:
        """Two fingerprints are two keys."""
        peer = await script([(b"GET ", EMPTY)], [], tls=tls_ca.server)
        async with client(http1) as session:
            await session.get(peer.url, ssl=Fingerprint(tls_ca.fingerprint))
            with pytest.raises(ServerFingerprintMismatch):
                await session.get(peer.url, ssl=Fingerprint(bytes(32)))

    @pytest.mark.parametrize(
        "url",
        [
            "http://user:{}@127.1/",
            "http://user:{}@ho\N{ACCOUNT OF}st/",
            "http://user:{}@host:port/",
            "http://user:{}@host:99999/",
            "http://user:{}@[::1/",
            "http://user:{}@/",
            "ftp://user:{}@host/",
            "//user:{}@host/",
            "user:{}@host/",
            "http:/user:{}@host/",
            "http://user:{}@127.0.0.1:1/",
            "https://user:{}@127.0.0.1:1/",
            "http://user:{}@" + "a" * 2000 + "/",
        ],
    )
    async def test_errors_about_urls_do_not_show_user_info(self, url: str, http1: str) -> None:
        """Neither the message nor the ``repr``, nor what it was caused by, nor the whole of it."""
        async with client(http1) as session:
            exc = await failure(session.get(url.format(SECRET)))
        assert SECRET not in everything_shown(exc)
        if not url.startswith("https"):
            with pytest.raises((ValueError, ClientError)) as caught:
                ClientSession(f"{url.format(SECRET)}no-slash")
            assert SECRET not in everything_shown(caught.value)

    @pytest.mark.parametrize(
        "location",
        [
            "http://user:{}@127.1/",
            "http://user:{}@host:port/",
            "http://user:{}@ho\N{ACCOUNT OF}st/",
            "ftp://user:{}@host/",
            "http://us\N{SNOWMAN}er:{}@host/",
        ],
    )
    async def test_nor_do_errors_about_redirects(
        self, location: str, http1: str, script: Script
    ) -> None:
        """What a server sends is no less of a secret."""
        peer = await script([(b"GET ", redirect(location.format(SECRET)))], partial=True)
        async with client(http1) as session:
            exc = await failure(session.get(peer.url))
        assert SECRET not in everything_shown(exc)

    async def test_nor_do_errors_about_responses(
        self, http1: str, script: Script, caplog: pytest.LogCaptureFixture
    ) -> None:
        """No message, ``repr`` or log line shows a password, token or cookie value."""
        caplog.set_level(logging.DEBUG)
        bad = b"HTTP/1.1 404 Not Found\r\nSet-Cookie: a=" + SECRET.encode() + b"; Secure\r\n"
        peer = await script(
            [(b"GET /a ", bad + b"Content-Length: 0\r\n\r\n"), (b"GET /b ", STALL)],
            [(b"GET /c ", b"garbage\r\n\r\n")],
            [(b"GET /d ", bad.replace(b"; Secure", b"\x00") + b"\r\n")],
        )
        auth = BasicAuth(SECRET, SECRET)
        options: dict[str, Any] = {
            "headers": {"Proxy-Authorization": SECRET, "Cookie": f"x={SECRET}"},
            "cookies": {"a": SECRET},
        }
        async with client(http1, auth=auth) as session:
            async with session.get(peer.url / "a", **options) as response:
                shown = [repr(response), repr(response.request_info), repr(session)]
            with pytest.raises(ClientResponseError) as caught:
                response.raise_for_status()
            failures: list[Exception] = [caught.value]
            slow = session.get(peer.url / "b", timeout=ClientTimeout(sock_read=0.05), **options)
            failures.append(await failure(slow))
            failures.append(await failure(session.get(peer.url / "c", **options)))
            failures.append(await failure(session.get(peer.url / "d", **options)))
            shown.append(repr(session.connector))
            shown.append(repr(session.cookie_jar))
        shown += [everything_shown(exc) for exc in failures]
        encoded = auth.encode().removeprefix("Basic ")
        for text in (*shown, repr(auth), str(auth), caplog.text):
            assert encoded not in text
        for text in (*shown, caplog.text):
            assert SECRET not in text
        assert SECRET not in repr(BasicAuth("user", SECRET))

    async def test_credentials_that_cannot_be_encoded_are_not_shown(self, http1: str) -> None:
        """Python's own error would hold them."""
        async with client(http1) as session:
            exc = await failure(session.get("http://host/", auth=BasicAuth("\N{SNOWMAN}", SECRET)))
        assert SECRET not in everything_shown(exc)

    def test_a_jar_is_saved_as_json_that_only_its_owner_reads(self, tmp_path: Path) -> None:
        """CVE-2026-34993, CVE-2026-54279: never as a pickle; host-only scope survives."""
        url = URL("https://host.test/")
        jar = CookieJar()
        jar.update_cookies_from_headers(["only=1", "all=2; Domain=host.test"], url)
        path = tmp_path / "jar"
        jar.save(path)
        assert path.stat().st_mode & 0o777 == 0o600
        assert json.loads(path.read_text())
        loaded = CookieJar()
        loaded.load(path)
        assert set(loaded.filter_cookies(url)) == {"only", "all"}
        assert set(loaded.filter_cookies(URL("https://sub.host.test/"))) == {"all"}

    def test_a_pickle_is_not_loaded(self, tmp_path: Path) -> None:
        """It can run code; what is in the jar stays."""
        path = tmp_path / "jar"
        marker = tmp_path / "marker"

        class Bomb:
            def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
                return (Path.touch, (marker,))

        path.write_bytes(pickle.dumps(Bomb()))
        jar = CookieJar()
        jar.update_cookies({"a": "b"})
        with pytest.raises(ValueError):
            jar.load(path)
        assert not marker.exists()
        assert len(jar) == 1

    @pytest.mark.parametrize("unsafe", [False, True])
    async def test_cookies_of_addresses_only_if_asked_for(
        self, unsafe: bool, http1: str, script: Script
    ) -> None:
        """RFC 6265bis: an address is shared by whoever listens there."""
        sets = OK + b"Set-Cookie: a=b\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET /a ", sets), (b"GET /b ", EMPTY)])
        async with client(http1, cookie_jar=CookieJar(unsafe=unsafe)) as session:
            await session.get(peer.url / "a")
            await session.get(peer.url / "b")
        second = requests_of(peer.requests[0])[1]
        assert fields(second).get("cookie") == ("a=b" if unsafe else None)

    async def test_secure_cookies_only_over_tls(
        self, http1: str, script: Script, tls_ca: Authority
    ) -> None:
        """RFC 6265bis: not sent without TLS, and not accepted from there either."""
        sets = OK + b"Set-Cookie: a=tls; Secure\r\nContent-Length: 0\r\n\r\n"
        safe = await script([(b"GET ", sets), (b"GET ", EMPTY)], tls=tls_ca.server)
        weak = OK + b"Set-Cookie: b=plain; Secure\r\nSet-Cookie: a=evil\r\n"
        plain = await script([(b"GET ", weak + b"Content-Length: 0\r\n\r\n"), (b"GET ", EMPTY)])
        async with client(http1) as session:
            for url in (safe.url, plain.url, plain.url, safe.url):
                await session.get(url.with_host("localhost"), ssl=tls_ca.client)
        assert [fields(one).get("cookie") for one in requests_of(plain.requests[0])] == [None] * 2
        assert fields(requests_of(safe.requests[0])[1])["cookie"] == "a=tls"

    @pytest.mark.parametrize(
        ("url", "header"),
        [
            ("http://host.test/", "__Secure-a=b; Secure"),
            ("https://host.test/", "__Secure-a=b"),
            ("https://host.test/", "__secure-a=b"),
            ("https://host.test/", "__Host-a=b; Secure"),
            ("https://host.test/", "__Host-a=b; Secure; Path=/x"),
            ("https://host.test/", "__Host-a=b; Secure; Path=/; Domain=host.test"),
            ("https://host.test/", "__HOST-a=b; Path=/"),
            ("https://host.test/", "a=b; Domain=test"),
            ("https://host.test/", "a=b; Domain=other.test"),
            ("https://host.test/", "a=b; Domain=sub.host.test"),
            ("https://nothost.test/", "a=b; Domain=host.test"),
            ("https://10.0.0.1/", "a=b; Domain=0.0.1"),
        ],
    )
    def test_prefixes_and_foreign_domains_are_enforced(self, url: str, header: str) -> None:
        """RFC 6265bis §5.7: a cookie that claims what it is not is not kept."""
        jar = CookieJar(unsafe=True)
        jar.update_cookies_from_headers([header], URL(url))
        assert len(jar) == 0


# -- requests --------------------------------------------------------------------------


class TestRequestsCannotBeSplitOrConfused:
    @pytest.mark.parametrize("text", CONTROL)
    async def test_control_characters_are_refused_before_anything_is_sent(
        self, text: str, http1: str, script: Script
    ) -> None:
        """CVE-2023-49081, CVE-2023-49082, CVE-2026-34514, CVE-2026-50269, CVE-2026-84379.

        ``tests/client/test_options.py`` has the whole table.
        """
        peer = await script()
        attempts: list[tuple[str, URL, dict[str, Any]]] = [
            (f"GET{text}", peer.url, {}),
            ("GET", peer.url.join(URL.build(path=f"/a{text}b", encoded=True)), {}),
            ("GET", peer.url, {"headers": {f"X{text}": "y"}}),
            ("GET", peer.url, {"headers": {"X": f"y{text}"}}),
            ("GET", peer.url, {"cookies": {"a": f"b{text}"}}),
            ("POST", peer.url, {"data": b"", "headers": {"Content-Type": f"a/b{text}"}}),
        ]
        async with client(http1) as session:
            for method, url, options in attempts:
                with pytest.raises(ValueError):
                    await session.request(method, url, **options)
            assert_free(session, idle=0)
        for arguments in ({"name": f"a{text}"}, {"filename": text}, {"content_type": text}):
            with pytest.raises(ValueError):
                FormData().add_field(**{"name": "a", "value": "b", **arguments})
        with pytest.raises(ValueError):
            MultipartWriter().append(b"", {"X": f"a{text}"})
        assert peer.connections == 0

    @pytest.mark.parametrize("text", CONTROL)
    async def test_what_can_be_encoded_is_sent_encoded(
        self, text: str, http1: str, script: Script
    ) -> None:
        """Credentials, parameters and fields of a form may hold anything: it stays inside."""
        peer = await script([(b"POST ", EMPTY)] * 4)
        auth = BasicAuth(f"user{text}".replace(":", ""), f"pass{text}")
        async with client(http1) as session:
            await session.post(peer.url, auth=auth)
            await session.post(peer.url, params={f"a{text}": f"b{text}"})
            await session.post(peer.url, params=f"a{text}=b{text}")
            await session.post(peer.url, data={"a": f"b{text}"})
        received = peer.requests[0]
        assert received.count(b"\r\n\r\n") == 4
        assert received.lower().count(b"\r\nhost:") == 4
        assert b"\nEvil" not in received
        lines = received.replace(b"\r\n", b"").decode()
        assert lines.isprintable()

    @pytest.mark.parametrize("requote", [True, False])
    async def test_a_location_cannot_split_the_next_request(
        self, requote: bool, http1: str, script: Script
    ) -> None:
        """What is escaped there stays escaped."""
        location = "/b%0d%0aEvil:%201?c%0D%0AEvil:%202"
        peer = await script([(b"GET /a ", redirect(location)), (b"GET /b%0", EMPTY)])
        async with client(http1, requote_redirect_url=requote) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200
        assert b"\nEvil" not in peer.requests[0]

    @pytest.mark.parametrize("requote", [True, False])
    @pytest.mark.parametrize("location", ["/b c", "/b HTTP/1.1", "/b?c d"])
    async def test_a_location_with_spaces_is_quoted_or_refused(
        self, location: str, requote: bool, http1: str, script: Script
    ) -> None:
        """Whether it is normalised or taken as it is: it is one target or none."""
        steps: list[Step] = [(b"GET /a ", redirect(location))]
        if requote:
            steps.append((b"GET /b", EMPTY))
        peer = await script(steps)
        async with client(http1, requote_redirect_url=requote) as session:
            if requote:
                await session.get(peer.url / "a")
            else:
                with pytest.raises(InvalidUrlRedirectClientError):
                    await session.get(peer.url / "a")
        lines = [one.partition(b"\r\n")[0] for one in requests_of(peer.requests[0])]
        assert [line.count(b" ") for line in lines] == [2] * len(steps)

    @pytest.mark.parametrize(
        "options",
        [
            {"headers": {"Content-Length": "2", "Transfer-Encoding": "chunked"}},
            {"headers": {"Content-Length": "2"}, "chunked": True},
            {"headers": {"content-length": "2"}, "compress": True},
            {"headers": [("Content-Length", "2"), ("content-length", "3")]},
            {"headers": [("Transfer-Encoding", "chunked"), ("transfer-encoding", "chunked")]},
            {"headers": {"Transfer-Encoding": "chunked, identity"}},
            {"headers": {"Transfer-Encoding": "xchunked"}},
        ],
    )
    async def test_never_both_lengths(
        self, options: dict[str, Any], http1: str, script: Script
    ) -> None:
        """CVE-2026-84380: by no combination of arguments and headers."""
        peer = await script()
        async with client(http1) as session:
            with pytest.raises(ValueError):
                await session.post(peer.url, data=b"hi", **options)
        assert peer.connections == 0

    async def test_never_more_bytes_than_announced(self, http1: str, script: Script) -> None:
        """CVE-2026-84380: the surplus would be the next request."""
        smuggled = b"GET /evil HTTP/1.1\r\nHost: x\r\n\r\n"
        peer = await script([(b"POST /a ", EMPTY), (b"POST /a ", EMPTY), (b"GET /b ", EMPTY)])
        async with client(http1) as session:
            for body in (b"hi" + smuggled, pieces(b"h", b"i" + smuggled, smuggled)):
                async with session.post(peer.url / "a", data=body, headers={"Content-Length": "2"}):
                    pass
                await wait_free(session)
            await session.get(peer.url / "b")
        assert b"evil" not in peer.requests[0]

    async def test_nor_fewer_on_a_connection_that_is_reused(
        self, http1: str, script: Script
    ) -> None:
        """The next request would be taken for the rest of the body."""
        peer = await script([(Head(b"POST "), STALL)], [(b"GET /b ", EMPTY)], partial=True)
        async with client(http1) as session:
            with pytest.raises(ClientError):
                await session.post(
                    peer.url / "a", data=pieces(b"h"), headers={"Content-Length": "2"}
                )
            await session.get(peer.url / "b")
        assert peer.connections == 2

    @pytest.mark.parametrize(("status", "method"), [(301, "POST"), (302, "POST"), (303, "PUT")])
    async def test_a_redirect_to_get_drops_all_of_the_body(
        self, status: int, method: str, http1: str, script: Script
    ) -> None:
        """CVE-2023-45803: its bytes, ``Content-*`` and ``Transfer-Encoding``."""
        peer = await script(
            [(method.encode() + b" /a ", redirect("/b", status)), (b"GET /b ", EMPTY)]
        )
        headers = {
            "Content-Type": "a/b",
            "Content-Language": "de",
            "Content-Disposition": "attachment",
            "Transfer-Encoding": "chunked",
        }
        async with client(http1) as session:
            await session.request(method, peer.url / "a", data=b"hi", headers=headers)
        rest = peer.requests[0].partition(b"hi\r\n0\r\n\r\n")[2]
        assert rest.startswith(b"GET /b ")
        assert rest.endswith(b"\r\n\r\n")
        names = fields(rest).keys()
        assert not [name for name in names if name.startswith("content-")]
        assert "transfer-encoding" not in names

    async def test_a_used_up_body_is_never_replaced_by_an_empty_one(
        self, http1: str, script: Script
    ) -> None:
        """The redirect fails instead."""
        peer = await script([(b"POST /a ", redirect("/b", 307))])
        async with client(http1) as session:
            with pytest.raises(ClientPayloadError, match="used up"):
                await session.post(peer.url / "a", data=pieces(b"hi"))
        assert b" /b " not in peer.requests[0]

    @pytest.mark.parametrize(
        "location",
        [
            "file:///etc/passwd",
            "ftp://127.0.0.1/",
            "gopher://127.0.0.1:25/",
            "data:text/plain,hi",
            "javascript:alert(1)",
            "unix:///run/docker.sock",
            "ws://127.0.0.1/",
            "tcp://127.0.0.1/",
        ],
    )
    async def test_redirects_go_to_http_and_https_only(
        self, location: str, http1: str, script: Script
    ) -> None:
        """Not even to what the connector could speak."""
        peer = await script([(b"GET ", redirect(location))])
        async with client(http1) as session:
            with pytest.raises(NonHttpUrlRedirectClientError):
                await session.get(peer.url)
            assert_free(session)

    @pytest.mark.parametrize("limit", [1, 3, None])
    async def test_the_limit_of_redirects_holds(
        self, limit: int | None, http1: str, script: Script
    ) -> None:
        """CVE-2025-50181: ten by default."""
        most = 10 if limit is None else limit
        peer = await script([(b"GET /", redirect("/"))] * most)
        options: dict[str, Any] = {} if limit is None else {"max_redirects": limit}
        async with client(http1) as session:
            with pytest.raises(TooManyRedirects) as caught:
                await session.get(peer.url, **options)
        assert len(caught.value.history) == most

    @pytest.mark.parametrize(
        "host", ["127.1", "0177.0.0.1", "2130706433", "0x7f000001", "127.0.0.1.", "1.2.3.4.5"]
    )
    async def test_hosts_that_only_look_like_names_are_refused(
        self, host: str, http1: str, script: Script
    ) -> None:
        """What was checked as a name must not turn out to be an address; nor by redirect."""
        url = f"http://{host}/"
        peer = await script([(b"GET ", redirect(url))])
        async with client(http1) as session:
            with pytest.raises(InvalidUrlClientError):
                await session.get(url)
            with pytest.raises(InvalidUrlRedirectClientError):
                await session.get(peer.url)

    @pytest.mark.parametrize(
        "host", ["%61.test", "bank.test%2f.evil.test", "a|b", "a<b", ".", "[1::2::3]", "[::1%a%b]"]
    )
    async def test_hosts_that_are_read_in_two_ways_are_refused(
        self, host: str, http1: str, script: Script
    ) -> None:
        """RFC 3986 §3.2.2: some programs undo the escapes of a name, and others do not."""
        url = f"http://{host}/"
        peer = await script([(b"GET ", redirect(url))], [(b"GET ", redirect(url))])
        async with client(http1) as session:
            for given in (url, URL(url, encoded=True)):
                with pytest.raises(InvalidUrlClientError):
                    await session.get(given)
        for requote in (True, False):
            async with client(http1, requote_redirect_url=requote) as session:
                with pytest.raises(InvalidUrlRedirectClientError):
                    await session.get(peer.url)

    @pytest.mark.parametrize("char", ["a", "\N{LATIN SMALL LETTER U WITH DIAERESIS}"])
    async def test_the_length_of_a_host_is_bounded_before_idna(
        self, char: str, http1: str, script: Script
    ) -> None:
        """CVE-2026-45409: IDNA takes quadratic time."""
        url = f"http://{char * 100_000}.test/"
        with_user = f"http://user@{char * 100_000}.test/"
        moved = b"HTTP/1.1 302 Found\r\nLocation: http://%b.test/\r\n\r\n"
        peer = await script([(b"GET ", moved % (char.encode() * 3000))])
        with cheap():
            async with client(http1) as session:
                for text in (url, with_user, url.removeprefix("http:")):
                    with pytest.raises(InvalidUrlClientError, match=r"too long|relative"):
                        await session.get(text)
                with pytest.raises(InvalidUrlRedirectClientError, match="too long"):
                    await session.get(peer.url)


# -- responses -------------------------------------------------------------------------


class TestResponsesAreReadStrictly:
    @pytest.mark.parametrize(
        "head",
        [
            b"Content-Length: +1\r\n\r\nx",
            b"Content-Length: -1\r\n\r\nx",
            b"Content-Length: 1_0\r\n\r\n0123456789",
            b"Content-Length: 0x1\r\n\r\nx",
            b"Content-Length: 1 1\r\n\r\nx",
            b"Content-Length: \xb2\r\n\r\nxx",
            b"Content-Length: \xd9\xa1\r\n\r\nx",
            b"Content-Length: \r\n\r\n",
            b"Content-Length: 1, 2\r\n\r\nx",
            b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            b"Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\nContent-Length: 1\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
            b"Transfer-Encoding: identity\r\nContent-Length: 1\r\n\r\nx",
            b"Content-Length: 1\r\n 1\r\n\r\nx",
            b"X: a\x00b\r\n\r\n",
            b"X: a\rb\r\n\r\n",
            b"X: a\r\n b\x00\r\n\r\n",
            b"X\r\n : a\r\n\r\n",
            b"X : a\r\n\r\n",
            b" X: a\r\n\r\n",
            b"X\x00: a\r\n\r\n",
            b": a\r\n\r\n",
            b"X\r\n\r\n",
            b"X: a\n : b\x00\n\n",
            b"X: a\r\r\nContent-Length: 0\r\n\r\n",
        ],
    )
    async def test_heads_with_two_readings_are_refused(
        self, head: bytes, http1: str, script: Script
    ) -> None:
        """Two peers that read one message differently are how responses are smuggled.

        CVE-2023-47627, CVE-2024-23829, CVE-2025-53643, CVE-2025-69224, CVE-2026-34520.
        """
        peer = await script([(b"GET ", [OK + head, STALL])])
        async with client(http1) as session:
            with pytest.raises(ClientResponseError) as caught:
                await session.get(peer.url)
            assert caught.value.status == 400
            await peer.wait_closed()
            assert_free(session, idle=0)

    @pytest.mark.parametrize(
        "body",
        [
            b"2\r\nhixx0\r\n\r\n",  # no CRLF after the chunk
            b"2\r\nhi\n0\r\n\r\n",
            b"2\nhi\r\n0\r\n\r\n",
            b"2\rhi\r\n0\r\n\r\n",
            b"+2\r\nhi\r\n0\r\n\r\n",
            b"-2\r\nhi\r\n0\r\n\r\n",
            b"0x2\r\nhi\r\n0\r\n\r\n",
            b"2_\r\nhi\r\n0\r\n\r\n",
            b"2 2\r\nhi\r\n0\r\n\r\n",
            b"2\x0b\r\nhi\r\n0\r\n\r\n",
            b"2 \nhi\r\n0\r\n\r\n",
            b"\xb2\r\nhi\r\n0\r\n\r\n",
            b"\r\nhi\r\n0\r\n\r\n",
            b"2;\x00\r\nhi\r\n0\r\n\r\n",
            b"2;a\rb\r\nhi\r\n0\r\n\r\n",
            b"2;a\nb\r\nhi\r\n0\r\n\r\n",
            b"10000000000000000\r\n",  # 2**64
            b"0\r\nX : a\r\n\r\n",
            b"0\r\nX: a\x00\r\n\r\n",
            b"0\r\n X: a\r\n\r\n",
            b"0\r\nX: a\r\r\n",
            b"0\r\nX\r\n\r\n",
        ],
    )
    async def test_chunks_with_two_readings_are_refused(
        self, body: bytes, http1: str, script: Script
    ) -> None:
        """CVE-2025-43859, CVE-2024-52304: exact line ends, plain hexadecimal, strict trailers."""
        peer = await script([(b"GET ", [CHUNKS + body, STALL])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError):
                    await response.read()
                await peer.wait_closed()
            assert_free(session, idle=0)

    @pytest.mark.parametrize("size", [1, 7, 1000])
    @pytest.mark.parametrize(
        ("limits", "reply"),
        [
            ({"max_line_size": 100}, b"HTTP/1.1 200 " + b"x" * 200),
            ({"max_field_size": 100}, OK + b"X: " + b"y" * 200),
            ({"max_field_size": 100}, OK + b"x" * 200),
            ({"max_headers": 5}, OK + b"X: y\r\n" * 20),
            ({"max_field_size": 100}, CHUNKS + b"0\r\nX: " + b"y" * 200),
            ({"max_headers": 5}, CHUNKS + b"0\r\n" + b"X: y\r\n" * 20),
            ({"max_line_size": 100}, CHUNKS + b"2;" + b"x" * 200),
            ({"max_line_size": 100}, CHUNKS + b"0" * 200),
        ],
    )
    async def test_limits_hold_however_the_bytes_are_split(
        self, limits: dict[str, Any], reply: bytes, size: int, http1: str, script: Script
    ) -> None:
        """CVE-2026-22815, CVE-2026-34516, CVE-2026-54277: none of these ever ends its line."""
        cut: list[Action] = [reply[i : i + size] for i in range(0, len(reply), size)]
        peer = await script([(b"GET ", [*cut, STALL])], partial=True)
        async with client(http1, **limits) as session:
            with pytest.raises((ClientResponseError, ClientPayloadError)) as caught:
                async with session.get(peer.url) as response:
                    await response.read()
            assert isinstance(caught.value, ClientPayloadError) == reply.startswith(CHUNKS)
            assert_free(session, idle=0)

    @pytest.mark.parametrize("unasked", [EMPTY, b"x", b"\r\n"])
    async def test_bytes_on_an_idle_connection_never_become_an_answer(
        self, unasked: bytes, http1: str, script: Script
    ) -> None:
        """Response smuggling: they end the connection."""
        go, done = Flag(), Flag()
        peer = await script(
            [(b"GET /a ", [EMPTY, Wait(go), SendUnasked(unasked), Tell(done)])],
            [(b"GET /b ", OK + b"Content-Length: 2\r\n\r\nhi")],
        )
        async with client(http1) as session:
            await session.get(peer.url / "a")
            assert_free(session, idle=1)
            go.set()
            await done.until_set()
            await peer.settled()
            async with session.get(peer.url / "b") as response:
                assert await response.read() == b"hi"

    @pytest.mark.parametrize(
        "first", [EMPTY, OK + b"Content-Length: 2\r\n\r\nhi", CHUNKS + b"0\r\n\r\n"]
    )
    async def test_bytes_after_a_response_never_become_the_next(
        self, first: bytes, http1: str, script: Script
    ) -> None:
        """Response smuggling: they end the connection too."""
        evil = OK + b"Content-Length: 4\r\n\r\nevil"
        peer = await script([(b"GET /a ", first + evil)], [(b"GET /b ", EMPTY)])
        async with client(http1) as session:
            async with session.get(peer.url / "a") as response:
                await response.read()
            assert_free(session, idle=0)
            async with session.get(peer.url / "b") as response:
                assert await response.read() == b""

    @pytest.mark.parametrize(
        "reply",
        [
            OK + b"Content-Length: 3\r\n\r\nhi",
            CHUNKS + b"2\r\nhi\r\n",
            CHUNKS + b"2\r\nhi\r\n0\r\n",
            CHUNKS + b"3\r\nhi",
            OK + b"Content-Encoding: gzip\r\n\r\n" + gzip.compress(b"hi", mtime=0)[:-1],
            OK + b"Content-Encoding: deflate\r\n\r\n" + zlib.compress(b"hi")[:-1],
        ],
    )
    @pytest.mark.parametrize("how", ["read", "content", "iterate"])
    async def test_a_body_that_ends_early_is_an_error(
        self, reply: bytes, how: str, http1: str, script: Script
    ) -> None:
        """In every framing that can tell, and in every way of reading."""
        peer = await script([(b"GET ", [reply, CLOSE])])
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(ClientPayloadError):
                    await read_all(response, how)
            assert_free(session, idle=0)

    @pytest.mark.parametrize("engine", NAMES)
    @pytest.mark.parametrize("kind", ["length", "chunks", "extensions", "trailers", "interim"])
    def test_cost_is_linear_in_bytes_that_come_one_at_a_time(self, kind: str, engine: str) -> None:
        """CVE-2025-69229: four times the bytes cost four times as much, and not 16 times."""
        limits = Limits(max_headers=10**6)

        def message(count: int) -> bytes:
            if kind == "length":
                return OK + b"Content-Length: %d\r\n\r\n" % count + b"x" * count
            if kind == "chunks":
                return CHUNKS + b"1\r\nx\r\n" * count + b"0\r\n\r\n"
            if kind == "extensions":
                return CHUNKS + b"1;x=y\r\nx\r\n" * count + b"0\r\n\r\n"
            if kind == "trailers":
                return CHUNKS + b"0\r\n" + b"X: y\r\n" * count + b"\r\n"
            return b"HTTP/1.1 100 Continue\r\n\r\n" * count + EMPTY

        def prepare(count: int) -> Callable[[], object]:
            raw = message(count)
            split = [raw[i : i + 1] for i in range(len(raw))]
            return lambda: receive(engine, split, limits=limits)

        assert prepare(9)()
        assert_linear(prepare)


# -- bounds ----------------------------------------------------------------------------


def bomb(coding: str, size: int) -> bytes | None:
    """Return *size* zeros in *coding*; None where its codec is not installed."""
    if coding == "gzip":
        return gzip.compress(bytes(size))
    if coding == "deflate":
        return zlib.compress(bytes(size))
    if coding == "br":
        brotli = pytest.importorskip("brotli", reason="brotli is not installed")
        return bytes(brotli.compress(bytes(size), quality=1))
    zstd = pytest.importorskip("backports.zstd", reason="backports.zstd is not installed")
    return bytes(zstd.compress(bytes(size)))


class TestNothingGrowsWithoutABound:
    @pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd"])
    async def test_decompression_is_bounded_in_each_step_and_in_all(
        self, coding: str, http1: str, script: Script
    ) -> None:
        """CVE-2025-66471, CVE-2025-69223, CVE-2026-84382, CVE-2025-6176.

        ``max_body_size`` counts decoded bytes.
        """
        size = 2**24
        packed = bomb(coding, size)
        assert packed is not None
        head = OK + b"Content-Encoding: %b\r\n" % coding.encode()
        reply = head + b"Content-Length: %d\r\n\r\n" % len(packed) + packed
        peer = await script([(b"GET ", [reply]), (b"GET ", [reply])], partial=True)
        async with client(http1, read_bufsize=2**16) as session:
            async with session.get(peer.url) as response:
                sizes = [len(piece) async for piece in response.content.iter_any()]
            assert sum(sizes) == size
            assert max(sizes) <= 2**17
            async with session.get(peer.url, max_body_size=2**20) as response:
                with pytest.raises(ClientPayloadError, match="max_body_size"):
                    await response.read()
                assert response.content.total_bytes <= 2**20

    async def test_encodings_may_be_stacked_five_deep_at_most(
        self, http1: str, script: Script
    ) -> None:
        """CVE-2025-66418: each layer multiplies what the one before made."""
        body = b"hi"
        for _ in range(6):
            body = gzip.compress(body)
        head = OK + b"Content-Encoding: " + b", ".join([b"gzip"] * 6) + b"\r\n"
        reply = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        peer = await script([(b"GET ", reply)], partial=True)
        async with client(http1) as session:
            with pytest.raises(ClientError):
                async with session.get(peer.url) as response:
                    await response.read()

    async def test_what_is_drained_is_never_decoded(self, http1: str, script: Script) -> None:
        """CVE-2026-21441: a redirect's body may be a bomb."""
        packed = gzip.compress(bytes(2**24), 1)[: 2**14]
        head = redirect("/b").replace(b"Content-Length: 0", b"Content-Length: %d" % len(packed))
        head = head.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
        peer = await script([(b"GET /a ", [head + packed]), (b"GET /b ", EMPTY)])
        async with client(http1, max_body_size=100) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200
                assert response.history[0].status == 302

    @pytest.mark.parametrize("body", [[bytes(2**17), STALL], [b"x", STALL]])
    async def test_and_not_for_long(self, body: list[Action], http1: str, script: Script) -> None:
        """CVE-2026-44432, CVE-2026-54278: 64 KiB or a second, then the connection is closed."""
        head = redirect("/b").replace(b"Content-Length: 0", b"Content-Length: 1000000")
        peer = await script([(b"GET /a ", [head, *body])], [(b"GET /b ", EMPTY)])
        async with client(http1, timeout=ClientTimeout(total=20)) as session:
            async with session.get(peer.url / "a") as response:
                assert response.status == 200
            assert_free(session, idle=1)

    async def test_the_dns_cache_is_bounded(self, http1: str, script: Script) -> None:
        """A page can name any number of hosts."""
        closing = OK + b"Connection: close\r\nContent-Length: 0\r\n\r\n"
        peer = await script([(b"GET ", closing)], repeat=True)
        connector = TCPConnector(resolver=Names(), dns_cache_max_size=3, http1=http1)
        async with ClientSession(connector=connector) as session:
            for number in range(8):
                await session.get(f"http://host{number}.test:{peer.port}/")
            assert len(connector.cached_hosts) == 3

    async def test_the_cookie_jar_is_bounded_and_says_little(
        self, http1: str, script: Script, caplog: pytest.LogCaptureFixture
    ) -> None:
        """CVE-2026-34513, CVE-2025-69230: one log line at most for each response."""
        caplog.set_level(logging.DEBUG, "anyhttp")
        good = [b"Set-Cookie: g%d-%d=x\r\n" % (n, i) for n in range(8) for i in range(40)]
        bad = b"".join(b"Set-Cookie: b\tad%d\t=x; Domain=elsewhere\r\n" % i for i in range(60))
        replies: list[Step] = []
        for n in range(8):
            cookies = b"".join(good[n * 40 : n * 40 + 40]) + bad
            replies.append((b"GET ", OK + cookies + b"Content-Length: 0\r\n\r\n"))
        peer = await script(replies)
        async with client(http1, max_headers=200) as session:
            for _ in replies:
                await session.get(peer.url.with_host("localhost"))
            assert 0 < len(session.cookie_jar) <= 180
        about_responses = [record for record in caplog.records if "refused" in record.message]
        assert len(about_responses) == len(replies)
        requests = requests_of(peer.requests[0])
        assert max(len(fields(one).get("cookie", "")) for one in requests) <= 8190
        jar = CookieJar()
        for number in range(4000):
            jar.update_cookies_from_headers(["a=b"], URL(f"https://host{number}.test/"))
        assert len(jar) <= 3300

    @pytest.mark.parametrize(
        ("headers", "error"),
        [(b"X: y\r\n" * 1000, ValueError), (b"X: " + b"y" * 20_000 + b"\r\n", LineTooLong)],
    )
    async def test_headers_of_parts_are_bounded(
        self, headers: bytes, error: type[Exception], http1: str, script: Script
    ) -> None:
        """In number and in size."""
        body = b"--b\r\n" + headers + b"\r\nhi\r\n--b--\r\n"
        head = OK + b"Content-Type: multipart/mixed; boundary=b\r\n"
        reply = head + b"Content-Length: %d\r\n\r\n" % len(body) + body
        peer = await script([(b"GET ", [reply])], partial=True)
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                with pytest.raises(error):
                    await MultipartReader.from_response(response).next()

    async def test_lines_are_bounded(self, http1: str, script: Script) -> None:
        """CVE-2026-84378: whoever iterates over lines holds one buffer at most."""
        peer = await script([(b"GET ", [CHUNKS + b"100000\r\n", bytes(2**20)])], partial=True)
        async with client(http1, read_bufsize=2**12) as session:
            async with session.get(peer.url) as response:
                lines = aiter(response.content)
                with pytest.raises(LineTooLong) as caught:
                    await anext(lines)
                assert len(str(caught.value)) < 2**17

    @pytest.mark.parametrize(
        ("kind", "data"),
        [("lines", b"x"), ("json_lines", b"x"), ("events", b"x"), ("events", b"data:\n")],
    )
    async def test_items_of_a_body_are_bounded(
        self, kind: str, data: bytes, http1: str, script: Script
    ) -> None:
        """So are lines of text and events: neither a line nor an event grows for ever."""
        head = OK + b"Content-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunk = data * 1000
        chunks = [b"%x\r\n%b\r\n" % (len(chunk), chunk)] * 100
        peer = await script([(b"GET ", [head, *chunks])], partial=True)
        async with client(http1) as session:
            async with session.get(peer.url) as response:
                option = "max_event_size" if kind == "events" else "max_line_length"
                items: AsyncIterator[object] = getattr(response, kind)(**{option: 5000})
                with pytest.raises(LineTooLong) as caught:
                    await anext(items)
                assert len(str(caught.value)) < 1000
                assert response.content.total_bytes < 50_000

    async def test_lines_cost_linear_time(self, http1: str, script: Script) -> None:
        """CVE-2026-84378: a line that comes in many pieces is searched once."""

        async def cost(count: int) -> float:
            chunk = b"1\r\nx\r\n"
            body = CHUNKS + chunk * count + b"1\r\n\n\r\n0\r\n\r\n"
            peer = await script([(b"GET ", [body])])
            async with client(http1) as session:
                start = time.thread_time()
                async with session.get(peer.url) as response:
                    line = await response.content.readline(max_line_length=10**6)
                assert len(line) == count + 1
                return (time.thread_time() - start) / count

        assert min([await cost(80_000) for _ in range(2)]) < 4 * await cost(10_000)

    @pytest.mark.parametrize("where", ["head", "body", "interim"])
    async def test_a_slow_peer_cannot_outlast_total(
        self, where: str, http1: str, script: Script
    ) -> None:
        """A byte now and then keeps nothing alive."""
        drip: list[Action] = [b"HTTP/1.1 200 O"] if where == "head" else []
        if where == "body":
            drip = [OK + b"Content-Length: 100\r\n\r\n"]
        elif where == "interim":
            drip = [b"HTTP/1.1 100 Continue\r\n\r\n"]
        never = Flag()
        peer = await script([(b"GET ", [*drip, b"H", Wait(never)])], partial=True)
        started = anyio.current_time()
        async with client(http1, timeout=ClientTimeout(total=0.1)) as session:
            with pytest.raises(TimeoutError):
                async with session.get(peer.url) as response:
                    await response.read()
            assert_free(session, idle=0)
        assert anyio.current_time() - started < 5
        never.set()

    async def test_close_always_ends(self, http1: str, script: Script, tls_ca: Authority) -> None:
        """Whatever the peer does, and does not do; TLS included."""
        peers = [
            await script([(Head(b"POST "), [OK + b"Content-Length: 9\r\n\r\n", DEAF])], tls=tls)
            for tls in (None, tls_ca.server)
        ]

        async def endless() -> AsyncIterator[bytes]:
            while True:
                yield bytes(2**16)

        async with client(http1) as session:
            responses = [
                await session.post(peer.url, data=endless(), ssl=tls_ca.client) for peer in peers
            ]
            with anyio.fail_after(5):
                await session.close()
            assert all(response.closed for response in responses)
            assert_free(session, idle=0)


def fields_of_any(request: bytes) -> set[str]:
    """Return the names of the header fields of a request, in lower case."""
    lines = request.partition(b"\r\n\r\n")[0].decode().split("\r\n")[1:]
    return {line.partition(":")[0].lower() for line in lines}
