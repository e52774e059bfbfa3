"""Where the body of a response goes: the options, and what they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final

import click

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
        if output is not None and many != output.is_dir():
            wanted = "the directory, with --download" if many else "a file, without --download"
            raise click.UsageError(f"--output is {wanted}; {output} is none")
        if resumes and not many and (output is None or str(output) == "-"):
            raise click.UsageError("--continue needs --output FILE, or --download")
        if jobs is not None and not many:
            raise click.UsageError("--jobs needs --download")
        saving = Saving(output=output, many=many, resumes=resumes or many, jobs=jobs or JOBS)
        return function(*args, saving=saving, **others)

    options = (
        click.option(
            "-o",
            "--output",
            metavar="FILE",
            type=click.Path(path_type=Path),
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
