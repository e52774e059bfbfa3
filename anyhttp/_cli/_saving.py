"""Where the body of a response goes: the options, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final

import click

from ._checks import FilePath, check_directory, check_file_to_write
from ._failures import describe
from ._options import add_options

#: How many downloads are under way at once, unless the user says otherwise.
JOBS: Final = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Saving:
    """What to save, and where: see :func:`saving_options`.

    :param output: a file; with *many*, the directory
    :param many: whether each URL has a file with a name of its own
    :param resumes: whether an interrupted download goes on
    :param jobs: how many downloads may be under way at once
    """

    output: Path | None
    many: bool
    resumes: bool
    jobs: int


def saving_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options of a :class:`Saving`, which is passed as ``saving``."""

    def bundling(
        *args: Any, output: Path | None, many: bool, resumes: bool, jobs: int | None, **others: Any
    ) -> Any:
        if jobs is not None and not many:
            raise click.UsageError("--jobs needs --download")
        if many:
            _check_directory(output)
        else:
            _check_file(output, resumes=resumes)
        saving = Saving(output=output, many=many, resumes=resumes or many, jobs=jobs or JOBS)
        return function(*args, saving=saving, **others)

    options = (
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=FilePath(),
            help="Save the body in FILE, which stays as it was unless all of it arrives; with "
            "--download, the directory to save in.",
        ),
        click.option(
            "-O",
            "--download",
            "many",
            is_flag=True,
            help="Save each URL in a file that is named by the server or the URL, and print that "
            "name; an interrupted download goes on the next time.",
        ),
        click.option(
            "-C",
            "--continue",
            "resumes",
            is_flag=True,
            help="Keep what an interrupted download to FILE has brought, and go on with it.",
        ),
        click.option(
            "-j",
            "--jobs",
            metavar="N",
            type=click.IntRange(min=1),
            help=f"Download up to N files at once; {JOBS} unless you say otherwise.",
        ),
    )
    return add_options(options, update_wrapper(bundling, function))


def _check_directory(output: Path | None) -> None:
    """Check the directory that files are to be saved in.

    :raises click.UsageError: they cannot be
    """
    if output is not None and not output.is_dir():
        raise click.UsageError(f"--output is the directory, with --download; {output} is none")
    try:
        check_directory(output or Path())
    except OSError as exc:
        raise click.UsageError(f"--output: {describe(exc)}") from exc


def _check_file(output: Path | None, *, resumes: bool) -> None:
    """Check the file that the body is to be saved in.

    :raises click.UsageError: it cannot be
    """
    if output is None or str(output) == "-":
        if resumes:
            raise click.UsageError("--continue needs --output FILE, or --download")
        return
    if output.is_dir():
        raise click.UsageError(f"--output is a file, without --download; {output} is none")
    try:
        check_file_to_write(output)
    except OSError as exc:
        raise click.UsageError(f"--output: {describe(exc)}") from exc
    if resumes and output.exists() and not output.is_file():
        raise click.UsageError(f"--continue needs a regular file; {output} is none")
