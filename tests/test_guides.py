"""The client guides of aiohttp run here with another package name and another way to start.

``TestBasics`` follows the one for 0.16, ``TestAdvanced`` the one for 3.x: one test for each
section, in their order and under their titles.  URLs point to a server on loopback, and where
the guides left out the URL, the address of the route that they mean stands in.
"""

from __future__ import annotations

import hashlib
import json
import ssl
import zlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme
from yarl import URL

import anyhttp
from anyhttp import ClientSession, FormData, StreamReader
from tests.support.api import Api
from tests.support.peer import STALL, Script, Step, Until
from tests.support.routes import DOCUMENT
from tests.support.server import Server
from tests.support.tls import Authority
from tests.support.waiting import until


async def until_held(
    conn: anyhttp.TCPConnector, server: Server, *, in_use: int, waiting: int
) -> None:
    """Wait until so many connections are open, and so many requests wait for one."""
    await until(
        lambda: server.open_connections >= in_use and conn.statistics().waiting >= waiting,
        f"{in_use} connections and {waiting} requests in the queue",
    )
    assert conn.statistics().in_use == in_use == server.peak_connections
    assert conn.statistics().waiting == waiting


class TestBasics:
    def test_http_client(self, server: Server) -> None:
        """Section "HTTP Client": a function that awaits, and one line that runs it."""
        printed: list[str] = []

        async def run() -> None:
            r = await anyhttp.request("get", server.url / "json")
            raw = await r.text()
            printed.append(raw)

        for backend in ("asyncio", "trio"):
            anyio.run(run, backend=backend)
        assert [json.loads(text) for text in printed] == [DOCUMENT] * 2

    async def test_make_a_request(self, api: Api) -> None:
        """Section "Make a Request": the method comes first, and may be any."""
        url = api.url / "anything"
        r = await anyhttp.request("get", url)
        assert isinstance(r, anyhttp.ClientResponse)
        assert (await r.json())["method"] == "GET"
        for method in ("post", "put", "delete", "options", "patch"):
            r = await anyhttp.request(method, url)
            assert (await r.json())["method"] == method.upper()
        r = await anyhttp.request("head", url)
        assert (r.status, await r.read()) == (200, b"")

    async def test_passing_parameters_in_urls(self, api: Api) -> None:
        """Section "Passing Parameters In URLs": a mapping, or pairs that repeat a key."""
        payload = {"key1": "value1", "key2": "value2"}
        r = await anyhttp.request("get", api.url / "echo", params=payload)
        assert r.url == (api.url / "echo").with_query("key1=value1&key2=value2")
        assert str(r.url) == f"{api.url}echo?key1=value1&key2=value2"
        assert (await r.json())["query"] == [["key1", "value1"], ["key2", "value2"]]

        pairs = [("key", "value1"), ("key", "value2")]
        r = await anyhttp.request("get", api.url / "echo", params=pairs)
        assert str(r.url) == f"{api.url}echo?key=value1&key=value2"
        assert (await r.json())["query"] == [["key", "value1"], ["key", "value2"]]

    async def test_response_content(self, api: Api) -> None:
        """Section "Response Content": decoded as announced, or as told."""
        r = await anyhttp.request("get", api.url / "json")
        assert json.loads(await r.text()) == DOCUMENT

        url = (api.url / "send").with_query(text="Привет", charset="windows-1251")
        r = await anyhttp.request("get", url)
        assert await r.text(encoding="windows-1251") == "Привет"

    async def test_binary_response_content(self, api: Api) -> None:
        """Section "Binary Response Content": bytes, with gzip and deflate undone."""
        r = await anyhttp.request("get", api.url / "bytes" / "300")
        assert await r.read() == (bytes(range(256)) * 2)[:300]
        for coding in ("gzip", "deflate"):
            r = await anyhttp.request("get", api.url / coding)
            assert r.headers["Content-Encoding"] == coding
            assert json.loads(await r.read()) == DOCUMENT

    async def test_json_response_content(self, api: Api) -> None:
        """Section "JSON Response Content": decoded, by another decoder too, or an exception."""
        r = await anyhttp.request("get", api.url / "json")
        assert await r.json() == DOCUMENT
        assert await r.json(encoding="utf-8", loads=str.upper) == (await r.text()).upper()

        url = (api.url / "send").with_query(text="{", type="application/json")
        r = await anyhttp.request("get", url)
        with pytest.raises(json.JSONDecodeError):
            await r.json()

    async def test_streaming_response_content(self, api: Api, tmp_path: Path) -> None:
        """Section "Streaming Response Content": pieces go to a file as they come."""
        r = await anyhttp.request("get", api.url / "gzip")
        assert isinstance(r.content, anyhttp.StreamReader)
        assert len(await r.content.read(10)) == 10
        r.release()

        filename = tmp_path / "download"
        chunk_size = 1000
        r = await anyhttp.request("get", api.url / "bytes" / "100000")
        with open(filename, "wb") as fd:
            while True:
                chunk = await r.content.read(chunk_size)
                if not chunk:
                    break
                fd.write(chunk)
        assert filename.stat().st_size == 100_000
        # nothing is left for read(), text() and json()
        assert await r.read() == b""

    async def test_custom_headers(self, api: Api) -> None:
        """Section "Custom Headers": a mapping, with the type of the content in it."""
        url = api.url / "anything"
        payload = {"some": "data"}
        headers = {"content-type": "application/json"}

        r = await anyhttp.request("post", url, data=json.dumps(payload), headers=headers)
        answer = await r.json()
        assert answer["json"] == payload
        assert answer["headers"]["Content-Type"] == "application/json"

    async def test_custom_cookies(self, api: Api) -> None:
        """Section "Custom Cookies": of one request."""
        url = api.url / "cookies"
        cookies = {"cookies_are": "working"}

        r = await anyhttp.request("get", url, cookies=cookies)
        assert await r.text() == '{"cookies": {"cookies_are": "working"}}'

    async def test_more_complicated_post_requests(self, api: Api) -> None:
        """Section "More complicated POST requests": a mapping is a form, text is sent as it is."""
        payload: dict[str, str] = {"key1": "value1", "key2": "value2"}
        r = await anyhttp.request("post", api.url / "anything", data=payload)
        assert (await r.json())["form"] == payload

        payload = {"some": "data"}
        r = await anyhttp.request("post", api.url / "anything", data=json.dumps(payload))
        answer = await r.json()
        assert answer["data"] == json.dumps(payload)
        assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"

    async def test_post_a_multipart_encoded_file(self, api: Api, tmp_path: Path) -> None:
        """Section "POST a Multipart-Encoded File": as a mapping, or a field that says more."""
        url = api.url / "anything"
        report = tmp_path / "report.xls"
        report.write_text("the report")

        files = {"file": open(report, "rb")}
        r = await anyhttp.request("post", url, data=files)
        answer = await r.json()
        assert answer["files"] == {"file": "the report"}
        assert answer["headers"]["Content-Type"].startswith("multipart/form-data; boundary=")

        data = FormData()
        data.add_field(
            "file",
            open(report, "rb"),
            filename="report.xls",
            content_type="application/vnd.ms-excel",
        )
        r = await anyhttp.request("post", url, data=data)
        assert (await r.json())["files"] == {"file": "the report"}

    async def test_streaming_uploads(self, api: Api, tmp_path: Path) -> None:
        """Section "Streaming uploads": a file, a generator, a reader fed by hand, a response."""
        url = api.url / "upload"
        content = bytes(range(256)) * 1000
        expected = {"length": len(content), "sha256": hashlib.sha256(content).hexdigest()}
        massive_body = tmp_path / "massive-body"
        massive_body.write_bytes(content)

        with open(massive_body, "rb") as f:
            r = await anyhttp.request("post", url, data=f)
        assert await r.json() == expected

        async def my_coroutine() -> AsyncIterator[bytes]:
            for start in range(0, len(content), 10_000):
                chunk = content[start : start + 10_000]
                yield chunk

        r = await anyhttp.request("post", url, data=my_coroutine())
        assert await r.json() == expected

        hashes: list[str] = []

        async def feed_stream(resp: anyhttp.ClientResponse, stream: StreamReader) -> None:
            h = hashlib.sha256()
            while True:
                chunk = await resp.content.readany()
                if not chunk:
                    break
                h.update(chunk)
                stream.feed_data(chunk)
            stream.feed_eof()
            hashes.append(h.hexdigest())

        resp = await anyhttp.request("get", api.url / "bytes" / "256000")
        stream = StreamReader()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(feed_stream, resp, stream)
            r = await anyhttp.request("post", url, data=stream)
            assert await r.json() == expected
        assert hashes == [expected["sha256"]]

        r = await anyhttp.request("get", api.url / "bytes" / "256000")
        r = await anyhttp.request("post", url, data=r.content)
        assert await r.json() == expected

    async def test_connectors(self, server: Server) -> None:
        """Section "Connectors": one that is given is used, and not closed."""
        conn = anyhttp.TCPConnector()
        for _ in range(2):
            r = await anyhttp.request("get", server.url / "json", connector=conn)
            assert await r.json() == DOCUMENT
        assert not conn.closed
        assert server.connections == 1
        await conn.close()

    async def test_limiting_connection_pool_size(self, server: Server) -> None:
        """Section "Limiting connection pool size": so many connections at once and no more."""
        conn = anyhttp.TCPConnector(limit=30)
        assert conn.limit == 30

        async with anyio.create_task_group() as tasks:
            for _ in range(40):
                tasks.start_soon(
                    lambda: anyhttp.request("get", server.url / "hang", connector=conn)
                )
            await until_held(conn, server, in_use=30, waiting=10)
            tasks.cancel_scope.cancel()
        await conn.close()

    async def test_unix_domain_sockets(self, server: Server) -> None:
        """Section "Unix domain sockets": a connector with a path."""
        conn = anyhttp.UnixConnector(path=server.unix_path)
        r = await anyhttp.request("get", "http://localhost/json", connector=conn)
        assert await r.json() == DOCUMENT
        await conn.close()

    async def test_response_status_codes(self, api: Api) -> None:
        """Section "Response Status Codes": an attribute."""
        r = await anyhttp.request("get", api.url / "json")
        assert r.status == 200
        r.release()
        r = await anyhttp.request("get", api.url / "status" / "404")
        assert r.status == 404
        r.release()

    async def test_response_headers(self, server: Server) -> None:
        """Section "Response Headers": whatever their capitals."""
        r = await anyhttp.request("get", server.url / "json")
        assert r.headers["Content-Type"] == "application/json"
        assert r.headers.get("content-type") == "application/json"
        assert r.headers["CONNECTION"] == "close"
        r.release()

    async def test_response_cookies(self, api: Api) -> None:
        """Section "Response Cookies": of this response alone; a session gathers all."""
        url = (api.url / "send").with_query({"Set-Cookie": "example_cookie_name=value"})
        r = await anyhttp.request("get", url)
        assert r.cookies["example_cookie_name"].value == "value"
        r.release()

        jar = anyhttp.CookieJar(unsafe=True)
        async with anyhttp.ClientSession(cookie_jar=jar) as session:
            r = await session.get(api.url / "cookies" / "set", params={"a": "1"})
            assert not r.cookies
            assert await r.json() == {"cookies": {"a": "1"}}
            assert jar.filter_cookies(api.url)["a"].value == "1"

    async def test_timeouts(self, server: Server) -> None:
        """Section "Timeouts": around the call, by anyio; or as an argument."""
        with pytest.raises(TimeoutError):
            with anyio.fail_after(0.001):
                await anyhttp.request("get", server.url / "hang")

        timeout = anyhttp.ClientTimeout(sock_read=0.001)
        with pytest.raises(anyhttp.ServerTimeoutError):
            await anyhttp.request("get", server.url / "hang", timeout=timeout)


class TestAdvanced:
    async def test_client_session(self, server: Server) -> None:
        """Section "Client Session": cookies and connections are shared by what it sends."""
        jar = anyhttp.CookieJar(unsafe=True)
        async with anyhttp.ClientSession(cookie_jar=jar) as session:
            for _ in range(3):
                async with session.get(server.url / "cookies/set", params={"a": "b"}) as resp:
                    assert await resp.json() == {"cookies": {"a": "b"}}
        assert server.connections == 1

    async def test_custom_request_headers(self, api: Api) -> None:
        """Section "Custom Request Headers": of a request, of a session; bodies that have one."""
        url = api.url / "anything"
        async with ClientSession() as session:
            payload = (
                b"GIF89a\x01\x00\x01\x00\x00\xff\x00,\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x00;"
            )
            headers = {"content-type": "image/gif"}
            resp = await session.post(url, data=payload, headers=headers)
            answer = await resp.json()
            assert answer["headers"]["Content-Type"] == "image/gif"
            assert answer["data"].startswith("GIF89a")

        headers = {"Authorization": "Basic bG9naW46cGFzcw=="}
        async with anyhttp.ClientSession(headers=headers) as session:
            async with session.get(url) as r:
                json_body = await r.json()
                assert json_body["headers"]["Authorization"] == "Basic bG9naW46cGFzcw=="

            resp = await session.post(url, json={"example": "text"})
            answer = await resp.json()
            assert answer["json"] == {"example": "text"}
            assert answer["headers"]["Content-Type"] == "application/json"

            resp = await session.post(url, data="Привет, Мир!")
            answer = await resp.json()
            assert answer["data"] == "Привет, Мир!"
            assert answer["headers"]["Content-Type"] == "text/plain; charset=utf-8"

    async def test_custom_cookies(self, api: Api) -> None:
        """Section "Custom Cookies": of the session; and those that responses set."""
        site = api.url.with_host("localhost")
        url = site / "cookies"
        cookies = {"cookies_are": "working"}
        async with ClientSession(cookies=cookies) as session:
            async with session.get(url) as resp:
                assert await resp.json() == {"cookies": {"cookies_are": "working"}}

        async with anyhttp.ClientSession() as session:
            await session.get(site.join(URL("cookies/set?my_cookie=my_value")))
            filtered = session.cookie_jar.filter_cookies(site)
            assert filtered["my_cookie"].value == "my_value"
            async with session.get(site / "cookies") as r:
                json_body = await r.json()
                assert json_body["cookies"]["my_cookie"] == "my_value"

    async def test_response_headers_and_cookies(self, server: Server, script: Script) -> None:
        """Section "Response Headers and Cookies": as text, as they came, and the cookies."""
        peer = await script(
            [
                (
                    b"GET ",
                    (
                        b"HTTP/1.1 200 OK\r\nSERVER: nginx\r\n"
                        b"DATE: Sat, 09 Jan 2016 20:28:40 GMT\r\n"
                        b"CONTENT-TYPE: text/html; charset=utf-8\r\nCONTENT-LENGTH: 2\r\n"
                        b"X-ODD: \xff\r\nCONNECTION: keep-alive\r\n\r\nhi"
                    ),
                )
            ]
        )
        async with ClientSession() as session:
            async with session.get(peer.url) as resp:
                assert resp.headers == {
                    "SERVER": "nginx",
                    "DATE": "Sat, 09 Jan 2016 20:28:40 GMT",
                    "CONTENT-TYPE": "text/html; charset=utf-8",
                    "CONTENT-LENGTH": "2",
                    "X-ODD": "\udcff",
                    "CONNECTION": "keep-alive",
                }
                assert resp.headers["Content-Type"] == "text/html; charset=utf-8"
                assert resp.headers.get("content-type") == "text/html; charset=utf-8"
                assert resp.raw_headers == (
                    (b"SERVER", b"nginx"),
                    (b"DATE", b"Sat, 09 Jan 2016 20:28:40 GMT"),
                    (b"CONTENT-TYPE", b"text/html; charset=utf-8"),
                    (b"CONTENT-LENGTH", b"2"),
                    (b"X-ODD", b"\xff"),
                    (b"CONNECTION", b"keep-alive"),
                )

            url = (server.url / "send").with_query({"Set-Cookie": "example_cookie_name=value"})
            async with session.get(url) as resp:
                assert resp.cookies["example_cookie_name"].value == "value"

    async def test_redirection_history(self, api: Api) -> None:
        """Section "Redirection History": the responses on the way; none is an empty sequence."""
        redirect = (api.url / "redirect-to").with_query(url="/json", status=301)
        async with ClientSession() as session:
            resp = await session.get(redirect)
            assert resp.status == 200
            assert resp.url == api.url / "json"
            assert len(resp.history) == 1
            assert resp.history[0].status == 301
            assert resp.history[0].url == redirect

            resp = await session.get(api.url / "json")
            assert len(resp.history) == 0
            resp = await session.get(redirect, allow_redirects=False)
            assert (resp.status, len(resp.history)) == (301, 0)

    async def test_cookie_safety(self, api: Api) -> None:
        """Section "Cookie Safety": those of addresses only if the jar is unsafe."""
        jar = anyhttp.CookieJar(unsafe=True)
        for session, kept in (
            (anyhttp.ClientSession(cookie_jar=jar), {"a": "b"}),
            (anyhttp.ClientSession(), {}),
        ):
            resp = await session.get(api.url / "cookies/set", params={"a": "b"})
            assert await resp.json() == {"cookies": kept}
            await session.close()

    async def test_dummy_cookie_jar(self, api: Api) -> None:
        """Section "Dummy Cookie Jar": no cookies at all."""
        jar = anyhttp.DummyCookieJar()
        session = anyhttp.ClientSession(cookie_jar=jar)
        resp = await session.get(api.url.with_host("localhost") / "cookies/set", params={"a": "b"})
        assert await resp.json() == {"cookies": {}}
        await session.close()

    async def test_uploading_pre_compressed_data(self, api: Api) -> None:
        """Section "Uploading pre-compressed data": it is sent as it is, and named."""
        my_data = b"some data " * 100

        async def my_coroutine(
            session: ClientSession, headers: dict[str, str], my_data: bytes
        ) -> None:
            data = zlib.compress(my_data)
            headers = {"Content-Encoding": "deflate"}
            async with session.post(api.url, data=data, headers=headers):
                pass

        async with ClientSession() as session:
            await my_coroutine(session, {}, my_data)
        (call,) = api.mock.calls
        assert call.headers["Content-Encoding"] == "deflate"
        assert zlib.decompress(call.body) == my_data

    async def test_disabling_content_type_validation_for_json_responses(self, api: Api) -> None:
        """Section "Disabling content type validation for JSON responses": strict, or not at all."""

        def url(kind: str) -> URL:
            return (api.url / "send").with_query(text='{"a": 1}', type=kind)

        async with ClientSession() as session:
            resp = await session.get(url("application/vnd.custom-type+json"))
            assert await resp.json() == {"a": 1}
            resp = await session.get(url("custom/type"))
            with pytest.raises(anyhttp.ContentTypeError):
                await resp.json()
            assert await resp.json(content_type="custom/type") == {"a": 1}
            assert await resp.json(content_type=None) == {"a": 1}
            resp = await session.get(url("custom/xxx+type"))
            with pytest.raises(anyhttp.ContentTypeError):
                await resp.json(content_type="custom/type")

    async def test_connectors(self, server: Server) -> None:
        """Section "Connectors": a session owns the one it is given, unless told otherwise."""
        conn = anyhttp.TCPConnector()
        for _ in range(2):
            session = anyhttp.ClientSession(connector=conn, connector_owner=False)
            resp = await session.get(server.url / "json")
            assert await resp.json() == DOCUMENT
            await session.close()
            assert not conn.closed
        session = anyhttp.ClientSession(connector=conn)
        await session.close()
        assert conn.closed
        assert server.connections == 1

    @pytest.mark.parametrize(
        ("options", "most"),
        [({"limit": 5}, 5), ({"limit": 0}, 20), ({"limit_per_host": 6}, 6), ({}, 20)],
    )
    async def test_limiting_connection_pool_size(
        self, options: dict[str, Any], most: int, server: Server
    ) -> None:
        """Section "Limiting connection pool size": in all, of one endpoint, or not at all."""
        conn = anyhttp.TCPConnector(**options)
        assert conn.limit == options.get("limit", 100)
        assert conn.limit_per_host == options.get("limit_per_host", 0)
        async with anyhttp.ClientSession(connector=conn) as session:
            async with anyio.create_task_group() as tasks:
                for _ in range(20):
                    tasks.start_soon(session.get, server.url / "hang")
                await until_held(conn, server, in_use=most, waiting=20 - most)
                tasks.cancel_scope.cancel()

    @pytest.mark.parametrize(
        ("options", "stored"),
        [({}, 1), ({"ttl_dns_cache": 300}, 1), ({"use_dns_cache": False}, 0)],
    )
    async def test_tuning_the_dns_cache(
        self, options: dict[str, Any], stored: int, server: Server
    ) -> None:
        """Section "Tuning the DNS cache": answers are kept, for longer, or not."""
        conn = anyhttp.TCPConnector(**options)
        async with anyhttp.ClientSession(connector=conn) as session:
            async with session.get(server.url.with_host("localhost") / "json") as resp:
                assert resp.status == 200
            assert len(conn.cached_hosts) == stored

    async def test_unix_domain_sockets(self, server: Server) -> None:
        """Section "Unix domain sockets": a connector with a path."""
        conn = anyhttp.UnixConnector(path=server.unix_path)
        session = anyhttp.ClientSession(connector=conn)
        resp = await session.get("http://localhost/json")
        assert await resp.json() == DOCUMENT
        await session.close()

    async def test_ssl_control_for_tcp_sockets(
        self, server: Server, tls_ca: Authority, tmp_path: Path
    ) -> None:
        """Section "SSL control for TCP sockets": off, or by a context of one's own."""
        ca_bundle = tmp_path / "ca-bundle.crt"
        ca_bundle.write_bytes(tls_ca.ca_pem)
        async with ClientSession() as session:
            with pytest.raises(anyhttp.ClientConnectorCertificateError):
                await session.get(server.https_url / "json")
            r = await session.get(server.https_url / "json", ssl=False)
            assert await r.json() == DOCUMENT

            sslcontext = ssl.create_default_context(cafile=ca_bundle)
            r = await session.get(server.https_url / "json", ssl=sslcontext)
            assert await r.json() == DOCUMENT

    async def test_ssl_control_with_a_certificate_of_the_client(
        self, script: Script, tmp_path: Path
    ) -> None:
        """The same section: a key pair that the server asks for."""
        ca = trustme.CA()
        served = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        ca.issue_cert("localhost", "127.0.0.1").configure_cert(served)
        ca.configure_trust(served)
        served.verify_mode = ssl.CERT_REQUIRED
        device = ca.issue_cert("device@example.com")
        device.cert_chain_pems[0].write_to_path(tmp_path / "device.pem")
        device.private_key_pem.write_to_path(tmp_path / "device.key")
        ca.cert_pem.write_to_path(tmp_path / "ca-bundle.crt")

        peer = await script(
            [(b"GET ", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")], tls=served
        )
        sslcontext = ssl.create_default_context(cafile=tmp_path / "ca-bundle.crt")
        sslcontext.load_cert_chain(tmp_path / "device.pem", tmp_path / "device.key")
        async with ClientSession() as session:
            r = await session.get(peer.url, ssl=sslcontext)
            assert await r.text() == "hi"

    async def test_ssl_control_and_its_errors(self, script: Script, tls_ca: Authority) -> None:
        """The same section: one class for handshakes, one for certificates, one for both."""
        plain: list[Step] = [(Until(b"\x16\x03"), [b"HTTP/1.1 400 No\r\n\r\n", STALL])]
        peer = await script(plain, plain, partial=True)
        not_tls = URL(f"https://localhost:{peer.port}/")
        wrong_host = await script([], [], tls=tls_ca.server_for("other.test"))
        async with ClientSession() as session:
            try:
                await session.get(not_tls)
                raise AssertionError("it was no TLS")
            except anyhttp.ClientConnectorSSLError as e:
                assert isinstance(e, ssl.SSLError)

            try:
                await session.get(wrong_host.url, ssl=tls_ca.client)
                raise AssertionError("it was the wrong host")
            except anyhttp.ClientConnectorCertificateError as e:
                assert isinstance(e, ssl.CertificateError)

            try:
                await session.get(not_tls)
            except anyhttp.ClientSSLError as e:
                assert isinstance(e, ssl.SSLError)
            try:
                await session.get(wrong_host.url, ssl=tls_ca.client)
            except anyhttp.ClientSSLError as e:
                assert isinstance(e, ssl.CertificateError)

    async def test_ssl_control_by_fingerprint(self, server: Server, tls_ca: Authority) -> None:
        """The same section: a digest of SHA-256, which has 32 bytes where the guide has 64."""
        bad_fp = b"0" * 32
        exc = None
        async with ClientSession() as session:
            try:
                await session.get(server.https_url, ssl=anyhttp.Fingerprint(bad_fp))
            except anyhttp.FingerprintMismatch as e:
                exc = e
            assert exc is not None
            assert exc.expected == bad_fp
            assert exc.got == tls_ca.fingerprint
            good = anyhttp.Fingerprint(exc.got)
            r = await session.get(server.https_url / "json", ssl=good)
            assert await r.json() == DOCUMENT

    async def test_ssl_control_by_the_connector(self, server: Server, tls_ca: Authority) -> None:
        """The same section: its ``ssl`` is the default, that of a request overrides it."""
        conn = anyhttp.TCPConnector(ssl=tls_ca.client)
        async with ClientSession(connector=conn) as session:
            r = await session.get(server.https_url / "json")
            assert await r.json() == DOCUMENT
            with pytest.raises(anyhttp.FingerprintMismatch):
                await session.get(server.https_url, ssl=anyhttp.Fingerprint(bytes(32)))

    @pytest.mark.parametrize("backend", ["asyncio", "trio"])
    @pytest.mark.parametrize("tls", [False, True])
    def test_graceful_shutdown(
        self, backend: str, tls: bool, server: Server, tls_ca: Authority
    ) -> None:
        """Section "Graceful Shutdown": nothing to sleep for, with TLS or without.

        A socket that was still open would be found by the census of each test.
        """
        url = server.https_url if tls else server.url

        async def read_website() -> None:
            async with anyhttp.ClientSession() as session:
                async with session.get(url / "json", ssl=tls_ca.client) as resp:
                    await resp.read()

        anyio.run(read_website, backend=backend)


def test_the_imports_of_the_guides_hold() -> None:
    """The names stand where the guides import them from."""
    from anyhttp.connector import TCPConnector, UnixConnector
    from anyhttp.resolver import AsyncResolver

    assert (TCPConnector, UnixConnector) == (anyhttp.TCPConnector, anyhttp.UnixConnector)
    assert AsyncResolver is not None
