"""A token, its expiry, and the answers of token endpoints (RFC 6749 §5)."""

from __future__ import annotations

import copy
import pickle
import time
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given, strategies as st

from anyhttp import BearerToken, OAuth2Error
from tests.support.examples import examples

NOW = 1_800_000_000.0


@pytest.fixture(autouse=True)
def stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the time be a round number."""
    monkeypatch.setattr(time, "time", lambda: NOW)


class TestToken:
    @pytest.mark.parametrize(
        ("options", "expires_at"),
        [
            ({}, None),
            ({"expires_in": 3600}, NOW + 3600),
            ({"expires_in": 0}, NOW),
            ({"expires_in": 10**400}, NOW + 1e11),
            ({"expires_at": NOW + 5}, NOW + 5),
            ({"expires_at": 10**400}, 1e11),
            ({"expires_at": datetime.fromtimestamp(NOW, UTC)}, NOW),
            ({"expires_at": datetime.fromtimestamp(NOW, timezone(timedelta(hours=5)))}, NOW),
        ],
    )
    def test_its_expiry(self, options: dict[str, Any], expires_at: float | None) -> None:
        """However it is given, it is a point in time."""
        assert BearerToken("abc", **options).expires_at == expires_at

    @pytest.mark.parametrize(
        ("options", "error", "message"),
        [
            ({"expires_in": -1}, ValueError, "expires_in must not be negative"),
            ({"expires_in": float("nan")}, ValueError, "expires_in must not be negative"),
            ({"expires_at": float("inf")}, ValueError, "expires_at must not be negative, infinite"),
            ({"expires_in": "3600"}, TypeError, "expires_in must be a number of seconds, not str"),
            ({"expires_in": True}, TypeError, "expires_in must be a number of seconds, not bool"),
            ({"expires_in": 1, "expires_at": 1}, ValueError, "cannot both be given"),
            ({"expires_at": datetime(2030, 1, 1)}, ValueError, "time zone"),
            ({"value": None}, TypeError, "a token must be a str, not NoneType"),
            ({"value": ""}, ValueError, "must not be empty"),
            ({"value": "bearer secret"}, ValueError, "without the word Bearer"),
            ({"value": "secret|secret"}, ValueError, "character 7 of 13 is not one of these"),
            ({"value": "=secret"}, ValueError, "character 1 of 7 is not one of these"),
            ({"value": "secret\n"}, ValueError, "character 7 of 7 is not one of these"),
        ],
    )
    def test_bad_arguments(
        self, options: dict[str, Any], error: type[Exception], message: str
    ) -> None:
        """The message names the argument, and does not show the token."""
        arguments: dict[str, Any] = {"value": "abc"} | options
        with pytest.raises(error, match=message) as caught:
            BearerToken(**arguments)
        assert "secret" not in str(caught.value)

    @examples(30)
    @given(st.text("azAZ059-._~+/", min_size=1), st.integers(0, 3))
    def test_all_that_the_rfc_allows(self, text: str, padding: int) -> None:
        """RFC 6750 §2.1: ``b64token``."""
        value = text + padding * "="
        assert BearerToken(value).value == value

    def test_it_is_a_value(self) -> None:
        """It can be compared, copied and pickled, not changed."""
        token = BearerToken("abc", expires_in=1)
        assert token == BearerToken("abc", expires_at=NOW + 1) != BearerToken("xyz", expires_in=1)
        assert pickle.loads(pickle.dumps(token)) == copy.copy(token) == token
        assert len({token, copy.deepcopy(token)}) == 1
        with pytest.raises(AttributeError):
            token.value = "b"  # type: ignore[misc]  # it is refused when it runs, too


class TestFromOAuth2:
    @pytest.mark.parametrize(
        ("answer", "expires_at"),
        [
            ({"token_type": "Bearer", "expires_in": 3600, "refresh_token": "r"}, NOW + 3600),
            ({"token_type": "BEARER", "expires_in": "3600"}, NOW + 3600),
            ({"token_type": "bearer", "scope": "a b", "error": None}, None),
            ({"expires_in": None}, None),
            ({"expires_in": 10**400}, NOW + 1e11),
            ({"expires_in": 59.5}, NOW + 59.5),
        ],
    )
    def test_tokens(self, answer: dict[str, Any], expires_at: float | None) -> None:
        """RFC 6749 §5.1, and what servers make of it."""
        token = BearerToken.from_oauth2({"access_token": "abc"} | answer)
        assert (token.value, token.expires_at) == ("abc", expires_at)

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ({"error": "invalid_grant"}, "gave no token: invalid_grant$"),
            (
                {
                    "error": "invalid_client",
                    "error_description": "who?\x1b[31m",
                    "error_uri": "https://api.test/errors",
                    "access_token": "x/cret",
                },
                r"invalid_client, who\?\\x1b\[31m, see https://api.test/errors$",
            ),
            ({"error": {"message": "no"}}, "an error without a code$"),
            ({"error": "", "error_description": 7}, "an error without a code$"),
            ({}, "its answer has no access_token"),
            ({"access_token": None}, "its answer has no access_token"),
            ({"access_token": ["x/cret"]}, "a token must be a str, not list"),
            ({"access_token": "se cret"}, "character 3 of 7"),
            ({"access_token": "a", "token_type": "mac"}, "its token_type is 'mac', not 'Bearer'"),
            ({"access_token": "a", "token_type": 1}, "its token_type is 'int', not 'Bearer'"),
            ({"access_token": "a", "expires_in": "soon"}, "expires_in must be a number"),
            ({"access_token": "a", "expires_in": "9" * 21}, "expires_in must be a number"),
            ({"access_token": "a", "expires_in": -1}, "expires_in must not be negative"),
            ({"access_token": "a", "expires_in": float("nan")}, "expires_in must not be negative"),
            ({"access_token": "a", "expires_in": []}, "expires_in must be a number"),
        ],
    )
    def test_errors(self, answer: dict[str, Any], message: str) -> None:
        """They say what the server said, or what is wrong with it, and do not show a token."""
        with pytest.raises(OAuth2Error, match=message) as caught:
            BearerToken.from_oauth2(answer)
        assert "cret" not in str(caught.value)
        assert caught.value.error in [answer.get("error"), "an error without a code"]

    def test_a_long_description_is_cut(self) -> None:
        """What a server sends is bounded before it comes into a log."""
        with pytest.raises(OAuth2Error) as caught:
            BearerToken.from_oauth2({"error": "x" * 10_000, "error_description": "y" * 10_000})
        assert len(str(caught.value)) < 1000
        assert pickle.loads(pickle.dumps(caught.value)).description == caught.value.description

    @pytest.mark.parametrize("answer", [None, "token", ["access_token", "abc"]])
    def test_what_is_no_object(self, answer: Any) -> None:
        """A list is no answer of a token endpoint."""
        with pytest.raises(TypeError, match="answer must be a mapping, not"):
            BearerToken.from_oauth2(answer)
