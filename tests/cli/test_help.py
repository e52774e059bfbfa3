"""What the commands say of themselves: help, the page of the manual, completion in shells."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli import _help
from anyhttp._cli._commands import NAMED, run
from anyhttp._cli._fetch_command import fetch_command
from tests import man_page

COMMANDS = {"": fetch_command, **NAMED}


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("columns", ["200", "80"])
def test_the_help_fits_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, name: str, columns: str
) -> None:
    """No line has more than 79 columns, and every part is there."""
    monkeypatch.setenv("COLUMNS", columns)
    assert run([*name.split(), "--help"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if len(line) > 79] == []
    headings = [line.removesuffix(":") for line in lines if re.fullmatch(r"\w[\w ]*:", line)]
    assert headings[-2:] == ["Exit status", "Environment"]
    assert ("Examples" in headings) == (name != "demo")
    assert "Options" not in headings or name  # each option of "anyhttp URL" has a heading


@pytest.mark.parametrize("args", [["help"], ["help", "ws"], ["help", "demo"]])
def test_help_can_be_asked_for_by_a_word(
    capsys: pytest.CaptureFixture[str], args: Sequence[str]
) -> None:
    """``anyhttp help ws`` is ``anyhttp ws --help``, and the first one names the others."""
    assert run(args) == 0
    asked = capsys.readouterr().out
    assert run([*args[1:], "--help"]) == 0
    assert capsys.readouterr().out == asked
    assert all(f"anyhttp {name} " in asked for name in NAMED) == (args == ["help"])


def test_numbers_have_no_ranges_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """A default is of use, and a mathematical condition is not."""
    assert run(["--help"]) == 0
    out = capsys.readouterr().out
    assert "[default: 10]" in out
    assert "x>" not in out


def test_each_exit_status_is_described_once() -> None:
    """The help, the manual and the guide have the same ones."""
    guide = Path(__file__).parents[2] / "docs" / "howto" / "command-line.md"
    rows = re.findall(r"^\| (\d+) \| ", guide.read_text("utf-8"), flags=re.MULTILINE)
    assert rows == list(map(str, _help.EXIT_STATUSES))
    for command in COMMANDS.values():
        assert list(command.exit_statuses) == list(_help.EXIT_STATUSES)


def test_the_page_of_the_manual_is_up_to_date() -> None:
    """``python -m tests.man_page`` writes it."""
    assert man_page.PAGE.read_text("utf-8") == man_page.page()


def test_the_page_of_the_manual_is_proper_roff() -> None:
    """Nothing in the help of an option is taken for a command of roff."""
    groff = shutil.which("groff")
    if groff is None:
        pytest.skip("groff is not installed")
    command = [groff, "-man", "-Tutf8", "-ww", str(man_page.PAGE)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert "--http2-prior-knowledge" in done.stdout.replace("\u2010", "-")
    assert man_page.escaped(".a\n'b\\") == "\\&.a\n\\&'b\\e"


# -- completion


def complete(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    shell: str = "bash",
) -> list[str]:
    """Complete the last word of *typed*, as a shell asks for it."""
    words = typed.split(" ")
    monkeypatch.setenv("_ANYHTTP_COMPLETE", f"{shell}_complete")
    monkeypatch.setenv("COMP_WORDS", typed if words[-1] else typed[:-1])
    monkeypatch.setenv("COMP_CWORD", words[-1] if shell == "fish" else str(len(words) - 1))
    assert run([]) == 0
    return list(filter(None, capsys.readouterr().out.splitlines()))


@pytest.mark.parametrize(
    ("typed", "found"),
    [
        ("anyhttp ", ["plain,bench", "plain,demo", "plain,sse", "plain,ws"]),
        ("anyhttp d", ["plain,demo"]),
        ("anyhttp --cac", ["plain,--cacert"]),
        ("anyhttp ws --prot", ["plain,--protocol"]),
        ("anyhttp demo --backend ", ["plain,asyncio", "plain,trio"]),
        ("anyhttp a.test --backend t", ["plain,trio"]),
        ("anyhttp a.test -o ", ["file,"]),
        ("anyhttp a.test ws", []),
    ],
)
def test_words_are_completed(
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    typed: str,
    found: Sequence[str],
) -> None:
    """Commands, their options, and the values of those."""
    shown = complete(capsys, monkeypatch, typed)
    assert [line for line in shown if line in found] == found
    assert len(found) > 1 or shown == found


def test_fish_shows_what_words_mean(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The help of an option is shown beside it."""
    (line,) = complete(capsys, monkeypatch, "anyhttp --insec", "fish")
    assert line == "plain,--insecure\tDo not verify certificates."


def test_completing_a_line_reads_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither a password is asked for nor standard input is read while a line is being typed."""

    def ask(*args: object, **kwargs: object) -> str:
        raise AssertionError

    monkeypatch.setattr("click.prompt", ask)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    assert complete(capsys, monkeypatch, "anyhttp -u user -d @- a.test --insec") == [
        "plain,--insecure"
    ]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_a_script(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, shell: str
) -> None:
    """It asks the command for the words, by the same variable."""
    monkeypatch.setenv("_ANYHTTP_COMPLETE", f"{shell}_source")
    monkeypatch.setattr(
        "click.shell_completion.BashComplete._check_version", lambda self=None: None
    )
    assert run([]) == 0
    assert f"_ANYHTTP_COMPLETE={shell}_complete" in capsys.readouterr().out


@pytest.mark.parametrize("instruction", ["tcsh_source", "bash_nothing"])
def test_an_unknown_shell_is_an_error(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, instruction: str
) -> None:
    """The message shows the value of the variable."""
    monkeypatch.setenv("_ANYHTTP_COMPLETE", instruction)
    assert run([]) == 2
    assert f"_ANYHTTP_COMPLETE={instruction}" in capsys.readouterr().err


def test_bash_completes_words(tmp_path: Path) -> None:
    """As the guide says to install it."""
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    program = tmp_path / "anyhttp"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m anyhttp "$@"\n')
    program.chmod(0o755)
    script = f"""
        PATH={tmp_path}:$PATH
        eval "$(_ANYHTTP_COMPLETE=bash_source anyhttp)"
        COMP_WORDS=(anyhttp --insec) COMP_CWORD=1
        _anyhttp_completion anyhttp
        echo "${{COMPREPLY[@]}}"
    """
    done = subprocess.run(
        [bash, "-c", script], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.stdout, done.stderr) == ("--insecure\n", "")
