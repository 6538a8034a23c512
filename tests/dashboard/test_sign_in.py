"""One-time sign-in links."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from dashboard import sign_in
from dashboard.models import SignInToken

pytestmark = pytest.mark.django_db


def token_of(link: str) -> str:
    return link.rstrip("/").rpartition("/")[2]


def test_a_link_signs_in_the_administrator_once() -> None:
    token = token_of(sign_in.create_link("http://127.0.0.1:8000"))
    user = sign_in.redeem(token)
    assert user is not None and user.username == "admin" and user.is_superuser
    assert not user.has_usable_password()
    assert sign_in.redeem(token) is None


def test_a_second_link_signs_in_the_same_person_and_keeps_a_password_set_meanwhile() -> None:
    first = sign_in.redeem(token_of(sign_in.create_link("http://x")))
    assert first is not None
    first.set_password("a long enough password")
    first.save()
    again = sign_in.redeem(token_of(sign_in.create_link("http://x")))
    assert again == first and again.has_usable_password()


def test_an_expired_link_signs_nobody_in() -> None:
    token = token_of(sign_in.create_link("http://x"))
    SignInToken.objects.update(expires_at=timezone.now() - timedelta(seconds=1))
    assert sign_in.redeem(token) is None


@pytest.mark.parametrize("token", ["", "nonsense", "é", "a" * 10_000])
def test_an_unknown_token_signs_nobody_in(token: str) -> None:
    assert sign_in.redeem(token) is None


def test_the_token_itself_is_not_stored() -> None:
    token = token_of(sign_in.create_link("http://x"))
    assert not SignInToken.objects.filter(token_hash__contains=token).exists()
    assert len(SignInToken.objects.get().token_hash) == 64


def test_old_links_are_cleared_away_when_a_new_one_is_made() -> None:
    sign_in.create_link("http://x")
    SignInToken.objects.update(expires_at=timezone.now() - timedelta(days=1))
    sign_in.create_link("http://x")
    assert SignInToken.objects.count() == 1
