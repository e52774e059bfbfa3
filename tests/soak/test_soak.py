"""Each kind of request of the long runs, for a moment, and the verdict on what they find."""

from __future__ import annotations

import dataclasses
import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import anyio
import pytest

from benchmarks.svg import BAND

from .client import Outcome, Place, run
from .kinds import KINDS, Errand, Kind, WrongAnswer
from .load import Failure, Load
from .page import kind_lines, plot, run_lines
from .samples import Sample
from .servers import Servers, started
from .verdict import ENOUGH, Restart, Run, grown

FLAT = Sample(
    at=0.0, memory=10**8, objects=300_000, descriptors=100, tasks=210, in_use=80, idle=20,
    waiting=100, requests=0, cpu=0.0, median=0.2, slow=1.0,
)  # fmt: skip
RIGHT = {kind.name: {"nginx": 1} for kind in KINDS}


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Servers]:
    """The servers of a long run."""
    with started(tmp_path_factory.mktemp("soak")) as servers:
        yield servers


@pytest.fixture
def place(servers: Servers, tmp_path: Path) -> Place:
    """Where they are."""
    return Place(servers.ports, servers.certificate, tmp_path)


def run_of(change: Callable[[int], dict[str, Any]], **outcome: Any) -> Run:
    """Return a run whose samples are flat but for what *change* says of the second that is given.

    :param outcome: what its outcome has of its own
    """
    samples = [
        dataclasses.replace(
            FLAT,
            **{"at": second, "requests": 500 * second, "cpu": 0.5 * second, **change(second)},
        )
        for second in range(2 * ENOUGH)
    ]
    usual = Outcome(RIGHT, cancelled=0, timed_out=0, failed=0, left=[], before=(8, 1), after=(8, 1))
    return Run("asyncio", samples, [], dataclasses.replace(usual, **outcome), [])


# -- for a moment


@pytest.mark.uvloop
async def test_each_kind_of_request_goes_as_it_has_to(place: Place, servers: Servers) -> None:
    """Each is made, on more than one way where there are more, and nothing is left behind."""
    found: list[Sample | Failure] = []
    load = Load(10, 1, lambda begun: begun < 2 * len(KINDS), cancelled=0, hurried=0)
    outcome = await run(load, place, found.append)
    assert not [each for each in found if isinstance(each, Failure)]
    needed = {kind.name for kind in KINDS if "nginx" in servers.names or "static" not in kind.name}
    assert outcome.right.keys() == needed
    assert (outcome.left, outcome.after) == ([], outcome.before)
    # As it is told to the process that started this one.
    assert Outcome(**json.loads(json.dumps(dataclasses.asdict(outcome)))).right == outcome.right
    assert not servers.complaints()


@pytest.mark.uvloop
async def test_requests_that_are_cut_short_leave_nothing_behind(place: Place) -> None:
    """Half of them are cancelled or have too little time, and the others go as they have to."""
    found: list[Sample | Failure] = []
    load = Load(20, 1, lambda begun: begun < 3 * len(KINDS), cancelled=0.4, hurried=0.2)
    outcome = await run(load, place, found.append)
    assert not [each for each in found if isinstance(each, Failure)]
    assert outcome.cancelled
    assert outcome.timed_out
    assert (outcome.left, outcome.after) == ([], outcome.before)


# -- what is reported


async def leak_a_socket(errand: Errand) -> None:
    """Open a socket, and forget it."""
    kept.append(socket.socket())


async def leave_a_response_open(errand: Errand) -> None:
    """Read half of a response, and keep it."""
    kept.append(await errand.request("GET", "large"))


async def answer_wrongly(errand: Errand) -> None:
    """Find the answer to another request."""
    errand.must_be("2", errand.ident)


kept: list[Any] = []


@pytest.fixture
def everything_kept() -> Iterator[None]:
    """Let go of what was kept, after the test."""
    yield
    for each in kept:
        each.close()
    kept.clear()


def only(act: Callable[[Errand], Any]) -> list[Kind]:
    """Return a kind of request that is made at the peer."""
    return [Kind(act.__name__, act, lambda site: site.name == "peer")]


@pytest.mark.usefixtures("everything_kept")
async def test_a_socket_that_is_left_open_is_reported(place: Place) -> None:
    """By its address, and by the number of descriptors."""
    outcome = await run(Load(1, 1, lambda begun: begun < 3), place, print, only(leak_a_socket))
    assert "socket:[" in outcome.left[0]
    assert outcome.after[0] == outcome.before[0] + 3


@pytest.mark.usefixtures("everything_kept")
async def test_a_connection_that_is_not_given_back_is_reported(place: Place) -> None:
    """As soon as the last request is over."""
    load = Load(1, 1, lambda begun: begun < 1, cancelled=0, hurried=0)
    outcome = await run(load, place, print, only(leave_a_response_open))
    assert "still lent" in outcome.left[0]


async def test_a_task_that_goes_on_is_reported(place: Place) -> None:
    """By its name."""
    group = anyio.create_task_group()

    async def leave_a_task(errand: Errand) -> None:
        group.start_soon(anyio.sleep_forever, name="the one that was left")

    await group.__aenter__()
    outcome = await run(Load(1, 1, lambda begun: begun < 1), place, print, only(leave_a_task))
    group.cancel_scope.cancel()
    await group.__aexit__(None, None, None)
    assert "the one that was left" in outcome.left[0]
    assert outcome.after[1] == outcome.before[1] + 1


async def test_a_wrong_answer_is_a_failure_that_nothing_excuses(place: Place) -> None:
    """A restart of a server cannot lead to the answer of another request."""
    found: list[Any] = []
    load = Load(1, 1, lambda begun: begun < 1, cancelled=0, hurried=0)
    outcome = await run(load, place, found.append, only(answer_wrongly))
    assert outcome.failed == 1
    assert not found[0].excusable
    assert issubclass(WrongAnswer, Exception)


# -- the verdict


def test_a_flat_run_has_no_flaw() -> None:
    """And the growth of each of the figures is known."""
    run = run_of(lambda second: {"memory": 10**8 + second % 7 * 1000})
    assert list(run.flaws()) == []
    assert [growth.bound.name for growth in run.growths() if not growth.is_flat] == []
    assert len(run.growths()) == 6


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("memory", lambda second: {"memory": 10**8 + second * 500 * 200}),
        ("objects", lambda second: {"objects": 300_000 + second * 500}),
        ("descriptors of no connection", lambda second: {"descriptors": 100 + second // 4}),
        ("tasks", lambda second: {"tasks": 210 + second // 2}),
        ("median latency", lambda second: {"median": 1e-6 * second**3}),
        ("processor time per request", lambda second: {"cpu": 1e-6 * second**4}),
    ],
)
def test_growth_is_a_flaw(name: str, change: Callable[[int], dict[str, Any]]) -> None:
    """200 bytes of a request that are kept, one object, one descriptor of 2000 requests."""
    assert [flaw.partition(" grew")[0] for flaw in run_of(change).flaws()] == [name]


def test_what_grows_in_the_first_half_alone_is_no_flaw() -> None:
    """Caches fill up, and memory that was used once is kept for the next time."""
    run = run_of(lambda second: {"memory": 10**8 + min(second, ENOUGH) * 10**6})
    assert list(run.flaws()) == []


def test_a_short_run_says_nothing_about_growth() -> None:
    """Of few samples or of few requests; and all else that it found counts."""
    run = run_of(lambda second: {"memory": 10**6 * second}, left=["a task"])
    short = dataclasses.replace(run, samples=run.samples[: ENOUGH - 1])
    slow = run_of(lambda second: {"requests": 100 * second}, left=["a task"])
    for each in (short, slow):
        assert each.growths() == []
        assert list(each.flaws()) == ["a task"]


def test_what_does_not_go_back_to_the_start_is_a_flaw() -> None:
    """Descriptors and tasks, each for itself."""
    assert list(run_of(lambda _: {}, after=(9, 1)).flaws()) == [
        "9 descriptors after the run, 8 before it"
    ]
    assert list(run_of(lambda _: {}, after=(8, 2)).flaws()) == [
        "2 tasks after the run, 1 before it"
    ]


def test_a_kind_that_never_went_right_is_a_flaw() -> None:
    """Else it could fail each time, or not be made at all."""
    right = {name: ways for name, ways in RIGHT.items() if name != "websocket"}
    assert list(run_of(lambda _: {}, right=right).flaws()) == ["no websocket was right"]


@pytest.mark.parametrize(
    ("server", "began", "excusable", "is_flaw"),
    [
        ("nginx", 49.0, True, False),
        ("nginx", 55.0, True, False),
        ("nginx", 57.0, True, True),
        ("nginx", 40.0, True, True),
        ("nginx", 49.0, False, True),
        ("squid", 49.0, True, True),
    ],
)
def test_a_failure_is_excused_by_a_restart_on_the_way(
    server: str, began: float, excusable: bool, is_flaw: bool
) -> None:
    """While the server was away or just after; a wrong answer is not."""
    failure = Failure("get_small", "nginx", ["peer", "nginx"], began, began + 2, "x", excusable)
    run = dataclasses.replace(
        run_of(lambda _: {}), failures=[failure], restarts=[Restart(server, 50.0, 51.0)]
    )
    flaws = [flaw.partition(",")[0] for flaw in run.flaws()]
    assert flaws == (["get_small at nginx"] if is_flaw else [])


def test_growth_is_that_of_most_of_the_time() -> None:
    """Some values far off do not change it; the line goes from the first to the last."""
    values = [float(second) for second in range(101)]
    values[30], values[70] = 10_000.0, -10_000.0
    assert grown(values) == 100.0


# -- the page


def test_the_plot_has_each_figure_and_the_restarts() -> None:
    """It is SVG without anything that would have to be loaded."""
    run = dataclasses.replace(run_of(lambda _: {}), restarts=[Restart("nginx", 50.0, 51.0)])
    drawn = ElementTree.fromstring(plot(run))
    assert len(drawn.findall("{*}polyline")) == 10
    assert len([each for each in drawn.findall("{*}rect") if each.get("fill") == BAND]) == 1
    texts = [each.text for each in drawn.findall("{*}text")]
    assert {"tasks", "open descriptors", "requests a second", "waiting", "99 %"} <= set(texts)


def test_the_tables_have_a_column_for_each_run() -> None:
    """And say how the run can be made again."""
    runs = [run_of(lambda _: {}), dataclasses.replace(run_of(lambda _: {}), backend="trio")]
    lines = list(run_lines(runs, minutes=5.0, seed=1811, in_flight=200))
    assert "`nox -s soak -- 5 1811`" in lines[0]
    rows = [line for line in lines if line.startswith("|")]
    assert {line.count("|") for line in rows} == {4}
    assert "| tasks: growth | +0 (≤ 31) | +0 (≤ 31) |" in rows
    assert "| tasks before, at most, after | 1, 210, 1 | 1, 210, 1 |" in rows
    assert "| `websocket` | nginx | 1 | 1 |" in list(kind_lines(runs))
    assert f":file: soak/{runs[1].backend}.svg" in lines
