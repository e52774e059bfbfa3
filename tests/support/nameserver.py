"""A DNS server on loopback, in a thread, that responds as the test says."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset

from . import census

#: Used in place of a record: a server failure, no response, a response that the name does not
#: exist, or one too long for UDP.  Followed by a record type: only for queries of that type.
FAILS, SILENT, NO_NAME, LONG = "fails", "silent", "no-name", "long"


class NameServer:
    """Responds over UDP and TCP until it is stopped.

    :param records: by name, without a trailing dot: texts such as ``"A 192.0.2.1"``,
        ``"AAAA ::1"`` or ``"CNAME other.test."``, or the constants above
    """

    def __init__(self, records: Mapping[str, Sequence[str]]) -> None:
        self._records = records
        self.asked: list[str] = []
        """The questions, as ``"udp a.test A"``."""
        with census.lock:
            self._tcp = socket.socket()
            census.adopt(self._tcp)
            self._udp = socket.socket(type=socket.SOCK_DGRAM)
            census.adopt(self._udp)
        self._tcp.bind(("127.0.0.1", 0))
        self.port = int(self._tcp.getsockname()[1])
        self._udp.bind(("127.0.0.1", self.port))
        self._tcp.listen()
        self._wake_reader, self._wake_writer = os.pipe()
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def address(self) -> str:
        """The address for ``AsyncResolver(nameservers=[...])``."""
        return f"127.0.0.1:{self.port}"

    def stop(self) -> None:
        """Close everything."""
        os.write(self._wake_writer, b"x")
        self._thread.join()
        census.close(self._tcp)
        census.close(self._udp)
        os.close(self._wake_reader)
        os.close(self._wake_writer)

    def _serve(self) -> None:
        sources: list[socket.socket | int] = [self._udp, self._tcp, self._wake_reader]
        while True:
            ready, _, _ = select.select(sources, [], [])
            if self._wake_reader in ready:
                return
            if self._udp in ready:
                query, client = self._udp.recvfrom(4096)
                if (answer := self._answer(query, "udp")) is not None:
                    self._udp.sendto(answer, client)
            if self._tcp in ready:
                self._serve_tcp()

    def _serve_tcp(self) -> None:
        with census.lock:
            link, _ = self._tcp.accept()
            census.adopt(link)
        link.settimeout(5)
        with suppress(OSError, struct.error):
            (length,) = struct.unpack("!H", link.recv(2, socket.MSG_WAITALL))
            answer = self._answer(link.recv(length, socket.MSG_WAITALL), "tcp")
            if answer is not None:
                link.sendall(struct.pack("!H", len(answer)) + answer)
        census.close(link)

    def _answer(self, query: bytes, transport: str) -> bytes | None:
        message = dns.message.from_wire(query)
        question = message.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.asked.append(f"{transport} {name} {kind}")
        response = dns.message.make_response(message)
        texts = self._records.get(name, [NO_NAME])

        def has(special: str) -> bool:
            return special in texts or f"{special} {kind}" in texts

        if has(NO_NAME):
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif has(SILENT):
            return None
        elif has(FAILS):
            response.set_rcode(dns.rcode.SERVFAIL)
        elif has(LONG) and transport == "udp":
            response.flags |= dns.flags.TC
        else:
            self._fill(response, name, kind, texts)
        return response.to_wire()

    def _fill(
        self, response: dns.message.Message, name: str, kind: str, texts: Sequence[str]
    ) -> None:
        """Add the records of *name* to *response*, and those that its aliases lead to."""
        for text in texts:
            type_, _, value = text.partition(" ")
            if type_ in {kind, "CNAME"}:
                response.answer.append(dns.rrset.from_text(f"{name}.", 60, "IN", type_, value))
            if type_ == "CNAME":
                target = value.removesuffix(".")
                self._fill(response, target, kind, self._records.get(target, ()))
