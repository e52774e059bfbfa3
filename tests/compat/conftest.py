"""What pytest has to know before the tests of this directory are imported."""

from __future__ import annotations

import pytest

pytest.register_assert_rewrite("tests.compat.comparison")
