"""How many examples a test of a property tries."""

from __future__ import annotations

from typing import Any, Final

from hypothesis import settings

__all__ = ("examples",)

#: how many Hypothesis tries where nothing else is said
USUAL: Final = 100


def examples(count: int, **options: Any) -> settings:
    """Return settings for a test that tries *count* examples in usual runs.

    With ``--hypothesis-profile=thorough`` it tries as many times more as every other test does.

    :param options: other settings
    """
    times = settings().max_examples / USUAL
    return settings(max_examples=max(1, round(count * times)), **options)
