"""Mutants: the functions of a file, each changed in one place as a mistake might change it.

mutmut knows the changes.  How it runs mutants is not used: it starts pytest for each one, which
takes many times as long as the tests that notice it, and it leaves out functions with decorators.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import libcst as cst
from libcst.metadata import CodeRange, MetadataWrapper, PositionProvider
from mutmut.mutation.file_mutation import MutationVisitor, OuterFunctionProvider, deep_replace
from mutmut.mutation.mutators import mutation_operators
from mutmut.mutation.pragma_handling import IgnoredCode

from tests.mutation.targets import PACKAGE

# Their bodies are never run.
NOT_MUTATED = {"overload", "abstractmethod"}
# Calls that only a type checker takes notice of.
FOR_TYPES = {"cast", "TypeVar", "ParamSpec"}


@dataclass(frozen=True)
class Mutant:
    """A change of one function.

    :param file: path below ``anyhttp/``
    :param function: its name, with that of its class
    :param line: the first line of the function
    :param end: its last line
    :param lines: the first and the last line that is changed
    :param was: these lines, without indentation and comments
    :param now: what they are changed to
    :param source: the whole text of the changed file
    """

    file: str
    function: str
    line: int
    end: int
    lines: tuple[int, int]
    was: str
    now: str
    source: str

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What it is, wherever the function stands in its file."""
        return self.file, self.function, self.was, self.now


@dataclass(frozen=True)
class _Change:
    node: cst.CSTNode
    instead: cst.CSTNode
    place: CodeRange
    function: cst.FunctionDef


class _Changes(MutationVisitor):
    """Collects the changes of a module; texts of errors are left as they are."""

    METADATA_DEPENDENCIES = (PositionProvider, OuterFunctionProvider)

    def __init__(self) -> None:
        super().__init__(mutation_operators, IgnoredCode(set(), set(), set()))
        self.found: list[_Change] = []
        self.places: dict[cst.FunctionDef, tuple[str, int, int]] = {}
        self._classes: list[str] = []
        self._messages: set[cst.CSTNode] = set()

    def on_visit(self, node: cst.CSTNode) -> bool:
        if isinstance(node, cst.ClassDef):
            self._classes.append(node.name.value)
        elif isinstance(node, cst.Raise) and isinstance(node.exc, cst.Call):
            self._messages.update(arg.value for arg in node.exc.args if _is_text(arg.value))
        elif isinstance(node, cst.FunctionDef):
            first = node.decorators[0] if node.decorators else node
            line, end = self._range(first).start.line, self._range(node).end.line
            self.places[node] = ".".join([*self._classes, node.name.value]), line, end
        return super().on_visit(node)

    def _range(self, node: cst.CSTNode) -> CodeRange:
        found = self.get_metadata(PositionProvider, node)
        assert isinstance(found, CodeRange)
        return found

    def on_leave(self, original_node: cst.CSTNode) -> None:
        if isinstance(original_node, cst.ClassDef):
            self._classes.pop()
        super().on_leave(original_node)

    def _skip_node_and_children(self, node: cst.CSTNode) -> bool:
        if node in self._messages:
            return True
        if isinstance(node, cst.FunctionDef) and node.decorators:
            names = {decorator.decorator for decorator in node.decorators}
            return any(isinstance(it, cst.Name) and it.value in NOT_MUTATED for it in names)
        callee = node.func if isinstance(node, cst.Call) else None
        if isinstance(callee, cst.Name) and callee.value in FOR_TYPES:
            return True
        return super()._skip_node_and_children(node)

    def _create_mutations(self, node: cst.CSTNode) -> None:
        function = self.get_metadata(OuterFunctionProvider, node, None)
        place = self.get_metadata(PositionProvider, node, None)
        if not isinstance(function, cst.FunctionDef) or place is None:
            return
        for kind, operator in mutation_operators:
            if isinstance(node, kind):
                for instead in operator(node):
                    if not self._is_about_message(node, instead):
                        self.found.append(_Change(node, instead, place, function))

    def _is_about_message(self, node: cst.CSTNode, instead: cst.CSTNode) -> bool:
        if not isinstance(node, cst.Call) or not isinstance(instead, cst.Call):
            return False
        kept = {id(arg) for arg in instead.args}
        return any(id(arg) not in kept and arg.value in self._messages for arg in node.args)


def make_mutants(file: str) -> list[Mutant]:
    """Return the mutants of a file of the package, in the order of its lines."""
    return list(mutants_of((PACKAGE / file).read_text("utf-8"), file))


def mutants_of(source: str, file: str) -> Iterator[Mutant]:
    """Return the mutants of a *source*."""
    wrapper = MetadataWrapper(cst.parse_module(source))
    changes = _Changes()
    wrapper.visit(changes)
    starts = [0]
    for line in source.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    for change in changes.found:
        changed = _apply(change, wrapper.module, source, starts)
        if changed is not None and changed != source:
            function, first, end = changes.places[change.function]
            lines, was, now = _difference(source.splitlines(), changed.splitlines())
            yield Mutant(file, function, first, end, lines, was, now, changed)


def _apply(change: _Change, module: cst.Module, source: str, starts: Sequence[int]) -> str | None:
    """Return the changed source, or nothing if that is no Python."""
    place = change.place
    first = starts[place.start.line - 1] + place.start.column
    last = starts[place.end.line - 1] + place.end.column
    if module.code_for_node(change.node) == source[first:last]:
        changed = source[:first] + module.code_for_node(change.instead) + source[last:]
    else:  # lines of a block, which only the whole module indents rightly
        replaced = deep_replace(module, change.node, change.instead)
        assert isinstance(replaced, cst.Module)
        changed = replaced.code
    try:
        compile(changed, "<mutant>", "exec", dont_inherit=True)
    except SyntaxError:
        return None
    return changed


def _difference(before: list[str], after: list[str]) -> tuple[tuple[int, int], str, str]:
    """Return the numbers of the lines that are changed, and what they were and are."""
    shorter = min(len(before), len(after))
    first = next((i for i in range(shorter) if before[i] != after[i]), shorter)
    last = next(
        (i for i in range(shorter - first) if before[-1 - i] != after[-1 - i]), shorter - first
    )
    was, now = before[first : len(before) - last], after[first : len(after) - last]
    return (first + 1, first + max(1, len(was))), _code(was), _code(now)


def _code(lines: list[str]) -> str:
    return " ".join(line.partition("  # ")[0].strip() for line in lines)


def _is_text(node: cst.CSTNode) -> bool:
    return isinstance(node, (cst.SimpleString, cst.FormattedString, cst.ConcatenatedString))
