"""The differences that docs/compatibility.md tells of, as far as they can be shown in a test."""

from __future__ import annotations

import base64
import warnings
from pathlib import Path
from types import ModuleType

from yarl import URL

from tests.compat.comparison import different, failure, headers_seen, read, seen
from tests.support.server import Server
from tests.support.waiting import comes_true


@different(there=[["Content-Language", "de"], ["Content-Type", "text/plain"]], here=[])
async def test_headers_of_a_body_that_is_dropped(client: ModuleType, base: URL) -> object:
    """A redirect that drops the body drops all headers that describe it."""
    url = (base / "redirect-to").with_query(url="/echo", status=303)
    headers = {"Content-Type": "text/plain", "Content-Language": "de"}
    async with client.ClientSession() as session:
        seen = await headers_seen(session.post(url, data=b"body", headers=headers))
        return [pair for pair in seen if pair[0].startswith("Content-")]


@different(there="/echo?a=%2520b", here="/echo?a=%20b")
async def test_params_with_an_escape(client: ModuleType, base: URL) -> object:
    """Text is sent as it stands, as the documentation of both says."""
    async with client.ClientSession() as session:
        async with session.get(base / "echo", params="a=%20b") as response:
            return (await response.json())["target"]


@different(there=2, here=1)
async def test_idle_connections_and_the_limit(
    client: ModuleType, base: URL, server: Server
) -> object:
    """The limit bounds open sockets, and not only those in use."""
    connector = client.TCPConnector(limit=1)
    async with client.ClientSession(connector=connector) as session:
        await read(session.get(base / "json"))
        await read(session.get(base.with_host("localhost") / "json"))
        # the server may be late to notice that one was closed
        await comes_true(lambda: server.open_connections == 1, seconds=1)
        return server.open_connections


@different(there=1, here=0)
async def test_secure_cookies_over_http(client: ModuleType, base: URL) -> object:
    """A Secure cookie that comes over plain http is refused."""
    jar = client.CookieJar()
    jar.update_cookies_from_headers(["a=b; Secure"], URL("http://example.com/"))
    return len(jar)


@different(there="nothing raised", here="ValueError")
async def test_encodings_that_cannot_be_made(client: ModuleType, base: URL) -> object:
    """The option compress names deflate or gzip; what it names is what is sent."""
    async with client.ClientSession() as session:
        found = await failure(session.post(base / "echo", data=b"body", compress="br"))
        return found[0]


@different(there="TimeoutError", here="ValueError")
async def test_a_length_that_is_too_great(client: ModuleType, base: URL) -> object:
    """A Content-Length of which the body is known to fall short is refused."""
    headers = {"Content-Length": "10"}
    timeout = client.ClientTimeout(total=0.3)  # the server waits for the rest
    async with client.ClientSession(timeout=timeout) as session:
        url = base / "upload"
        return (await failure(session.post(url, data=b"short", headers=headers)))[0]


@different(there=["DeprecationWarning"], here=[])
async def test_credentials_that_are_deprecated(client: ModuleType, base: URL) -> object:
    """BasicAuth does not warn."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        client.BasicAuth("user", "pass")
    return [each.category.__name__ for each in caught]


@different(there="TimeoutError", here="nothing raised")
async def test_framing_by_hand(client: ModuleType, base: URL) -> object:
    """Transfer-Encoding written by hand is the same as chunked=True."""
    headers = {"Transfer-Encoding": "chunked"}
    timeout = client.ClientTimeout(total=0.3)  # the server waits for the end of the chunks
    async with client.ClientSession(timeout=timeout) as session:
        return (await failure(session.post(base / "upload", data=b"", headers=headers)))[0]


@different(there=[["x-a", "2"]], here=[["X-A", "1"], ["x-a", "2"]])
async def test_a_header_in_two_spellings(client: ModuleType, base: URL) -> object:
    """Both are given, so both are sent; case does not tell names apart (RFC 9110 §5.1)."""
    async with client.ClientSession() as session:
        seen = await headers_seen(session.get(base / "echo", headers={"X-A": "1", "x-a": "2"}))
        return [pair for pair in seen if pair[0].lower() == "x-a"]


@different(there="nothing raised", here="ValueError")
async def test_a_method_without_a_name(client: ModuleType, base: URL) -> object:
    """A method is a token, which has one character at least (RFC 9110 §9.1)."""
    async with client.ClientSession() as session:
        return (await failure(session.request("", base / "echo")))[0]


@different(there="nothing raised", here="ValueError")
async def test_exactly_a_negative_number_of_bytes(client: ModuleType, base: URL) -> object:
    """There is no such number; to the end of the body means ``read()``."""
    async with client.ClientSession() as session, session.get(base / "bytes/3") as response:
        return (await failure(response.content.readexactly(-1)))[0]


@different(there=["Content-Length"], here=["Transfer-Encoding"])
async def test_framing_of_a_text_file(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """How long its text is in bytes is known when it has been read and encoded."""
    path = tmp_path / "text"
    path.write_text("grün", "utf-8")
    async with client.ClientSession() as session:
        with path.open(encoding="utf-8") as file:
            headers = await headers_seen(session.post(base / "echo", data=file))
    return [name for name, _ in headers if name in {"Content-Length", "Transfer-Encoding"}]


@different(there="", here="the limit of 2 redirects was reached")
async def test_message_of_too_many_redirects(client: ModuleType, base: URL) -> object:
    """The message says which limit it was."""
    async with client.ClientSession() as session:
        try:
            await session.get(base / "redirect/3", max_redirects=2)
        except client.TooManyRedirects as exc:
            return exc.message
        raise AssertionError


@different(there=1, here=0)
async def test_a_cookie_that_expires_at_the_epoch(client: ModuleType, base: URL) -> object:
    """The usual way to delete a cookie deletes it."""
    jar = client.CookieJar()
    header = "a=b; Expires=Thu, 01 Jan 1970 00:00:00 GMT"
    jar.update_cookies_from_headers([header], URL("http://example.com/"))
    return len(jar)


@different(there=True, here=False)
async def test_soft_breaks_of_quoted_printable(client: ModuleType, base: URL) -> object:
    """HTTP has no limit of 76 characters a line (RFC 9110 §8.3, RFC 7578 §4.7)."""
    with client.MultipartWriter() as writer:
        writer.append("a" * 100, {"Content-Transfer-Encoding": "quoted-printable"})
    async with client.ClientSession() as session:
        return "a=\\n" in str(await seen(session.post(base / "echo", data=writer)))


@different(there="127.0.0.1", here="localhost")
async def test_host_of_a_wrong_fingerprint(client: ModuleType, base: URL, server: Server) -> object:
    """It is the host that was asked for, and not one of its addresses."""
    async with client.ClientSession() as session:
        try:
            await session.get(server.https_url, ssl=client.Fingerprint(bytes(32)))
        except client.ServerFingerprintMismatch as exc:
            return exc.host
        raise AssertionError


@different(there="other.example", here="localhost")
async def test_an_explicit_host_and_redirects(client: ModuleType, base: URL) -> object:
    """A Host given by hand is meant for the origin that the request is made to."""
    url = (base / "redirect-to").with_query(url=str(base.with_host("localhost") / "echo"))
    async with client.ClientSession() as session:
        headers = dict(await headers_seen(session.get(url, headers={"Host": "other.example"})))
        return headers["Host"].partition(":")[0]


@different(there=["a", "b"], here=[])
async def test_cookies_of_a_top_level_domain(client: ModuleType, base: URL) -> object:
    """They would be for everybody's hosts."""
    jar = client.CookieJar()
    jar.update_cookies_from_headers(["a=1; Domain=com"], URL("https://example.com/"))
    jar.update_cookies_from_headers(["b=1; Domain=.com"], URL("https://other.com/"))
    return sorted(cookie.key for cookie in jar)


@different(
    there=[("quoted", "example.com", "/app"), ("unseparated", "example.com", "/")],
    here=[("na,me", "example.com", "/"), ("unseparated", "example.com", "/ Max-Age=5")],
)
async def test_cookies_of_another_grammar(client: ModuleType, base: URL) -> object:
    """A Set-Cookie header is read as RFC 6265 has it, and browsers do."""
    jar = client.CookieJar()
    headers = [
        'quoted=1; Domain="example.com"; Path="/app"',
        "unseparated=1; Path=/ Max-Age=5",
        "na,me=1; Path=/",
    ]
    jar.update_cookies_from_headers(headers, URL("https://example.com/"))
    return sorted((cookie.key, cookie["domain"], cookie["path"]) for cookie in jar)


@different(there=b"rest", here=b"too long\nrest")
async def test_what_a_line_that_is_too_long_leaves(client: ModuleType, base: URL) -> object:
    """The line is there to be read in another way."""
    async with client.ClientSession() as session:
        async with session.post(base / "echo-body", data=b"too long\nrest") as response:
            await failure(response.content.readline(max_line_length=3))
            return await response.content.read()


@different(there=[["Expect", "100-continue"]], here=[])
async def test_an_expectation_without_a_body(client: ModuleType, base: URL) -> object:
    """RFC 9110 §10.1.1: a request without content must not ask to be waited for."""
    async with client.ClientSession() as session:
        seen = await headers_seen(session.post(base / "echo", expect100=True))
        return [pair for pair in seen if pair[0] == "Expect"]


@different(there="f=None", here="TypeError")
async def test_a_value_of_a_form_that_is_no_text(client: ModuleType, base: URL) -> object:
    """A repr is never what was meant."""
    async with client.ClientSession() as session:
        try:
            async with session.post(base / "echo", data={"f": None}) as response:
                return base64.b64decode((await response.json())["body"]).decode()
        except TypeError:
            return "TypeError"


@different(there=[["Content-Disposition", 'inline; filename="a.txt"']], here=[])
async def test_disposition_of_a_body(client: ModuleType, base: URL, tmp_path: Path) -> object:
    """Only the parts of a multipart have one by themselves."""
    path = tmp_path / "a.txt"
    path.write_bytes(b"text")
    async with client.ClientSession() as session:
        with path.open("rb") as file:
            body = client.get_payload(file, disposition="inline")
            seen = await headers_seen(session.post(base / "echo", data=body))
    return [pair for pair in seen if pair[0] == "Content-Disposition"]


@different(there="attachment", here=None)
async def test_quotes_that_do_not_match(client: ModuleType, base: URL) -> object:
    """Nobody can tell what such a Content-Disposition says."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return client.parse_content_disposition('attachment; filename=""a" b.html"')[0]


@different(there="nothing raised", here="ClientResponseError")
async def test_an_upgrade_that_nobody_asked_for(
    client: ModuleType, base: URL, server: Server
) -> object:
    """RFC 9110 §7.8: a server must not switch to a protocol that was not named."""
    async with client.ClientSession() as session:
        return (await failure(session.get(base / "status" / "101")))[0]


@different(there=b'name="a\\ b"', here=b'name="a b"')
async def test_spaces_in_names_of_form_fields(client: ModuleType, base: URL) -> object:
    """Within quotes they need no backslash (RFC 9110 §5.6.4)."""
    form = client.FormData({"a b": "c"}, default_to_multipart=True)
    async with client.ClientSession() as session:
        async with session.post(base / "echo-body", data=form) as response:
            return (await response.read()).partition(b"form-data; ")[2].partition(b"\r\n")[0]
