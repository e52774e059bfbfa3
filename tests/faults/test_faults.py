"""Each cell of the table of faults, against a peer on loopback; see :mod:`tests.faults.table`."""

from __future__ import annotations

import pytest

pytest.importorskip("h2", reason="h2 is not installed (anyhttp-client[http2])")

from tests.support.tls import Authority

from .model import by_phase
from .runner import MODES, run_case
from .selection import BACKENDS, Case, all_cases, some_cases
from .table import TABLE


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Try some cases of each cell, or with ``--every-fault`` all."""
    if "case" in metafunc.fixturenames:
        cases = all_cases() if metafunc.config.getoption("--every-fault") else some_cases()
        values = [
            pytest.param(BACKENDS[case.backend], case, id=case.id.replace(" ", "_"))
            for case in cases
        ]
        metafunc.parametrize("anyio_backend, case", values, indirect=["anyio_backend"])


@pytest.mark.own_backends
@pytest.mark.timeout(600)
async def test_what_a_program_sees_of_a_fault(
    case: Case, tls_ca: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The outcome is the documented one, nothing is left, and the next answer is the right one."""
    # A silent peer gets a PING before the next request; it need not be waited for.
    monkeypatch.setattr("anyhttp._http2.connection.CHECK_SECONDS", 0.05)
    monkeypatch.setattr("anyhttp._http2.connection.DOUBT_AFTER", 0.0)
    for position, mode in case.runs:
        try:
            await run_case(
                case.phase,
                case.fault,
                position,
                reader=case.reader,
                mode=mode,
                authority=tls_ca,
            )
        except BaseException as exc:
            exc.add_note(f"{case.id}, after {position} bytes, {mode.name}")
            raise


def test_phases_have_unique_names() -> None:
    """A row is known by its name."""
    titles = [phase.title for phase in TABLE]
    assert len(set(titles)) == len(titles)


def test_each_cell_and_mode_is_tried_by_default() -> None:
    """A quick selection has every cell, and every mode, reader and backend in turn."""
    cases = some_cases()
    assert [(case.phase, case.fault) for case in cases] == by_phase(TABLE)
    assert {case.modes[0] for case in cases} == set(MODES)
