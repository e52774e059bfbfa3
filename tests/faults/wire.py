"""The server's end of a connection, on which a fault happens at one byte."""

from __future__ import annotations

import ssl
import struct
from collections.abc import Callable
from typing import Final, NoReturn

from tests.support.links import Head, Inbox, Link, parse_head

from .model import Fault, Plan

#: A TLS alert: fatal, handshake_failure (RFC 8446 §6).
ALERT: Final = b"\x15\x03\x03\x00\x02\x02\x28"


def _nothing() -> None:
    """Do nothing."""


class Over(Exception):
    """The fault has ended what the server says."""


class Wire(Inbox):
    """A connection on which a server says its part of a conversation.

    :param plan: the fault of this connection; ``None`` if there is none
    """

    def __init__(self, link: Link, plan: Plan | None) -> None:
        super().__init__()
        self.link = link
        self.plan = plan
        #: called when all of a fault that ends the conversation has been done
        self.when_done: Callable[[], None] = _nothing
        #: whether nothing is read after a fault
        self.is_deaf: bool = False
        self._held = b""  # what is to be joined with the bytes after it

    # -- what servers call

    def fill(self) -> bool:
        self._release()
        return self._fill()

    def take_head(self) -> Head:
        """Return the next head of a request."""
        return parse_head(self.take_until(b"\r\n\r\n"))

    def say(self, part: str, data: bytes) -> None:
        """Send *data*, which belongs to *part* of the conversation, unless the fault is here.

        :raises Over: the fault has ended the conversation
        """
        plan = self.plan
        if plan is None or plan.is_over or part != plan.part:
            self.send(self._take_held() + data)
            return
        place = plan.position - plan.said
        if plan.position < 0:
            place = len(data) + plan.position
        if plan.fault is Fault.ALERT:
            place = 0  # the position counts records
        if place >= len(data):
            plan.said += len(data)
            self.send(self._take_held() + data)
            return
        self._commit(plan, data[:place], data[place:])

    def reach(self, part: str, place: int) -> None:
        """Say nothing at this *place* of *part*, unless the fault is here.

        :raises Over: the fault has ended the conversation
        """
        plan = self.plan
        if plan is not None and not plan.is_over and (part, place) == (plan.part, plan.position):
            self._commit(plan, b"", b"")

    def send(self, data: bytes) -> None:
        """Send *data* as a good server does."""
        if data:
            self.link.send(data)

    def until_gone(self) -> NoReturn:
        """Read and ignore what comes until the client is gone.

        :raises Over: always
        """
        self.when_done()
        if self.is_deaf:
            self.link.wait_hangup()
        while self.link.fill():
            self.link.inbox.clear()
        raise Over

    # -- the faults

    def _commit(self, plan: Plan, before: bytes, after: bytes) -> None:
        plan.has_happened = True
        plan.is_over = plan.fault not in {Fault.DRIP, Fault.JOIN}
        match plan.fault:
            case Fault.DRIP:
                data = before + after
                for place in range(len(data)):
                    self._send_read(data[place : place + 1])
            case Fault.SPLIT:
                self._send_read(before)
                self.send(after)
            case Fault.JOIN:
                self._held += before + after
            case Fault.ANSWER_TWICE:
                assert plan.answer_again is not None
                self.send(before + after + plan.answer_again())
            case Fault.CLOSE:
                self._send_read(before)
                self.end()
                self.link.close()
                self._leave()
            case Fault.HALF_CLOSE:
                self._send_read(before)
                self.link.half_close()
                self.until_gone()
            case Fault.RESET:
                self._send_read(before)
                self.link.reset()
                self._leave()
            case Fault.GARBAGE:
                self._send_read(before)
                garbage = bytearray(plan.garbage)
                if plan.part.startswith("TLS") and garbage[:1] == after[:1]:
                    garbage[0] ^= 1  # what is encrypted is random: it may be the right byte
                self.send(bytes(garbage))
                self.until_gone()
            case Fault.ALERT:
                start = record_starts(before + after)[plan.position]
                self._send_read((before + after)[:start])
                self.send(ALERT)
                self.link.half_close()
                self.until_gone()
            case Fault.STALL | Fault.STALL_TOTAL:
                self._send_read(before)
                self.until_gone()
            case _:
                raise AssertionError(f"{plan.fault} is nothing that a wire does")

    def _leave(self) -> NoReturn:
        self.when_done()
        raise Over

    def end(self) -> None:
        """Tell that nothing more is sent, if the protocol has a way to."""

    def _send_read(self, data: bytes) -> None:
        """Send *data*, and wait until the client has read it."""
        if data:
            self.send(data)
            self.link.wait_read()

    def _fill(self) -> bool:
        has_more = self.link.fill()
        self._feed(bytes(self.link.inbox))
        self.link.inbox.clear()
        return has_more

    def _feed(self, data: bytes) -> None:
        self.received += data
        self.inbox += data

    def _take_held(self) -> bytes:
        held, self._held = self._held, b""
        return held

    def _release(self) -> None:
        """Send what has nothing to be joined with: the server waits for the client."""
        if self._held:
            self.send(self._take_held())


class TlsWire(Wire):
    """TLS on a wire; *part* is the name of the server's handshake."""

    def __init__(self, below: Wire, context: ssl.SSLContext, part: str) -> None:
        super().__init__(below.link, below.plan)
        self._below = below
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._ssl = context.wrap_bio(self._incoming, self._outgoing, server_side=True)
        self._at_end = False
        self._shake_hands(part)

    def _shake_hands(self, part: str) -> None:
        while True:
            try:
                self._ssl.do_handshake()
                break
            except ssl.SSLWantReadError:
                self._say_below(part)
                if not self._fill_below():
                    raise Over from None
            except ssl.SSLError:  # the client or this server refuses
                self._below.send(self._outgoing.read())
                self.link.half_close()
                self.until_gone()
        self._say_below(f"{part}, end")

    def _say_below(self, part: str) -> None:
        if flight := self._outgoing.read():
            self._below.say(part, flight)

    def _fill_below(self) -> bool:
        below = self._below
        if not below.inbox and not below.fill():
            return False
        self._incoming.write(bytes(below.inbox))
        below.inbox.clear()
        return True

    def send(self, data: bytes) -> None:
        if data:
            self._ssl.write(data)
            self._below.say("records", self._outgoing.read())

    def end(self) -> None:
        """Send close-notify."""
        try:
            self._ssl.unwrap()
        except ssl.SSLError:  # it waits for the client's
            pass
        self._below.send(self._outgoing.read())

    def _fill(self) -> bool:
        while True:
            try:
                data = self._ssl.read(65536)
            except ssl.SSLWantReadError:
                if not self._fill_below():
                    return False
            except ssl.SSLError:
                return False
            else:
                self._feed(data)
                return bool(data)


def record_starts(flight: bytes) -> list[int]:
    """Return where the records of *flight* begin (RFC 8446 §5.1)."""
    starts, place = [], 0
    while place < len(flight):
        starts.append(place)
        place += 5 + struct.unpack("!H", flight[place + 3 : place + 5])[0]
    return starts
