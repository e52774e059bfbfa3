"""What aiohttp has for servers, beside this client: in processes of their own.

Extension modules cannot be loaded twice in one process, and other tests compare with aiohttp.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys

import pytest

from anyhttp.as_aiohttp._finder import shared_spec

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("aiohttp") is None, reason="aiohttp is not installed"
)


def run(code: str) -> None:
    """Run *code*, which asserts what it expects, with this client in place of aiohttp."""
    code = f"import anyhttp\nanyhttp.install_as_aiohttp()\n{code}"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr


SERVER = '''
import asyncio
import aiohttp
from aiohttp import web

async def serve(handler, use):
    """Call *use* with the URL of a server that answers by *handler*."""
    app = web.Application()
    app.router.add_route("*", "/", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    host, port = runner.addresses[0][:2]
    try:
        await use(f"http://{host}:{port}/")
    finally:
        await runner.cleanup()
'''


def test_server_and_client_run_in_one_program() -> None:
    """The one is the installed aiohttp's, and the other is this client."""
    run(f"""{SERVER}
async def handler(request):
    assert request.version == aiohttp.HttpVersion11
    return web.json_response({{"got": await request.json()}})

async def use(url):
    async with aiohttp.ClientSession() as session:
        assert type(session) is anyhttp.ClientSession
        async with session.post(url, json=[1]) as response:
            assert await response.json() == {{"got": [1]}}

asyncio.run(serve(handler, use))
assert web.Application.__module__ == "aiohttp.web_app"
assert aiohttp.web_exceptions.HTTPNotFound is web.HTTPNotFound
""")


def test_both_sides_of_a_websocket_have_the_same_enumerations() -> None:
    """Programs compare their members with ``is``."""
    run(f"""{SERVER}
async def handler(request):
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    async for message in websocket:
        assert message.type is aiohttp.WSMsgType.TEXT
        assert isinstance(message, aiohttp.WSMessage)
        await websocket.send_str(message.data)
    assert websocket.close_code is aiohttp.WSCloseCode.GOING_AWAY
    return websocket

async def use(url):
    async with aiohttp.ClientSession() as session, session.ws_connect(url) as websocket:
        await websocket.send_str("a")
        assert (await websocket.receive()).data == "a"
        await websocket.close(code=aiohttp.WSCloseCode.GOING_AWAY)

asyncio.run(serve(handler, use))
assert web.WSMsgType is aiohttp.WSMsgType
""")


def test_an_error_of_the_server_is_caught_by_the_clients_name() -> None:
    """A handler that writes to a client which is gone catches what it imports from aiohttp."""
    run(f"""{SERVER}
caught = []

async def handler(request):
    response = web.StreamResponse()
    await response.prepare(request)
    request.transport.close()
    await asyncio.sleep(0)
    try:
        while True:
            await response.write(b"x" * 1000)
    except aiohttp.ClientConnectionResetError as error:
        caught.append(error)
    return response

async def use(url):
    async with aiohttp.ClientSession() as session:
        try:
            async with session.get(url) as response:
                await response.read()
        except aiohttp.ClientError:
            pass

asyncio.run(serve(handler, use))
assert caught
""")


def test_a_response_of_the_server_takes_the_clients_values() -> None:
    """An ETag, and a multipart that writes itself to the response."""
    run(f"""{SERVER}
async def handler(request):
    response = web.StreamResponse()
    response.etag = aiohttp.ETag("a")
    writer = aiohttp.MultipartWriter("mixed")
    writer.append("part")
    response.headers["Content-Type"] = writer.content_type
    await response.prepare(request)
    await writer.write(response)
    return response

async def use(url):
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        assert response.headers["ETag"] == '"a"'
        reader = aiohttp.MultipartReader.from_response(response)
        part = await reader.next()
        assert await part.text() == "part"

asyncio.run(serve(handler, use))
""")


def test_a_response_of_the_server_takes_a_payload_as_its_body() -> None:
    """With the length and the headers that the payload has."""
    run(f"""{SERVER}
class Closed(aiohttp.BytesPayload):
    closed = False

    async def close(self):
        self.closed = True

bodies = []

async def handler(request):
    if request.method == "POST":
        body = aiohttp.MultipartWriter("mixed", boundary="b")
        body.append_json([1])
    else:
        body = Closed(b"abc", content_type="text/x")
    bodies.append(body)
    response = web.Response(body=body)
    assert request.method == "POST" or response.text == "abc"
    return response

async def use(url):
    async with aiohttp.ClientSession() as session:
        async with session.get(url) as response:
            assert await response.text() == "abc"
            assert (response.content_type, response.content_length) == ("text/x", 3)
        async with session.post(url) as response:
            assert response.headers["Content-Type"] == 'multipart/mixed; boundary=b'
            part = await aiohttp.MultipartReader.from_response(response).next()
            assert await part.json() == [1]

asyncio.run(serve(handler, use))
assert bodies[0].closed
""")


def test_the_test_client_is_this_client() -> None:
    """Its requests and WebSockets go to the server of the test."""
    run("""
import asyncio
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer

async def hello(request):
    return web.Response(text="hello")

async def echo(request):
    websocket = web.WebSocketResponse()
    await websocket.prepare(request)
    await websocket.send_str(await websocket.receive_str())
    return websocket

async def main():
    app = web.Application()
    app.add_routes([web.get("/", hello), web.get("/ws", echo)])
    async with TestClient(TestServer(app)) as client:
        assert type(client.session) is anyhttp.ClientSession
        response = await client.get("/")
        assert type(response) is anyhttp.ClientResponse
        assert await response.text() == "hello"
        async with client.get("/") as response:
            assert response.status == 200
        async with client.ws_connect("/ws") as websocket:
            await websocket.send_str("a")
            assert await websocket.receive_str() == "a"
        websocket = await client.ws_connect("/ws")
        await websocket.close()

asyncio.run(main())
""")


def test_a_mocked_request_has_a_body() -> None:
    """It is read from a reader of this client, which aiohttp's test tools are given."""
    run("""
import asyncio
import aiohttp
from aiohttp.client_proto import ResponseHandler
from aiohttp.test_utils import make_mocked_request

async def main():
    assert await make_mocked_request("GET", "/").read() == b""
    reader = aiohttp.StreamReader(ResponseHandler(asyncio.get_running_loop()), 2**16)
    reader.feed_data(b"a=b")
    reader.feed_eof()
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    request = make_mocked_request("POST", "/", headers=kind, payload=reader)
    assert dict(await request.post()) == {"a": "b"}

asyncio.run(main())
""")


def test_mixed_modules_have_the_names_for_servers() -> None:
    """And only those, as the client's are of this package."""
    run("""
import sys
from aiohttp.abc import AbstractCookieJar, AbstractView
from aiohttp.helpers import AppKey, ETag, sentinel
from aiohttp import web, http_writer
assert AbstractCookieJar is anyhttp.AbstractCookieJar
assert ETag is anyhttp.ETag
assert web.AppKey is AppKey
assert issubclass(web.View, AbstractView)
assert http_writer is sys.modules["aiohttp.http_writer"]
assert web.__spec__.origin == web.__file__  # it is found where it lies
assert http_writer.StreamWriter.__module__ == "aiohttp.http_writer"
assert sys.modules["aiohttp.client"].ClientSession is anyhttp.ClientSession
""")


def test_an_import_hook_may_ask_for_the_server_while_it_is_loaded() -> None:
    """Tools wrap a module in the moment of its import, and look at others for that."""
    run("""
import sys
import aiohttp.abc
seen = []

class Hook:
    @staticmethod
    def find_spec(name, path=None, target=None):
        if name == "aiohttp.web_routedef":
            seen.append(stand_in.AbstractView)

stand_in = aiohttp.abc
sys.meta_path.insert(0, Hook)
from aiohttp import web
assert aiohttp.abc is stand_in
assert seen == [stand_in.AbstractView]
assert issubclass(web.View, stand_in.AbstractView)
""")


def test_the_server_is_run_from_the_command_line() -> None:
    """``python -m aiohttp.web`` serves an application that is named."""
    command = [sys.executable, "-m", "anyhttp.as_aiohttp", "-m", "aiohttp.web", "--help"]
    run = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "aiohttp.web Application server" in run.stdout


def test_every_module_of_aiohttp_is_answered() -> None:
    """None is left to be loaded from the files of the installed one by itself."""
    run("""
import importlib, pathlib
from importlib.machinery import PathFinder
place = pathlib.Path(PathFinder.find_spec("aiohttp").origin).parent
names = [".".join(path.relative_to(place).with_suffix("").parts) for path in place.rglob("*.py")]
for name in names:
    name = "aiohttp." + name.removesuffix("__init__").removesuffix(".")
    try:
        importlib.import_module(name.rstrip("."))
    except ModuleNotFoundError as error:  # of other packages
        assert error.name in {"gunicorn", "pytest", "cython"}, error
assert importlib.import_module("aiohttp.client").ClientSession is anyhttp.ClientSession
""")


def test_a_module_that_is_not_among_the_files_is_left_to_other_finders() -> None:
    """As in a program that is packed into one file."""
    assert shared_spec("aiohttp.helpers", []) is None


def test_undone_the_installed_one_is_what_is_imported() -> None:
    """What has been loaded of it is not loaded again, and can be taken aside again."""
    run("""
import sys
def names():
    return [name for name in sys.modules if name.partition(".")[0] == "aiohttp"]
import aiohttp as first
from aiohttp import web as server
anyhttp.uninstall_as_aiohttp()
assert not names()
anyhttp.install_as_aiohttp()
from aiohttp import web
assert web is server
anyhttp.uninstall_as_aiohttp()
assert not names()
import aiohttp
from aiohttp import web
assert web is server
assert aiohttp is not first
assert aiohttp.ClientSession is not anyhttp.ClientSession
assert sys.modules["aiohttp.client"].ClientSession is aiohttp.ClientSession
import aiohttp.test_utils
assert aiohttp.test_utils.ClientSession is aiohttp.ClientSession
try:
    anyhttp.install_as_aiohttp()
except ImportError as error:
    assert "these modules use it: __main__" in str(error), error
else:
    raise AssertionError
""")


def test_undone_without_use_of_the_server_aiohttp_is_as_it_was() -> None:
    """Nothing of it has been loaded in between."""
    run("""
import aiohttp
aiohttp.ClientSession
anyhttp.uninstall_as_aiohttp()
import aiohttp, importlib.metadata
assert aiohttp.ClientError is not anyhttp.ClientError
assert aiohttp.__version__ == importlib.metadata.version("aiohttp")
""")


def test_threads_that_wait_for_each_other_end_with_an_error() -> None:
    """One has begun to import a module that the other, which loads the server, needs as well."""
    run("""
import sys, threading
from importlib.abc import MetaPathFinder
from anyhttp.as_aiohttp import _finder, _installed

_installed.WAIT_SECONDS = 0.2
holds, loads = threading.Event(), threading.Event()
create_module = _finder.InstalledLoader.create_module
errors = []

def create(loader, spec):
    if spec.name == "aiohttp.web_app":
        holds.set()
        assert loads.wait(20)
    return create_module(loader, spec)

class Hook(MetaPathFinder):
    def find_spec(self, name, path, target=None):
        if _installed.INSTALLED_AIOHTTP.loading:
            loads.set()

def import_a_part():
    try:
        import aiohttp.web_app
    except ImportError as exc:
        errors.append(str(exc))

_finder.InstalledLoader.create_module = create
sys.meta_path.insert(0, Hook())
thread = threading.Thread(target=import_a_part)
thread.start()
assert holds.wait(20)
import aiohttp.web
thread.join()
import aiohttp.web_app
assert len(errors) == 1 and "another thread is importing" in errors[0], errors
""")
