"""Every check of the project; ``nox -l`` lists them, each takes further arguments after ``--``.

Plain ``nox`` runs lint, typing, docs, package, compat and the tests.  A Python that is not on this
machine is skipped with a word.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Sequence
from itertools import chain
from pathlib import Path

import nox

ROOT = Path(__file__).parent
PYPROJECT = nox.project.load_toml(ROOT / "pyproject.toml")
PYTHONS = ("3.11", "3.12", "3.13", "3.14", "3.15")
EXTRAS = ".[charset,cli,dns,http2,httpx,httpx2,otel,socks,speedups,testing,trio]"

nox.needs_version = ">=2025.2.9"
nox.options.default_venv_backend = "virtualenv"
nox.options.reuse_venv = "yes"
# Under CI=true the default is to fail, but a machine with one Python is a fair place to test.
nox.options.error_on_missing_interpreters = False
# The tests come last, so that what pytest says is what is seen at the end.
nox.options.sessions = ["lint", "typing", "docs", "package", "compat", "tests"]


def runs(python: Path | str, version: str) -> bool:
    """Whether *python* can be started and is of that *version*."""
    command = [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    except OSError:
        return False
    return result.returncode == 0 and result.stdout.strip() == version


def find_pythons() -> None:
    """Put the interpreters that pyenv has installed on ``PATH``.

    Its shims stand there already, but each fails unless ``PYENV_VERSION`` selects its
    version, and nox then takes the interpreter for absent.
    """
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    for version in PYTHONS:
        if runs(f"python{version}", version):
            continue
        # the newest patch release first, and 3.13.10 after 3.13.9
        found = sorted(
            # not 3.14.1t, which is another Python, nor 3.15.0b1
            (path for path in versions.glob("*") if re.fullmatch(rf"{version}\.\d+", path.name)),
            key=lambda path: [int(number) for number in path.name.split(".")],
            reverse=True,
        )
        for path in found:
            if runs(path / "bin" / f"python{version}", version):
                os.environ["PATH"] = f"{path / 'bin'}{os.pathsep}{os.environ['PATH']}"
                break


find_pythons()


def install(session: nox.Session, *groups: str, package: str = EXTRAS, pins: str = "") -> None:
    """Install the package as it stands here, together with dependency *groups*.

    :param package: the package with the extras that are wanted
    :param pins: path of a constraints file, or nothing
    """
    needed = nox.project.dependency_groups(PYPROJECT, *groups)
    constraints = ("--constraint", pins) if pins else ()
    session.install("--editable", package, *needed, *constraints)


def run_tests(session: nox.Session, *places: str, options: Sequence[str] = ()) -> None:
    """Run the tests; if the session ``coverage`` follows, what they cover stays in a file for it.

    :param places: what is run, unless the session was given arguments
    :param options: of pytest, in any case
    """
    # Measuring makes the tests take half as long again, so that is done only if it is asked for.
    measure = ("coverage", "run") if "coverage" in sys.argv else ("python",)
    # Three at a time, also on two cores: a good part of the time of the tests is waiting.
    command = (*measure, "-m", "pytest", "--numprocesses=3", *options, *(session.posargs or places))
    # Many tests start another Python, which would compile the package anew without its bytecode.
    session.run(*command, env={"PYTHONDONTWRITEBYTECODE": None})


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the tests on asyncio and trio, with every extra."""
    install(session, "tests", "sdks")
    run_tests(session, "tests", "examples")


@nox.session(python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """Run the tests with the lowest versions of the dependencies that are allowed."""
    project = PYPROJECT["project"]
    allowed = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    pins = session.cache_dir / "lowest.txt"
    pins.write_text("\n".join(name.replace(">=", "==") for name in allowed if ">=" in name))
    # httpx2 asks for a newer idna than everything else does, and so do the SDKs.
    install(session, "tests", package=EXTRAS.replace("httpx2,", ""), pins=str(pins))
    run_tests(session, "tests", "examples")


@nox.session
def shuffle(session: nox.Session) -> None:
    """Run the tests in random order and under load: once, or as often as the first argument says.

    Each run prints the seed of its order, and ``--randomly-seed=SEED`` repeats that order.
    Further arguments go to pytest.
    """
    install(session, "tests", "sdks", "shuffle")
    times, further = 1, session.posargs
    if further and further[0].isdecimal():
        times, further = int(further[0]), further[1:]
    # With so many processes for each core, every test is kept waiting again and again.
    load = (f"--numprocesses={3 * (os.cpu_count() or 1)}", "--timeout=300")
    command = ("python", "-m", "pytest", *load, *further)
    for _ in range(times):
        session.run(*command, env={"PYTHONDONTWRITEBYTECODE": None})


@nox.session
def package(session: nox.Session) -> None:
    """Build the distributions into ``dist/``, check them, and use the wheel as users do.

    The wheel is made from the sdist, so that both are known to be complete.  It is installed
    twice in an environment of its own: without any extra, which is enough for a request, and with
    pytest for a test; and with the command, which shows itself on both backends.
    """
    session.install(*nox.project.dependency_groups(PYPROJECT, "release"))
    session.run("towncrier", "build", "--draft", "--version", "next", silent=True)
    built = ROOT / "dist"
    shutil.rmtree(built, ignore_errors=True)
    session.run("python", "-m", "build", *session.posargs)
    (sdist,), (wheel,) = (list(map(str, built.glob(name))) for name in ("*.tar.gz", "*.whl"))
    session.run("twine", "check", "--strict", sdist, wheel)
    session.run("python", "tests/package_check.py", sdist, wheel)

    home = Path(session.create_tmp()).resolve()  # away from the sources
    session.run("python", "-m", "venv", "--clear", str(home / "user"))
    python = str(home / "user" / ("Scripts" if os.name == "nt" else "bin") / "python")
    with session.chdir(home):
        session.run(python, "-m", "pip", "install", "--quiet", wheel, external=True)
        session.run(python, "-I", str(ROOT / "tests" / "minimal_check.py"), external=True)
        session.run(python, "-m", "pip", "install", "--quiet", "pytest", external=True)
        # Neither the settings of this project nor the fixtures of its tests are taken.  A cache
        # would lie among the sources, and the next run would look for it in the sdist.
        options = ("-c", os.devnull, "--noconftest", "-p", "no:cacheprovider")
        run_pytest = (python, "-I", "-m", "pytest", *options)
        session.run(*run_pytest, str(ROOT / "tests" / "plugin_check.py"), external=True)
        session.run(python, "-m", "pip", "install", "--quiet", f"{wheel}[cli]", external=True)
        session.run(python, "-I", "-m", "anyhttp", "demo", external=True)


@nox.session
def coverage(session: nox.Session) -> None:
    """Combine what the sessions of tests in the same run of nox measured, and fail under 100 %."""
    session.install("coverage")
    session.run("coverage", "combine")
    session.run("coverage", "report", "--fail-under=100", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, formatting and spelling."""
    session.install(*nox.project.dependency_groups(PYPROJECT, "lint"))
    session.run("ruff", "check", *(session.posargs or ["."]))
    session.run("ruff", "format", "--check", *(session.posargs or ["."]))
    session.run("codespell", *session.posargs)


@nox.session
def typing(session: nox.Session) -> None:
    """Check the types of the code and its tests, and that every public name has one.

    Among what is read is ``tests/typing``: programs that are never run, with the types that
    the API promises and the mistakes that have to be found.
    """
    install(session, "typing")
    session.run("mypy", *session.posargs)
    session.run("pyright", *session.posargs)
    session.run("pyright", "--verifytypes", "anyhttp", "--ignoreexternal")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning or a dead reference is an error."""
    install(session, "docs")
    target = "docs/_build"
    options = ("--fail-on-warning", "--keep-going", "--nitpicky", "--quiet", "-d", f"{target}/read")
    # The second one takes what the first has read.
    for builder, fresh in (("html", ["--fresh-env"]), ("doctest", [])):
        places = ("docs", f"{target}/{builder}")
        session.run("sphinx-build", *options, *fresh, "-b", builder, *places, *session.posargs)


@nox.session
def compat(session: nox.Session) -> None:
    """Compare with a pinned aiohttp: side by side, and with anyhttp in its place.

    Tests that were ported from other libraries are run as they were before, too.
    """
    install(session, "compat")
    run_tests(session, "tests/compat", "tests/as_aiohttp", "tests/test_ported.py")


@nox.session
def faults(session: nox.Session) -> None:
    """Let each fault of a peer happen at every byte, and write ``docs/explanation/faults.md``.

    That is on every backend, with both engines, and in each kind of session; plain ``nox`` tries
    some of these cases.
    """
    install(session, "tests")
    session.run("python", "-m", "tests.faults")
    run_tests(session, "tests/faults", options=["--every-fault"])


@nox.session
def cancellation(session: nox.Session) -> None:
    """Cancel every operation of the public API at each of its points, in every way.

    Also twice, and two tasks that share something; plain ``nox`` tries a selection of points.
    """
    install(session, "tests")
    every = ["--every-point", "--uvloop", "--timeout=1800"]
    run_tests(session, "tests/cancellation", options=every)


@nox.session(python="3.13")  # some of the packages need 3.12
def downstream(session: nox.Session) -> None:
    """Drive packages that use aiohttp's client, with anyhttp in its place.

    Arguments name packages, without any all are driven; their rows of the table in
    ``docs/explanation/libraries.md`` are written.
    """
    session.install("--editable", EXTRAS)
    folder = Path(session.create_tmp())  # the packages have environments of their own
    session.run("python", "-m", "tests.downstream", "--folder", str(folder), *session.posargs)


@nox.session(python="3.13")  # atheris has no newer one
def fuzz(session: nox.Session) -> None:
    """Attack parsers and readers by inputs that a fuzzer makes: ``-- [SECONDS] [TARGET …]``.

    Without arguments each target has a minute.  The seed is printed, and ``--seed`` takes it back;
    an input that fails is printed as the command that tries it again.
    """
    install(session, "fuzz")
    session.run("python", "-m", "tests.fuzz", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Make requests of all kinds for minutes on each event loop; fail unless everything is flat.

    Arguments are the minutes on each event loop, five without any, and the seed of an earlier run.
    The plots and figures of ``docs/explanation/soak.md`` are written.
    """
    install(session, "tests")
    session.run("python", "-m", "tests.soak", *session.posargs)


@nox.session(python="3.13")
def mutation(session: nox.Session) -> None:
    """Change parts of the package in one place after the other, and see that a test notices.

    Arguments name targets of ``tests/mutation/targets.py``, without any all are tried.  It fails
    if less than 85 % of the changes of a target are noticed, or one that is not has no reason in
    ``tests/mutation/survivors/``.
    """
    install(session, "tests", "mutation")
    if not session.posargs:
        session.run("python", "-m", "pytest", "tests/mutation")  # the instrument itself
    folder = str(session.cache_dir / "mutation")
    session.run("python", "-m", "tests.mutation", "--folder", folder, *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Count instructions, or with ``cpu`` compare CPU time; neither ever fails a build.

    Without further arguments the documentation gets the figures.
    """
    session.install("--editable", EXTRAS, "--requirement", "benchmarks/requirements.txt")
    if session.posargs[:1] != ["cpu"]:
        session.run("python", "-m", "benchmarks.instructions", *session.posargs)
        further = session.posargs
    else:
        further = session.posargs[1:]
        session.run("python", "-m", "benchmarks", *further)
        if not further:
            websockets = ("--workload", "echo20,echo10k,echo1m")
            session.run("python", "-m", "benchmarks.ws", *websockets)
    if not further:  # or else they are of a part only
        session.run("python", "-m", "benchmarks.page")
