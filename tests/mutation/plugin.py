"""A plugin for pytest that runs the collected tests once for each mutant, in forked processes."""

from __future__ import annotations

import gc
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import pytest

from tests.mutation.mutants import Mutant
from tests.mutation.observer import Observed, Observer
from tests.mutation.processes import Fork, wait_for_any
from tests.mutation.swap import NotPossible, functions_of, module_of, put_in_place

# Of the CPU time that the tests take without a mutant; and what is added to it.
CPU_FACTOR: Final = 10
CPU_SECONDS: Final = 10

#: What a test takes that is not tried if there are others.
SLOW_SECONDS: Final = 1.0

TIME: Final = "time"
NOBODY: Final = -1


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.

    :param killer: the test that has failed, or what else has ended it; empty if it has survived
    :param tests: how many there are that might have noticed
    """

    mutant: Mutant
    killer: str
    tests: int


class Plugin:
    """The plugin; ``failed`` says why there are no verdicts.

    :param told: is called for each verdict
    """

    def __init__(
        self, mutants: Sequence[Mutant], processes: int, told: Callable[[Verdict], object]
    ) -> None:
        self._told = told
        self._mutants = mutants
        self._processes = processes
        self._killers: dict[tuple[str, str], list[int]] = defaultdict(list)
        self.left_out: list[str] = []
        self.failed: str = ""

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests without a mutant, and then with each."""
        first = Fork.start(lambda: self._observe(session), cpu_limit=3600)
        wait_for_any([first])
        observed = first.result()
        if not isinstance(observed, list):
            self.failed = f"without a mutant: {observed or 'the process that ran the tests died'}"
            return True
        waiting = [(mutant, self._tests_for(mutant, observed)) for mutant in self._mutants]
        waiting.reverse()
        gc.freeze()  # what all processes share
        running: list[tuple[Fork, Mutant, list[int]]] = []
        while waiting or running:
            while waiting and len(running) < self._processes:
                mutant, tests = waiting.pop()
                order = self._fast_first(mutant, tests, observed)
                seconds = sum(observed[test].seconds for test in order)
                fork = Fork.start(
                    partial(self._try, session, mutant, order),
                    cpu_limit=CPU_SECONDS + CPU_FACTOR * seconds,
                )
                running.append((fork, mutant, order))
            wait_for_any([fork for fork, _, _ in running])
            for entry in [entry for entry in running if entry[0].is_over]:
                running.remove(entry)
                self._note(session, *entry)
        return True

    def _note(self, session: pytest.Session, fork: Fork, mutant: Mutant, order: list[int]) -> None:
        result = fork.result()
        if isinstance(result, str):
            self.left_out.append(result)
            return
        if fork.has_timed_out:
            killer = TIME
        elif result is None:
            killer = "the end of the process"
        elif result == NOBODY:
            killer = ""
        else:
            self._killers[mutant.file, mutant.function].insert(0, result)
            killer = session.items[result].nodeid
        self._told(Verdict(mutant, killer, len(order)))

    def _tests_for(self, mutant: Mutant, observed: Sequence[Observed]) -> list[int]:
        """Return the tests that run the lines of a mutant, or its function if these have no code.

        Slow tests are left out where there are others.
        """
        for first, last in (mutant.lines, (mutant.line, mutant.end)):
            lines = {(mutant.file, line) for line in range(first, last + 1)}
            if tests := [number for number, it in enumerate(observed) if it.lines & lines]:
                return [it for it in tests if observed[it].seconds <= SLOW_SECONDS] or tests
        return []

    def _fast_first(
        self, mutant: Mutant, tests: Sequence[int], observed: Sequence[Observed]
    ) -> list[int]:
        """Return the tests in the order in which one may fail soonest: those that did before."""
        killers = self._killers[mutant.file, mutant.function]
        rank = {test: place for place, test in reversed(list(enumerate(killers)))}
        return sorted(
            tests, key=lambda test: (rank.get(test, len(killers)), observed[test].seconds)
        )

    def _observe(self, session: pytest.Session) -> list[Observed] | str:
        """Run all tests, in the forked process."""
        files = dict.fromkeys(mutant.file for mutant in self._mutants)
        observer = Observer(
            (file, function)
            for file in files
            for function in functions_of(module_of(file)).values()
        )
        found = []
        for number in range(len(session.items)):
            with observer.observing() as observed:
                failed = _run(session, [*range(len(session.items))], number)
            if failed:
                return failed
            found.append(observed)
        return found

    def _try(self, session: pytest.Session, mutant: Mutant, order: list[int]) -> int | str:
        """Return the test that has failed, or ``NOBODY``, or what is wrong with the mutant."""
        try:
            put_in_place(mutant)
        except NotPossible as error:
            return f"{mutant.key}: {error}"
        for place, test in enumerate(order):
            if _run(session, order, place):
                return test
        return NOBODY


def _run(session: pytest.Session, order: Sequence[int], place: int) -> str:
    """Run a test; return how it has failed, or nothing."""
    following = session.items[order[place + 1]] if place + 1 < len(order) else None
    item = session.items[order[place]]
    reports = Reports()
    session.config.pluginmanager.register(reports)
    item.config.hook.pytest_runtest_protocol(item=item, nextitem=following)
    session.config.pluginmanager.unregister(reports)
    return reports.failure


class Reports:
    """Keeps the first failure."""

    failure: str = ""

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Take a report."""
        if report.failed and not self.failure:
            self.failure = f"{report.nodeid}\n{report.longreprtext}"
