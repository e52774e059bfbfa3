"""Mutants are made, take the places of their functions, and come to an end."""

from __future__ import annotations

import itertools
import os
import sys

import pytest

pytest.importorskip("mutmut", reason="mutmut is not installed (the group mutation)")

from tests.mutation.mutants import Mutant, make_mutants, mutants_of
from tests.mutation.processes import Fork, wait_for_any
from tests.mutation.swap import functions_of, module_of, put_in_place
from tests.mutation.targets import PACKAGE, TARGETS, Target
from tests.support.keys import A

SOURCE = '''
LIMIT = 10

class Box:
    @property
    def is_full(self) -> bool:
        return self.size > LIMIT  # of things

    @overload
    def add(self, thing: int = 1) -> None: ...

    def add(self, thing):
        """Add "one"."""
        if self.is_full and not thing:
            raise ValueError(f"{thing} is too much", 3)
'''


def test_what_is_changed() -> None:
    """One place at a time, also below decorators; but no text for people, nor what is not run."""
    mutants = list(mutants_of(SOURCE, "box.py"))
    assert [(it.function, it.line, it.was, it.now) for it in mutants] == [
        ("Box.is_full", 5, "return self.size > LIMIT", "return self.size >= LIMIT"),
        *(
            ("Box.add", 12, "if self.is_full and not thing:", now)
            for now in ("if self.is_full or not thing:", "if self.is_full and thing:")
        ),
        *(
            (
                "Box.add",
                12,
                'raise ValueError(f"{thing} is too much", 3)',
                f'raise ValueError(f"{{thing}} is too much"{now})',
            )
            for now in (", None", ", ", ", 4")
        ),
    ]


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_the_place_of_each_is_found(target: Target) -> None:
    """Else it would never be run, and taken for one that survives."""
    for file in target.files:
        functions = functions_of(module_of(file))
        for mutant in make_mutants(file):
            assert functions[mutant.line].__qualname__.endswith(mutant.function), mutant.key


def result_of(fork: Fork) -> object:
    """Wait for the end of a process."""
    wait_for_any([fork])
    return fork.result()


def test_a_mutant_is_what_is_run() -> None:
    """By everybody who has imported the function or its class before."""
    from anyhttp.connector._idle import IdleConnections

    file = "connector/_idle.py"
    source = (PACKAGE / file).read_text("utf-8")
    line = next(i for i, text in enumerate(source.splitlines(), 1) if "def take(" in text)
    changed = source.replace("newest = self._newest\n", 'return "another one"\n')
    mutant = Mutant(file, "IdleConnections.take", line, line, (line, line), "", "", changed)
    idle = IdleConnections[str](1.0)

    def take() -> object:
        put_in_place(mutant)
        return idle.take(A)

    assert result_of(Fork.start(take, cpu_limit=60)) == "another one"
    assert idle.take(A) is None  # in this process


def test_a_process_that_computes_for_ever_is_ended() -> None:
    """After the CPU time that it may take."""
    fork = Fork.start(lambda: sum(1 for _ in itertools.count()), cpu_limit=0.2)
    assert result_of(fork) is None
    assert fork.has_timed_out


def test_a_process_that_waits_for_ever_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    """When it has neither used CPU time nor waited for it for a while."""
    monkeypatch.setattr("tests.mutation.processes.IDLE_SECONDS", 0.5)
    fork = Fork.start(lambda: os.read(os.pipe()[0], 1), cpu_limit=60)
    assert result_of(fork) is None
    assert fork.has_timed_out


def test_a_process_that_dies_has_no_result() -> None:
    """Nor has it timed out."""
    fork = Fork.start(lambda: sys.exit("over"), cpu_limit=60)
    assert result_of(fork) is None
    assert not fork.has_timed_out
