"""The ``anyhttp`` command as a program: help, version, what it needs."""

from __future__ import annotations

import importlib
import re
import subprocess
import sys

import pytest

pytest.importorskip("click")
pytest.importorskip("h2")
pytest.importorskip("rich")
pytest.importorskip("trio")


from anyhttp._cli import main
from anyhttp._cli._commands import run
from tests.support.command import Peer, Start


def test_help_and_version(capsys: pytest.CaptureFixture[str]) -> None:
    """Both say it on stdout and succeed."""
    assert run(["--help"]) == 0
    assert "anyhttp demo" in capsys.readouterr().out
    assert run(["--version"]) == 0
    assert re.fullmatch(r"anyhttp \d+\.\S+\n", capsys.readouterr().out)


@pytest.mark.parametrize(
    ("module", "result"),
    [
        ("click", "anyhttp: click is not installed; try: pip install 'anyhttp-client[cli]'"),
        ("rich.console", "anyhttp: rich is not installed; try: pip install 'anyhttp-client[cli]'"),
        ("trustme", "anyhttp: trustme is not installed; try: pip install 'anyhttp-client[cli]'"),
    ],
)
def test_a_missing_extra_is_named(
    monkeypatch: pytest.MonkeyPatch, module: str, result: str
) -> None:
    """Without what it needs the command says in one line how to get it, and exits with 1."""
    without(monkeypatch, module)
    monkeypatch.setattr(sys, "argv", ["anyhttp", "demo"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == result  # which Python prints on stderr, exiting with 1


def test_another_missing_module_is_not_blamed_on_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    """A broken installation is shown as what it is."""
    without(monkeypatch, "anyhttp._cli._demo")
    with pytest.raises(ModuleNotFoundError):
        main()


def without(monkeypatch: pytest.MonkeyPatch, module: str) -> None:
    """Let the command be imported afresh, and *module* be missing."""
    for name in list(sys.modules):
        if name.startswith("anyhttp._cli."):
            monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, module, None)


def test_the_exit_status_is_the_commands(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``main`` takes the arguments of the process and exits."""
    monkeypatch.setattr(sys, "argv", ["anyhttp", "--version"])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("anyhttp ")


def test_a_missing_backend_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """``--backend trio`` without trio is a usage error that says how to get it."""
    monkeypatch.setitem(sys.modules, "trio", None)
    assert run(["--backend", "trio", "http://localhost/"]) == 2
    assert "pip install 'anyhttp-client[trio]'" in capsys.readouterr().err


def test_the_module_is_the_command(peer: Peer, start: Start) -> None:
    """``python -m anyhttp`` does what ``anyhttp`` does."""
    process = start("--json", "@-", peer.url, stdin=subprocess.PIPE)
    assert process.communicate(b"[1]") == (b"fine\n", b"")
    assert process.returncode == 0
    assert peer.received[-1].body == b"[1]"


def test_the_library_does_not_import_the_command(peer: Peer, start: Start) -> None:
    """``import anyhttp`` needs no extra, and the command only the backend it runs on."""
    code = """
import sys, anyhttp
assert not {"anyhttp._cli", "click", "rich"} & sys.modules.keys()
from anyhttp._cli._commands import run
run(sys.argv[1:])
assert "trio" not in sys.modules
"""
    process = start(peer.url, python=["-c", code])
    assert process.communicate() == (b"fine\n", b"")


def test_importing_the_command_runs_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    """What lists the modules of a package may import ``anyhttp.__main__``, too."""
    module = importlib.import_module("anyhttp.__main__")
    assert module.main is main
    assert capfd.readouterr() == ("", "")
