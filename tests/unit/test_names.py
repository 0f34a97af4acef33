"""Names and the tokens they become."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tranche.contract.names import NameKind, is_name, rule, split, token, untoken
from tranche.errors import Refused

TOKENS = [
    ("cart", "cart"),
    ("web.0", "web=2E0"),
    ("10.0.0.7:1238", "10=2E0=2E0=2E7=3A1238"),
    ("a b", "a=20b"),
    ("*", "=2A"),
    (">", "=3E"),
    ("a=b", "a=3Db"),
    ("A_b-9", "A_b-9"),
    ("模块", "=E6=A8=A1=E5=9D=97"),
]


@pytest.mark.parametrize(("name", "expected"), TOKENS)
def test_a_name_becomes_one_token_and_comes_back(name: str, expected: str) -> None:
    assert token(name) == expected
    assert untoken(expected) == name


@pytest.mark.parametrize(
    "wrong", ["", "=", "=2", "=2e", "=41", "=FF", "a.b", "a b", "=E6", "é", "\ud800", "=\uff11\uff12"]
)
def test_only_the_one_spelling_is_read(wrong: str) -> None:
    with pytest.raises(ValueError, match="no name's token"):
        untoken(wrong)


def test_an_empty_name_is_no_token() -> None:
    with pytest.raises(ValueError, match="empty"):
        token("")


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1))
def test_every_name_survives_the_way_there_and_back(name: str) -> None:
    assert untoken(token(name)) == name
    assert set(token(name)) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-=")


@given(st.text())
def test_no_token_is_read_two_ways(text: str) -> None:
    try:
        name = untoken(text)
    except ValueError:
        return
    assert token(name) == text


@pytest.mark.parametrize(
    ("kind", "text", "fine"),
    [
        (NameKind.NAMESPACE, "shop", True),
        (NameKind.NAMESPACE, "shop-1", True),
        (NameKind.NAMESPACE, "a" * 63, True),
        (NameKind.NAMESPACE, "a" * 64, False),
        (NameKind.NAMESPACE, "shop.eu", False),
        (NameKind.NAMESPACE, "Shop", False),
        (NameKind.NAMESPACE, "_all", False),
        (NameKind.NAMESPACE, "", False),
        (NameKind.NAME, "cart.v2", True),
        (NameKind.NAME, "cart..v2", False),
        (NameKind.NAME, "cart.", False),
        (NameKind.NAME, "-cart", False),
        (NameKind.NAME, "cart\n", False),
        (NameKind.NAME, "a" * 253, True),
        (NameKind.NAME, "a" * 254, False),
        (NameKind.BASE, "TO_BE_IMPLEMENTED", True),
        (NameKind.BASE, "_base", False),
        (NameKind.POD, "10.0.0.7", True),
        (NameKind.POD, "web/0", False),
        (NameKind.MODULE, "dynamic-provider", True),
        (NameKind.MODULE, "cart:1.0.0", False),
        (NameKind.MODULE, "a" * 64, False),
        (NameKind.MODULE, "кart", False),
    ],
)
def test_which_names_are_allowed(kind: NameKind, text: str, fine: bool) -> None:
    assert is_name(kind, text) is fine


@pytest.mark.parametrize("kind", list(NameKind))
def test_every_kind_has_its_sentence(kind: NameKind) -> None:
    assert rule(kind).startswith("1 to ")


def test_a_name_is_read_with_its_namespace_or_the_default() -> None:
    assert split("shop/cart", "default") == ("shop", "cart")
    assert split("cart", "shop") == ("shop", "cart")


@pytest.mark.parametrize("wrong", ["", "/", "shop/", "/cart", "a/b/c", "Shop/cart", "shop/Cart"])
def test_what_is_no_name_is_refused_with_the_rule(wrong: str) -> None:
    with pytest.raises(Refused, match=r"1 to .* characters.*namespace/name"):
        split(wrong, "default")
