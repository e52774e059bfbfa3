"""Runs one cell of the table at one position, and checks what is left of it."""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any, Final

import anyio

from anyhttp import (
    ClientHandlerType,
    ClientRequest,
    ClientResponse,
    ClientSession,
    ClientTimeout,
    RetryMiddleware,
    TraceConfig,
)
from tests.support import census
from tests.support.census import assert_no_tokens
from tests.support.tls import Authority
from tests.support.waiting import comes_true, until

from .conversation import LONG, Program, new_name
from .model import ANSWER, BEGINNING, Fault, Outcome, Phase, Plan, Together
from .server import FaultyServer

#: How long a stall lasts before a limit ends it, in seconds.  Where the short time is over before
#: the stall, as on a busy machine, a longer one is tried.
SHORT: Final = (0.05, 0.5, 5.0)

#: Nothing that a peer says in any protocol goes on with this, and no frame of a WebSocket begins
#: with one of its bytes.  It is longer than a TLS record, or a frame of the length that its first
#: bytes may be taken for.
GARBAGE: Final = b"\xff\x7f\r\x7f\n" * 24_000 + b"\r\n\r\n"


@dataclass(frozen=True)
class Mode:
    """How the session is made."""

    name: str
    entered: bool = True
    traced: bool = False
    middlewares: bool = False
    reads_pieces: bool = False
    is_waited_for: bool = False
    """Whether the next request waits for the slot already, as the only one of the connector."""


MODES: Final = (
    Mode("entered"),
    Mode("unentered", entered=False, reads_pieces=True),
    Mode("traced", traced=True, reads_pieces=True),
    Mode("middlewares", middlewares=True),
    Mode("waited for", is_waited_for=True),
)


class Traces:
    """Trace handlers for each signal; counts calls that began and calls that ended."""

    def __init__(self) -> None:
        self.config = TraceConfig()
        self.seen: list[str] = []
        for name in vars(TraceConfig):
            if name.startswith("on_"):
                getattr(self.config, name).append(self._noting(name))

    def _noting(self, name: str) -> Any:
        async def note(*_: object) -> None:
            self.seen.append(name)

        return note

    def check(self) -> None:
        """Assert that each call that began has come to one end."""
        ends = self.seen.count("on_request_end") + self.seen.count("on_request_exception")
        assert self.seen.count("on_request_start") == ends, self.seen


async def _pass_on(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
    return await handler(request)


def limits(phase: Phase, fault: Fault, short: float) -> ClientTimeout:
    """Return the limits of time for a call with *fault*."""
    if fault is Fault.STALL and not phase.limit.startswith("ws_"):
        return ClientTimeout(total=LONG, **{phase.limit: short})
    return ClientTimeout(total=short if fault is Fault.STALL_TOTAL else LONG)


async def run_case(
    phase: Phase, fault: Fault, position: int, *, reader: str, mode: Mode, authority: Authority
) -> None:
    """Let *fault* happen at *position* of *phase*; check what comes of it and what is left."""
    for short in SHORT if fault in {Fault.STALL, Fault.STALL_TOTAL} else (LONG,):
        if await _happens(phase, fault, position, short, reader, mode, authority):
            return
    raise AssertionError("the fault did not happen")


async def _happens(
    phase: Phase,
    fault: Fault,
    position: int,
    short: float,
    reader: str,
    mode: Mode,
    authority: Authority,
) -> bool:
    """Run the case, and return whether the fault has happened, and the program has seen it."""
    name = new_name()
    plan = Plan(fault, phase.part, position, name, GARBAGE)
    conversation = phase.conversation
    server = FaultyServer(conversation, plan, authority)
    traces = Traces() if mode.traced else None
    before = census.Census()
    is_waited_for = mode.is_waited_for and conversation.has_waiters
    options: dict[str, Any] = {"limit": 1} if is_waited_for else {}
    if conversation.is_unix:
        options["path"] = server.path
    timeout = limits(phase, fault, short)
    session = ClientSession(
        timeout=timeout,
        connector=conversation.connector(reader, authority, **options),
        trace_configs=[traces.config] if traces else None,
        middlewares=[RetryMiddleware(attempts=1), _pass_on] if mode.middlewares else (),
    )
    try:
        async with session if mode.entered else nullcontext():
            program = Program(session, server, name, timeout, short, mode.reads_pieces)
            call = outcome_before_waiter if is_waited_for else outcome_of
            outcome = await call(phase, program)
            if is_too_early(outcome, phase.cells[fault].outcomes, short):
                return False
            check_outcome(phase, fault, outcome, program)
            # A limit may be over before the stall, between two requests on a kept connection.
            ends = plan.has_happened and conversation.leaves_nothing(outcome) and not is_waited_for
            await check_rest(session, before, failed=ends)
            await call_again(phase, program)
            await until(lambda: server.open <= 1, "the client to close a connection that failed")
            assert_no_tokens(_connector(session))
    except BaseException as exc:
        exc.add_note(f"errors of the server: {server.errors}")
        raise
    finally:
        await session.close()
        server.stop()
    assert not server.errors, server.errors
    if traces:
        traces.check()
    await until(lambda: left(before) == [], "the session to leave nothing")
    return plan.has_happened


def is_too_early(outcome: Outcome, allowed: tuple[Outcome, ...], short: float) -> bool:
    """Whether a limit of *short* seconds was over before the program came to where the stall is."""
    seen = outcome.all if isinstance(outcome, Together) else {outcome}
    is_timeout = any(isinstance(each, type) and issubclass(each, TimeoutError) for each in seen)
    return is_timeout and outcome not in allowed and short < SHORT[-1]


async def outcome_of(phase: Phase, program: Program) -> Outcome:
    """Call, and return what came of it."""
    with anyio.move_on_after(LONG) as scope:
        try:
            await phase.conversation.call(program)
        except (AssertionError, ExceptionGroup):
            raise
        except Exception as exc:  # noqa: BLE001  (that is what is looked at)
            return type(exc)
        finally:
            program.is_over = True
        if program.sees:
            return program.sees
        whole = phase.conversation.content(program.name)
        return ANSWER if bytes(program.got) == whole else BEGINNING
    raise AssertionError(f"the call hangs: {scope.cancelled_caught}")


async def outcome_before_waiter(phase: Phase, program: Program) -> Outcome:
    """Do the same, while another call waits for the slot; it must get its own answer."""
    outcomes: list[Outcome] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(call_behind, phase, program)
        outcomes.append(await outcome_of(phase, program))
    return outcomes[0]


async def call_again(phase: Phase, program: Program) -> None:
    """Make another call, and assert that its answer is the right one."""
    again, conversation = program.another(), phase.conversation
    await conversation.call(again)
    assert bytes(again.got) == conversation.content(again.name), "the next answer is wrong"


async def call_behind(phase: Phase, program: Program) -> None:
    """Make the other call when that of *program* has the only slot."""
    statistics = _connector(program.session).statistics
    await until(lambda: statistics().in_use or program.is_over, "the first call to have the slot")
    await call_again(phase, program)


def check_outcome(phase: Phase, fault: Fault, outcome: Outcome, program: Program) -> None:
    """Assert that *outcome* is what the table says, and no byte is of another answer.

    What breaks a rule, or garbage in the place of a part of the body, may look like it.
    """
    allowed = phase.cells[fault].outcomes
    assert outcome in allowed, f"{outcome} and not {allowed}"
    whole = phase.conversation.content(program.name)
    if fault not in {Fault.GARBAGE, Fault.BREAK} or outcome is ANSWER:
        assert whole.startswith(program.got), f"wrong bytes: {bytes(program.got)!r}"


async def check_rest(session: ClientSession, before: census.Census, *, failed: bool) -> None:
    """Assert that slot, descriptor and task of the call are gone.

    A session on trio has one task for the limits of time of all its calls.
    """
    assert_no_tokens(_connector(session), idle=0 if failed else None)

    def left_by_call() -> list[str]:
        return [each for each in left(before, sockets=failed) if "TrioAlarm" not in each]

    assert await comes_true(lambda: not left_by_call(), seconds=5), left_by_call()


def left(before: census.Census, *, sockets: bool = True) -> list[str]:
    """Describe the tasks that are left since *before*, and the sockets."""
    found = [census._describe_task(task) for task in before._new_tasks()]
    if sockets:
        found += [census._describe_socket(*each) for each in before._new_sockets().items()]
    return found


def _connector(session: ClientSession) -> Any:
    assert session.connector is not None
    return session.connector
