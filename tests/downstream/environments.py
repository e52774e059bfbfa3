"""The virtual environments that the packages are installed into."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from tests.downstream.package import Package

ROOT: Final = Path(__file__).parents[2]
EXTRAS: Final = "[charset,speedups,trio]"
BESIDE: Final = ("aiohttp==3.14.*",)  # most packages ask for it, and its ``web`` is used as it is


class Environment:
    """One virtual environment, made when it is first needed and kept for the next run."""

    def __init__(self, folder: Path, packages: Iterable[Package]) -> None:
        self._folder = folder
        self._packages = tuple(packages)
        self.python = folder / "bin" / "python"

    def prepare(self) -> None:
        """Install every package of this environment in one go, with all that each requires.

        :raises subprocess.CalledProcessError: requirements contradict each other
        """
        wanted = sorted({one for package in self._packages for one in _requirements(package)})
        stamp = self._folder / "installed.txt"
        said = "\n".join([sys.version, _digest(ROOT / "pyproject.toml"), *wanted])
        if stamp.exists() and stamp.read_text() == said:
            return
        if not self.python.exists():
            subprocess.run([sys.executable, "-m", "venv", self._folder], check=True)
        pip = (self.python, "-m", "pip", "--disable-pip-version-check", "--quiet")
        own = ("--editable", f"{ROOT}{EXTRAS}")
        subprocess.run([*pip, "install", *own, *BESIDE, *wanted], check=True)
        subprocess.run([*pip, "check"], check=True)
        stamp.write_text(said)


def _requirements(package: Package) -> tuple[str, ...]:
    return (package.requirement, *package.beside)


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
