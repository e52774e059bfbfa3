"""Conversations by TLS, and by way of proxies."""

from __future__ import annotations

import ssl
from typing import Any, Final

from tests.support.tls import Authority

from .conversation import Program
from .http1 import ANY_NAME, Exchange, Frame, by_length
from .model import Fault, Plan
from .server import FaultyServer
from .wire import TlsWire, Wire

#: What TLS 1.3 adds to the bytes of a record (RFC 8446 §5.2).
RECORD_SIZE: Final = 22

#: How many records the server's last flight of a handshake has, and the one before.
RECORDS: Final = {
    (ssl.TLSVersion.TLSv1_3, "TLS"): 6,
    (ssl.TLSVersion.TLSv1_2, "TLS"): 4,
    (ssl.TLSVersion.TLSv1_3, "TLS, end"): 1,
    (ssl.TLSVersion.TLSv1_2, "TLS, end"): 3,
}


def context_of(
    authority: Authority, version: ssl.TLSVersion, plan: Plan | None, part: str
) -> ssl.SSLContext:
    """Return what a server speaks that knows one *version* of TLS.

    :param part: the name of its handshake, in which the fault of *plan* may be
    """
    context = authority.server_with("http/1.1")
    if plan is not None and (plan.fault, plan.part) == (Fault.CERTIFICATE, part):
        plan.has_happened = plan.is_over = True
        context = authority.server_for("another.test")
    if plan is not None and (plan.fault, plan.part) == (Fault.ALERT, f"{part}, end"):
        plan.has_happened = plan.is_over = True
        context.verify_mode = ssl.CERT_REQUIRED  # and the client has none
    context.minimum_version = context.maximum_version = version
    return context


class Secured(Exchange):
    """An exchange over TLS.

    :param version: of TLS
    """

    has_readers = False

    def __init__(
        self,
        frame: Frame = by_length,
        *,
        version: ssl.TLSVersion = ssl.TLSVersion.TLSv1_3,
        **options: Any,
    ) -> None:
        super().__init__(frame, **options)
        self._version = version

    def records(self, part: str) -> int:
        return RECORDS[self._version, part]

    def sizes(self, part: str, fault: Fault) -> list[int]:
        if part == "records":
            return [len(data) + RECORD_SIZE for _, data in self.answer(ANY_NAME) if data]
        return super().sizes(part, fault)

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        context = context_of(server.authority, self._version, wire.plan, "TLS")
        super().serve(TlsWire(wire, context, "TLS"), server)

    def url(self, program: Program) -> str:
        return f"https://127.0.0.1:{program.server.port}/{program.name}"


class Proxied(Exchange):
    """An exchange by way of a proxy, which is the server as well.

    :param scheme: of the proxy's URL
    :param inner: the scheme of the request's URL
    :param forwarded: whether the proxy gets the request itself, and is not asked for a tunnel
    :param login: whether a SOCKS proxy wants credentials
    :param refuses: whether the first connection is refused by the proxy
    """

    def __init__(
        self,
        scheme: str,
        *,
        inner: str = "https",
        forwarded: bool = False,
        login: bool = False,
        refuses: bool = False,
    ) -> None:
        super().__init__()
        self.has_readers = scheme in {"http", "https"}
        self._scheme = scheme
        self._inner = inner
        self._forwarded = forwarded
        self._login = login
        self._refuses = refuses

    def url(self, program: Program) -> str:
        host = "origin.test" if self._scheme in {"socks4a", "socks5h"} else "127.0.0.1"
        return f"{self._inner}://{host}/{program.name}"

    def options(self, program: Program) -> dict[str, Any]:
        user = "me:secret@" if self._login else ""
        return {"proxy": f"{self._scheme}://{user}127.0.0.1:{program.server.port}"}

    def records(self, part: str) -> int:
        return RECORDS[ssl.TLSVersion.TLSv1_3, "TLS"]

    def sizes(self, part: str, fault: Fault) -> list[int]:
        said = {**TUNNEL, **SOCKS}.get(part)
        return super().sizes(part, fault) if said is None else [len(said)]

    def serve(self, wire: Wire, server: FaultyServer) -> None:
        if self._scheme == "https":
            wire = self._secure(wire, server, "TLS with the proxy")
        if self._scheme.startswith("socks4"):
            wire.take(8)
            for _ in range(2 if self._scheme == "socks4a" else 1):
                wire.take_until(b"\0")
            self._say(wire, "reply of SOCKS4")
        elif self._scheme.startswith("socks5"):
            self._speak_socks5(wire)
        elif not self._forwarded:
            wire.take_head()
            if self._refuses and wire.plan is not None:
                self._say(wire, "head of the refusal")
                self._say(wire, "body of the refusal")
                wire.until_gone()
            self._say(wire, "answer to CONNECT")
        if self._inner == "https":
            wire = self._secure(wire, server, "TLS")
        super().serve(wire, server)

    def _secure(self, wire: Wire, server: FaultyServer, part: str) -> Wire:
        version = ssl.TLSVersion.TLSv1_3
        return TlsWire(wire, context_of(server.authority, version, wire.plan, part), part)

    def _speak_socks5(self, wire: Wire) -> None:
        wire.take(1)
        wire.take(wire.take(1)[0])
        self._say(wire, "greeting with login" if self._login else "greeting")
        if self._login:
            wire.take(1)
            wire.take(wire.take(1)[0])
            wire.take(wire.take(1)[0])
            self._say(wire, "login")
        wire.take(3)
        match wire.take(1)[0]:
            case 1:
                wire.take(4)
            case 3:
                wire.take(wire.take(1)[0])
        wire.take(2)
        self._say(wire, "reply of SOCKS5")

    @staticmethod
    def _say(wire: Wire, part: str) -> None:
        said = {**TUNNEL, **SOCKS}[part]
        plan = wire.plan
        if plan is not None and plan.fault is Fault.REFUSE and plan.part == part:
            plan.has_happened = plan.is_over = True
            wire.send(REFUSALS[part])
            wire.until_gone()
        if plan is not None and plan.part == part:
            plan.answer_again = lambda: said
        wire.say(part, said)


_REFUSED: Final = b"Nobody may go there."

TUNNEL: Final = {
    "answer to CONNECT": b"HTTP/1.1 200 Connection established\r\nX-Proxy: yes\r\n\r\n",
    "head of the refusal": b"HTTP/1.1 403 Forbidden\r\nContent-Length: %d\r\n\r\n" % len(_REFUSED),
    "body of the refusal": _REFUSED,
}

SOCKS: Final = {
    "reply of SOCKS4": b"\x00\x5a\x00\x50\x7f\x00\x00\x01",
    "greeting": b"\x05\x00",
    "greeting with login": b"\x05\x02",
    "login": b"\x01\x00",
    "reply of SOCKS5": b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50",
}

REFUSALS: Final = {
    "answer to CONNECT": b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    "reply of SOCKS4": b"\x00\x5b\x00\x00\x00\x00\x00\x00",
    "greeting": b"\x05\xff",
    "greeting with login": b"\x05\xff",
    "login": b"\x01\x01",
    "reply of SOCKS5": b"\x05\x02\x00\x01\x00\x00\x00\x00\x00\x00",
}
