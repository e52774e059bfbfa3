from __future__ import annotations

from collections.abc import Mapping

import pytest

from anyhttp import ChainMapProxy


def test_the_first_mapping_with_a_key_counts() -> None:
    """Those behind it are asked only for what it lacks."""
    chain = ChainMapProxy([{"a": 1}, {"a": 2, "b": 3}])
    assert (chain["a"], chain["b"]) == (1, 3)
    assert (chain.get("b"), chain.get("c"), chain.get("c", 4)) == (3, None, 4)
    assert "b" in chain
    assert "c" not in chain
    with pytest.raises(KeyError, match="c"):
        chain["c"]


def test_a_key_is_counted_once() -> None:
    """However many of the mappings have it."""
    chain = ChainMapProxy([{"a": 1}, {"a": 2, "b": 3}])
    assert len(chain) == 2
    assert sorted(chain) == ["a", "b"]
    assert dict(chain) == {"a": 1, "b": 3}
    assert chain == {"a": 1, "b": 3}


def test_it_is_empty_if_all_of_them_are() -> None:
    """Also if there are none."""
    assert not ChainMapProxy([])
    assert not ChainMapProxy([{}, {}])
    assert ChainMapProxy([{}, {"a": 1}])


def test_it_shows_what_is_behind_it_and_changes_nothing() -> None:
    """Changes of the mappings are seen; it takes none itself."""
    inner = {"a": 1}
    chain = ChainMapProxy([inner])
    inner["b"] = 2
    assert chain["b"] == 2
    assert repr(chain) == "ChainMapProxy({'a': 1, 'b': 2})"
    assert isinstance(chain, Mapping)
    assert not hasattr(chain, "__setitem__")


def test_it_has_no_subclasses() -> None:
    """As in aiohttp."""
    with pytest.raises(TypeError, match="Mine"):
        type("Mine", (ChainMapProxy,), {})
