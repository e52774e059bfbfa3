"""A server on loopback that answers as a driver says: HTTP/1.1, event streams, WebSockets.

It runs in threads of the driver's process and shares no code with any client.  The frames of
WebSockets are read and written by the protocol core of ``websockets``.
"""

from __future__ import annotations

import json
import re
import socketserver
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from email.message import Message
from http.server import BaseHTTPRequestHandler
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

from websockets.frames import Frame, Opcode
from websockets.http11 import Request as Handshake
from websockets.protocol import State
from websockets.server import ServerProtocol

SECONDS_TO_WAIT: Final = 20.0  # for a client that sends nothing; longer than any driver needs


@dataclass(frozen=True)
class Request:
    """One request, as it arrived."""

    method: str
    path: str
    query: dict[str, str]
    headers: Message
    body: bytes
    parts: Mapping[str, str] = field(default_factory=dict)

    @property
    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)

    @property
    def form(self) -> dict[str, str]:
        """The body of a form that was sent urlencoded."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


@dataclass(frozen=True)
class Answer:
    """What is answered; a body of several pieces is sent in chunks, each when it is made."""

    body: bytes | Iterable[bytes] = b""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


def json_answer(value: object, status: int = 200, **headers: str) -> Answer:
    """Answer with *value* as JSON; ``_`` in the name of a header field stands for ``-``."""
    fields = {name.replace("_", "-"): text for name, text in headers.items()}
    return Answer(
        json.dumps(value).encode(), status, {"Content-Type": "application/json", **fields}
    )


def text_answer(text: str, content_type: str = "text/plain; charset=utf-8") -> Answer:
    """Answer with *text*."""
    return Answer(text.encode(), headers={"Content-Type": content_type})


def event_stream(events: Iterable[object]) -> Answer:
    """Answer with server-sent events: strings as they are, anything else as JSON.

    A pair is an event's name and its data.
    """

    def pieces() -> Iterable[bytes]:
        for event in events:
            name, data = event if isinstance(event, tuple) else ("", event)
            text = data if isinstance(data, str) else json.dumps(data)
            yield (f"event: {name}\n" if name else "").encode() + f"data: {text}\n\n".encode()

    return Answer(pieces(), headers={"Content-Type": "text/event-stream"})


Route = Callable[[Request], object]
Talk = Callable[["Peer"], None]


class Peer:
    """The server's end of one WebSocket."""

    def __init__(self, handler: _Handler, request: Request) -> None:
        self.request = request
        self._handler = handler
        self._protocol = ServerProtocol(max_size=None)
        self._frames: deque[object] = deque()
        # The core reads the handshake itself; here the server of the standard library has.
        head = "".join(f"{name}: {value}\r\n" for name, value in handler.headers.items())
        self._protocol.receive_data(f"GET {handler.path} HTTP/1.1\r\n{head}\r\n".encode("latin-1"))
        (handshake,) = self._protocol.events_received()
        assert isinstance(handshake, Handshake)
        asked = [
            name.strip() for name in request.headers.get("Sec-WebSocket-Protocol", "").split(",")
        ]
        response = self._protocol.accept(handshake)
        if asked[0]:
            response.headers["Sec-WebSocket-Protocol"] = asked[0]
        self._protocol.send_response(response)
        self._flush()

    def receive(self) -> str | bytes | None:
        """Return the next message, or ``None`` when the client has closed."""
        pieces: list[Frame] = []
        while not (pieces and pieces[-1].fin):
            frame = self._receive_frame()
            if frame is None or frame.opcode is Opcode.CLOSE:
                return None
            if frame.opcode not in (Opcode.PING, Opcode.PONG):
                pieces.append(frame)
        data = b"".join(piece.data for piece in pieces)
        return data.decode() if pieces[0].opcode is Opcode.TEXT else data

    def receive_json(self) -> Any:
        """Return the next message, decoded."""
        message = self.receive()
        assert message is not None, "the client closed where a message was expected"
        return json.loads(message)

    def send(self, message: str | bytes) -> None:
        """Send a message of text or of bytes."""
        if isinstance(message, str):
            self._protocol.send_text(message.encode())
        else:
            self._protocol.send_binary(message)
        self._flush()

    def send_json(self, value: object) -> None:
        """Send *value* as text."""
        self.send(json.dumps(value))

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Close, and wait for the client to do so."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(code, reason)
            self._flush()
            while self.receive() is not None:
                pass

    def _receive_frame(self) -> Frame | None:
        while not self._frames:
            received = self._handler.connection.recv(65536)
            if not received:
                return None
            self._protocol.receive_data(received)
            self._flush()
            self._frames.extend(self._protocol.events_received())
        frame = self._frames.popleft()
        assert isinstance(frame, Frame)
        return frame

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                self._handler.connection.sendall(data)


class Stub:
    """A server that knows the routes which a driver gives it.

    A request that no route is for is answered with 404, and fails the driver at its end, as
    does an exception in a route.

    :param port: 0 for any that is free
    """

    def __init__(self, port: int = 0) -> None:
        self.requests: list[Request] = []
        self.faults: list[str] = []
        self.connections = 0
        self._routes: list[tuple[re.Pattern[str], Route]] = []
        self._talks: list[tuple[re.Pattern[str], Talk]] = []
        self._server = _Server(("127.0.0.1", port), _Handler)
        self._server.stub = self
        self.host, self.port = "127.0.0.1", int(self._server.server_address[1])
        self.url = f"http://{self.host}:{self.port}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def on(self, route: str, answer: Route | object) -> None:
        """Answer *route* from now on; the latest word on a route counts.

        :param route: ``"GET /users/{name}"``; ``{name...}`` matches several segments, and the
            method ``*`` any method
        :param answer: an :class:`Answer`, a value that is sent as JSON, or a function of the
            request that returns one or the other
        """
        function = answer if callable(answer) else lambda _: answer
        self._routes.insert(0, (_pattern(route), function))

    def on_websocket(self, path: str, talk: Talk) -> None:
        """Talk to every client that opens a WebSocket at *path*; its return closes it."""
        self._talks.insert(0, (_pattern(f"GET {path}"), talk))

    def seen(self, route: str) -> list[Request]:
        """Return the requests that *route* was asked with."""
        pattern = _pattern(route)
        return [one for one in self.requests if pattern.fullmatch(f"{one.method} {one.path}")]

    def stop(self) -> None:
        """Close every socket and wait for the threads."""
        self._server.shutdown()
        self._thread.join()
        self._server.close_connections()
        self._server.server_close()

    def find_talk(self, request: Request) -> Talk | None:
        """Return what is said on a WebSocket at this path."""
        for pattern, talk in self._talks:
            if pattern.fullmatch(f"{request.method} {request.path}"):
                return talk
        return None

    def answer(self, request: Request) -> Answer:
        """Return what the latest fitting route answers."""
        for pattern, route in self._routes:
            found = pattern.fullmatch(f"{request.method} {request.path}")
            if found is not None:
                parts = {name: unquote(value) for name, value in found.groupdict().items()}
                answer = route(replace(request, parts=parts))
                return answer if isinstance(answer, Answer) else json_answer(answer)
        self.faults.append(f"no route for {request.method} {request.path}")
        return json_answer({"error": "the stub has no such route"}, 404)


def _pattern(route: str) -> re.Pattern[str]:
    """Return what a route's method and path look like."""
    method, _, path = route.partition(" ")
    text = re.escape(path)
    text = re.sub(r"\\{(\w+)\\.\\.\\.\\}", r"(?P<\1>.+)", text)
    text = re.sub(r"\\{(\w+)\\}", r"(?P<\1>[^/]+)", text)
    return re.compile(rf"{'[A-Z]+' if method == '*' else method} {text}")


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False
    stub: Stub

    def __init__(self, *arguments: Any) -> None:
        self._open: set[Any] = set()
        super().__init__(*arguments)

    def process_request(self, request: Any, client_address: Any) -> None:
        self.stub.connections += 1
        self._open.add(request)
        super().process_request(request, client_address)

    def close_connections(self) -> None:
        """End those that a client keeps alive: their threads wait for a next request."""
        for connection in list(self._open):
            try:
                connection.shutdown(2)
            except OSError:
                pass  # it is closed already

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that go away, and note everything else."""
        error = sys.exception()
        if not isinstance(error, ConnectionError | TimeoutError):
            self.stub.faults.append(repr(error))


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = SECONDS_TO_WAIT
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: object) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        if name.startswith("do_"):  # any method is served
            return self._serve
        raise AttributeError(name)

    def _serve(self) -> None:
        address = urlsplit(self.path)
        query = dict(parse_qsl(address.query, keep_blank_values=True))
        request = Request(self.command, address.path, query, self.headers, self._read_body())
        assert isinstance(self.server, _Server)
        stub = self.server.stub
        stub.requests.append(request)
        try:
            if self.headers.get("Upgrade", "").lower() == "websocket":
                self._talk(stub, request)
            else:
                self._answer(stub.answer(request))
        except (ConnectionError, TimeoutError):
            self.close_connection = True  # the client went away, as it may
        except Exception as error:  # noqa: BLE001  # a route's fault is the driver's failure
            stub.faults.append(f"{request.method} {request.path}: {error!r}")
            self.close_connection = True

    def _talk(self, stub: Stub, request: Request) -> None:
        self.close_connection = True
        talk = stub.find_talk(request)
        if talk is None:
            stub.faults.append(f"no WebSocket at {request.path}")
            self.send_error(404)
            return
        peer = Peer(self, request)
        talk(peer)
        peer.close()

    def _read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            pieces = []
            while size := int(self.rfile.readline().partition(b";")[0], 16):
                pieces.append(self.rfile.read(size))
                self.rfile.readline()
            while self.rfile.readline().strip():
                pass  # trailers
            return b"".join(pieces)
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def _answer(self, answer: Answer) -> None:
        whole = answer.body if isinstance(answer.body, bytes) else None
        self.send_response_only(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        has_body = answer.status not in (204, 304)
        if has_body and whole is not None and "Content-Length" not in answer.headers:
            self.send_header("Content-Length", str(len(whole)))
        elif whole is None:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        if self.command == "HEAD" or not has_body:
            return
        if whole is not None:
            self.wfile.write(whole)
            return
        for piece in answer.body:
            assert isinstance(piece, bytes)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
        self.wfile.write(b"0\r\n\r\n")
