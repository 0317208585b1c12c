"""Reading JSON objects from outside."""

from __future__ import annotations

import pytest

from gateway.exceptions import BadRequest
from gateway.http.validation import ANY, LIST, NUMBER, OBJECT, TEXT, fields

KNOWN = {"name": TEXT, "size": NUMBER, "more": OBJECT, "all": LIST, "data": ANY}


@pytest.mark.parametrize(
    "value", [{}, {"name": "x"}, {"size": 1}, {"size": 1.5}, {"more": {}, "all": []}, {"data": None}, {"data": [1]}]
)
def test_a_good_object_comes_back_as_it_is(value: dict[str, object]) -> None:
    assert fields("It", value, KNOWN) == value


def test_null_counts_as_left_out_except_where_anything_may_stand() -> None:
    assert fields("It", {"name": None, "data": None}, KNOWN) == {"data": None}


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ([], "It must be an object with name, size, more, all, data, not a list."),
        (None, "It must be an object with name, size, more, all, data, not null."),
        ({"nam": 1}, "It has an unknown field 'nam'; did you mean name? Known are name, size, more, all, data."),
        ({"x\n": 1}, "It has an unknown field 'x\\n'; known are name, size, more, all, data."),
        ({"name": 1}, "It: name must be text, not a number."),
        ({"size": "1"}, "It: size must be a number, not text."),
        ({"size": True}, "It: size must be a number, not true or false."),
        ({"more": []}, "It: more must be an object, not a list."),
        ({"all": {}}, "It: all must be a list, not an object."),
    ],
)
def test_a_bad_object_is_refused_with_what_is_wrong(value: object, sentence: str) -> None:
    with pytest.raises(BadRequest) as caught:
        fields("It", value, KNOWN)
    assert caught.value.sentence == sentence


def test_a_missing_field_is_named() -> None:
    with pytest.raises(BadRequest, match=r"It needs the field name\."):
        fields("It", {"name": None}, KNOWN, ("name",))


def test_a_long_name_is_not_repeated_in_full() -> None:
    with pytest.raises(BadRequest) as caught:
        fields("It", {"é" * 100_000: 1}, KNOWN)
    assert len(caught.value.sentence) < 200
