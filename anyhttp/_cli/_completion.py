"""Shell completion of all commands: what click makes of one, for the one that is being typed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import copy
from typing import Final

import click
from click.shell_completion import CompletionItem, get_completion_class

#: Its value is the name of a shell, ``_``, and ``source`` or ``complete``, as click has it.
VARIABLE: Final = "_ANYHTTP_COMPLETE"


def completion(
    instruction: str,
    choose: Callable[[Sequence[str]], tuple[str, click.Command, Sequence[str]]],
    named: Mapping[str, click.Command],
) -> str:
    """Return the script for a shell, or the words that can follow in the line being typed.

    :param instruction: the value of :data:`VARIABLE`
    :param choose: tells the command that arguments are for, and the rest of them
    :param named: the commands that the first argument can name
    :raises click.UsageError: the shell is unknown
    """
    shell, _, action = instruction.partition("_")
    kind = get_completion_class(shell)
    if kind is None or action not in {"source", "complete"}:
        raise click.UsageError(f"{VARIABLE}={instruction} is for no shell that is supported")
    if action == "source":
        return kind(click.Command("anyhttp"), {}, "anyhttp", VARIABLE).source()
    typed, incomplete = kind(
        click.Command("anyhttp"), {}, "anyhttp", VARIABLE
    ).get_completion_args()
    name, command, rest = choose(typed)
    completer = kind(_without_callbacks(command), {}, name, VARIABLE)
    found = completer.get_completions(list(rest), incomplete)
    if not typed:
        found += [
            CompletionItem(other, help=named[other].get_short_help_str(limit=200))
            for other in named
            if other.startswith(incomplete)
        ]
    return "\n".join(map(completer.format_completion, found))


def _without_callbacks(command: click.Command) -> click.Command:
    """Return a copy of *command* that reads no file and asks for no password."""
    bare = copy(command)
    bare.params = [copy(param) for param in command.params]
    for param in bare.params:
        param.callback = None
    return bare
