"""What a piece of code costs, in numbers that do not depend on the machine as far as possible.

Three things are measured, as none of them shows every kind of work:

* :func:`calls_of` counts calls, and :func:`work_of` the instructions of Python's virtual machine.
  They are the same each time, and show loops written in Python.
* :func:`work_of` also counts the bytes of the objects that are made.  They show copying, such as
  ``buffer = buffer[n:]``, which is one instruction however much there is to copy.
* :func:`seconds_of` is the time of the processor.  It shows what neither of the others does: a
  search that begins anew with each byte, and a regular expression that tries again and again.  A
  test only compares two of these times, which were measured one right after the other.
"""

from __future__ import annotations

import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import CodeType, FrameType
from typing import Any, NamedTuple, TypeAlias

#: Returns the work for an input of so many items, with the input made already.
Prepare: TypeAlias = Callable[[int], Callable[[], object]]

#: Returns what takes the bytes that come.
MakeFeed: TypeAlias = Callable[[], Callable[[bytes], object]]

#: How many bytes are measured that come one by one, at least.
BYTES_MEASURED = 16

#: How much larger the second input is.
LARGER = 4

#: How much more it may cost.  Linear work takes 4 times as much, and quadratic work 16 times.
MOST = 5.0

#: What the smaller input has to take, to be measured.
LEAST_INSTRUCTIONS = 1000

#: The largest first input: some work is one instruction, whatever its size.
LARGEST = 2000

#: The same for the time: 16 times as long is right, up to 40 times is seen where more
#: memory is needed, and 256 times would be quadratic.
MUCH_LARGER = 16
MOST_SECONDS = 100.0

#: What the smaller input has to take, in seconds.
LEAST_SECONDS = 0.0005

#: So large may the smaller input become for that.
MOST_ITEMS = 4000

_TOOL = 4  # one of the numbers that Python leaves to whoever wants it


class Work(NamedTuple):
    """What a piece of code has done.

    :param instructions: of Python's virtual machine
    :param bytes_made: what objects took that were made; of those that one instruction made and
        forgot again, the largest together.  Counting adds some bytes for each instruction
    """

    instructions: int
    bytes_made: int


@contextmanager
def cheap(seconds: float = 10) -> Iterator[None]:
    """Fail if the block takes that much processor time of this thread.

    Code of quadratic cost takes minutes, and is stopped by the time limit of the test.
    """
    start = time.thread_time()
    yield
    cost = time.thread_time() - start
    assert cost < seconds, f"it took {cost:.1f} seconds"


def calls_of(function: Callable[[], object]) -> int:
    """Return how many functions *function* calls, those written in C included."""
    calls = 0

    def count(frame: FrameType, event: str, arg: object) -> None:
        nonlocal calls
        calls += event in {"call", "c_call"}

    before = sys.getprofile()
    sys.setprofile(count)
    try:
        function()
    finally:
        sys.setprofile(before)
    return calls


def work_of(function: Callable[[], object]) -> Work:
    """Return what this thread does in *function*."""
    instructions = made = last = 0

    def step() -> None:
        nonlocal instructions, made, last
        instructions += 1
        current, peak = tracemalloc.get_traced_memory()
        made += peak - last
        tracemalloc.reset_peak()
        last = current

    tracemalloc.start()
    try:
        _watched(function, step)
    finally:
        tracemalloc.stop()
    return Work(instructions, made)


def seconds_of(function: Callable[[], object]) -> float:
    """Return the processor time of this thread."""
    start = time.thread_time()
    function()
    return time.thread_time() - start


def assert_linear(prepare: Prepare, size: int = 2) -> None:
    """Fail if an input that is four times as large costs more than five times as much.

    :param size: of the first input, which is made larger until most of the cost is that of its
        items
    """
    prepare(1)()  # what is imported or compiled once
    small = work_of(prepare(size))
    while small.instructions < LEAST_INSTRUCTIONS and size < LARGEST:
        size *= 2
        small = work_of(prepare(size))
    large = work_of(prepare(size * LARGER))
    found = f"{small} for {size} items, {large} for {size * LARGER}"
    assert large.instructions < MOST * small.instructions, found
    assert large.bytes_made < MOST * small.bytes_made, found


def assert_pieces_cost_alike(make: MakeFeed, begin: bytes, item: bytes) -> None:
    """Fail if single bytes cost more after much has come than after little.

    :param make: returns what takes the bytes
    :param begin: the first bytes
    :param item: what they go on with, again and again
    """
    few, many = (_cost_of_bytes(make, begin + item * count, item) for count in (4, _many(item)))
    found = f"{few} after little, {many} after much"
    assert many.work.instructions < 1.3 * few.work.instructions + 50, found
    assert many.work.bytes_made < 1.05 * few.work.bytes_made + 20_000, found
    assert many.seconds < 10 * few.seconds + 0.0002, found


def _many(item: bytes) -> int:
    """Return how many items are much.

    Those of a byte are no work of their own.  So there may be so many that a look at all of them,
    which is fast, takes longer than all else.
    """
    return 2**22 if len(item) == 1 else 3000


class _Cost(NamedTuple):
    work: Work
    seconds: float


def _cost_of_bytes(make: MakeFeed, begun: bytes, item: bytes) -> _Cost:
    """Return what the bytes of a few items cost, which come one by one behind *begun*."""
    feed = make()
    feed(begun)
    pieces = [bytes([byte]) for byte in item * (1 + BYTES_MEASURED // len(item))]

    def work() -> None:
        for piece in pieces:
            feed(piece)

    work()  # what is only done once
    # A buffer that grows by a part of itself is moved now and then, and not twice in a row.
    done = min((work_of(work) for _ in range(2)), key=lambda each: each.bytes_made)
    return _Cost(done, min(seconds_of(work) for _ in range(10)))


def assert_linear_time(prepare: Prepare, size: int = 16) -> None:
    """Fail if an input that is 16 times as large takes more than 100 times as long.

    :param size: of the first input, which is made larger until it takes so long that it can be
        measured
    """
    prepare(1)()
    while (small := seconds_of(prepare(size))) < LEAST_SECONDS and size < MOST_ITEMS:
        size *= 2
    large = seconds_of(prepare(size * MUCH_LARGER))
    for _ in range(3):  # what else the machine does can only make it longer
        if large < MOST_SECONDS * small:
            break
        small = max(small, seconds_of(prepare(size)))
        large = min(large, seconds_of(prepare(size * MUCH_LARGER)))
    assert large < MOST_SECONDS * small, (
        f"{small:.4f} seconds for {size} items, {large:.4f} for {size * MUCH_LARGER}"
    )


def _watched(function: Callable[[], object], step: Callable[[], None]) -> None:
    """Run *function*, and *step* before each instruction of it that this thread runs."""
    if sys.version_info >= (3, 12):
        _monitored(function, step)
    else:
        _traced(function, step)


def _monitored(function: Callable[[], object], step: Callable[[], None]) -> None:
    monitoring: Any = sys.monitoring  # type: ignore[attr-defined,unused-ignore]  # from 3.12 on
    kind = monitoring.events.INSTRUCTION
    thread = threading.get_ident()

    def see(code: CodeType, place: int) -> None:
        if threading.get_ident() == thread:
            step()

    monitoring.use_tool_id(_TOOL, "tests.support.cost")
    try:
        monitoring.register_callback(_TOOL, kind, see)
        monitoring.set_events(_TOOL, kind)
        function()
    finally:
        monitoring.set_events(_TOOL, 0)
        monitoring.register_callback(_TOOL, kind, None)
        monitoring.free_tool_id(_TOOL)


def _traced(function: Callable[[], object], step: Callable[[], None]) -> None:
    def see(frame: FrameType, event: str, arg: object) -> Any:
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        if event == "opcode":
            step()
        return see

    before = sys.gettrace()
    sys.settrace(see)
    try:
        function()
    finally:
        sys.settrace(before)
