"""One request with the base install; run as a script, where no extra is installed.

Not a test module: the tests need packages that bring some of the extras in.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import anyio

import anyhttp

OPTIONAL = (
    "aiohttp",
    "backports",
    "brotli",
    "brotlicffi",
    "charset_normalizer",
    "click",
    "dns",
    "h2",
    "hpack",
    "httpx",
    "httpx2",
    "opentelemetry",
    "rich",
    "socksio",
    "trio",
    "trustme",
)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer every path with a small body."""
        body = b"hello " + self.path.encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Stay quiet; the script prints one line of its own."""


async def fetch_twice(port: int) -> list[str]:
    """Return two bodies, the second over the kept-alive connection of the first."""
    bodies = []
    async with anyhttp.ClientSession() as session:
        for path in ("/one", "/two"):
            async with session.get(f"http://127.0.0.1:{port}{path}") as response:
                assert response.status == 200
                bodies.append(await response.text())
    return bodies


def main() -> None:
    """Fail unless the base install imports, and speaks HTTP on asyncio."""
    installed = [name for name in OPTIONAL if importlib.util.find_spec(name)]
    if installed:
        sys.exit(f"not a base install, these are there: {', '.join(installed)}")
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        bodies = anyio.run(fetch_twice, server.server_port)
    finally:
        server.shutdown()
        server.server_close()
    assert bodies == ["hello /one", "hello /two"], bodies
    assert "h11" not in sys.modules
    print(f"anyhttp {anyhttp.__version__} works with the base install, from {anyhttp.__file__}")


if __name__ == "__main__":
    main()
