"""Each target over its corpus, as the fuzzer begins; ``nox -s fuzz`` goes on from there."""

from __future__ import annotations

import re
import time
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from tests.fuzz.corpus import read_corpus, read_folder, write_corpus, write_folder
from tests.fuzz.target import FOLDER, Target, all_targets

TARGETS = all_targets()

#: Of how many inputs the cost is counted: the longest ones, which are the last.
COUNTED = 5

#: Most bytes of all corpora together.
MAX_CORPORA = 300 * 1024


@pytest.mark.parametrize("name", TARGETS)
def test_corpus(name: str) -> None:
    """No input that has been worth keeping breaks its parser, or costs more than it may."""
    target = TARGETS[name]
    inputs = read_corpus(target.corpus)
    assert len(inputs) > 4
    for number, data in enumerate(inputs, start=1):
        try:
            target.check_quickly(data)
            if len(inputs) - number < COUNTED:
                target.check_cost(data)
        except Exception as exc:
            exc.add_note(f"the input: {data!r}")
            raise


def test_files_are_of_targets() -> None:
    """Each target has a corpus and a dictionary, and nothing else lies there; all are small."""
    for folder, end in (("corpora", "txt"), ("dictionaries", "dict")):
        names = {path.name for path in (FOLDER / folder).iterdir()}
        assert names == {f"{name}.{end}" for name in TARGETS}
    assert sum(target.corpus.stat().st_size for target in TARGETS.values()) <= MAX_CORPORA


def test_the_page_names_each_target() -> None:
    """Who reads how the project is checked learns what is attacked."""
    page = (FOLDER.parent.parent / "docs" / "explanation" / "checks.md").read_text("utf-8")
    section = page.split("## What the fuzzer tests")[1].split("\n## ")[0]
    rows = [row for row in section.splitlines() if row.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`(\w+)`", row.split("|")[1])]
    assert sorted(named) == sorted(TARGETS)


def test_dictionaries_can_be_read() -> None:
    """LibFuzzer wants one text in quotes on each line, with escapes for what is not printable."""
    line = re.compile(r'"(?:[ !#-\[\]-~]|\\["\\]|\\x[0-9a-f]{2})+"|#.*|')
    for target in TARGETS.values():
        for text in target.dictionary.read_text("ascii").splitlines():
            assert line.fullmatch(text), (target.name, text)


def costly(check: Callable[[bytes], object]) -> Target:
    """Return a target that may do little."""
    return Target("costly", check, max_size=1000, calls=2, memory=10)


def test_calls_beyond_the_bound_are_found() -> None:
    """What grows with the square of the input is an error, though each input is short."""

    def quadratic(data: bytes) -> None:
        for _ in range(len(data) ** 2 // 10):
            len(data)

    costly(quadratic).run(bytes(50))
    with pytest.raises(AssertionError, match="calls for 1000 bytes"):
        costly(quadratic).run(bytes(1000))


def test_memory_beyond_the_bound_is_found() -> None:
    """A few bytes must not become megabytes, also if these are dropped at once."""

    def inflates(data: bytes) -> None:
        bytes(10_000 * len(data))

    costly(inflates).run(bytes(10))
    with pytest.raises(AssertionError, match="bytes allocated for 1000 bytes"):
        costly(inflates).run(bytes(1000))


def clock(monkeypatch: pytest.MonkeyPatch, seconds: Iterable[float]) -> None:
    """Let each run of a check take some *seconds*."""
    times = (moment for taken in seconds for moment in (0, taken))
    monkeypatch.setattr(time, "thread_time", lambda: next(times))


def test_time_beyond_the_bound_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """An expression that backtracks makes no calls, but it takes time."""
    clock(monkeypatch, [9, 7, 8, 9])
    with pytest.raises(AssertionError, match="7 seconds for 3 bytes"):
        costly(bytes).run(b"abc")


def test_time_is_measured_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """One slow run on a busy machine is no fault of the parser."""
    clock(monkeypatch, [9, 8, 0.1, 9])
    costly(bytes).run(b"abc")


def test_warnings_are_found() -> None:
    """A warning that the peer's bytes cause is an error."""

    def warns(_: bytes) -> None:
        warnings.warn("deprecated", DeprecationWarning, stacklevel=1)

    with pytest.raises(DeprecationWarning):
        costly(warns).run(b"")


def test_corpora_come_back(tmp_path: Path) -> None:
    """What is written for people and for libFuzzer is what is read, each input once."""
    inputs = [b"b\r\n\0\xff", b"", b"a'\"\\", b""]
    ordered = [b"", b"a'\"\\", b"b\r\n\0\xff"]
    write_corpus(tmp_path / "corpus.txt", inputs)
    assert read_corpus(tmp_path / "corpus.txt") == ordered
    write_folder(tmp_path / "folder", inputs)
    assert sorted(read_folder(tmp_path / "folder")) == ordered
