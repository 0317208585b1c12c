"""Whether JSON fits a schema of an OpenAPI 3.1 document: the part of JSON Schema that the document uses."""

from __future__ import annotations

import re
from typing import Any, Final

_TYPES: Final[dict[str, tuple[type, ...]]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_SAID_ELSEWHERE: Final = frozenset({"description", "examples", "default", "format", "title"})


class Misfit(AssertionError):
    """A value does not fit its schema; the message says where and why."""


class Schemas:
    """Checks values against the schemas of one document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self._document = document

    def resolve(self, node: dict[str, Any]) -> dict[str, Any]:
        """Follow ``$ref`` as long as there is one. Raises ``KeyError`` for one that leads nowhere."""
        while "$ref" in node:
            found: Any = self._document
            for part in node["$ref"].removeprefix("#/").split("/"):
                found = found[part.replace("~1", "/").replace("~0", "~")]
            node = found
        return node

    def check(self, value: object, schema: dict[str, Any], where: str = "$") -> None:
        """Raise :class:`Misfit` unless ``value`` fits."""
        for keyword, said in self.resolve(schema).items():
            if keyword not in _SAID_ELSEWHERE:
                getattr(self, "_" + keyword.lower())(value, said, where, self.resolve(schema))

    def fits(self, value: object, schema: dict[str, Any]) -> bool:
        try:
            self.check(value, schema)
        except Misfit:
            return False
        return True

    def _type(self, value: object, said: str | list[str], where: str, schema: dict[str, Any]) -> None:
        names = [said] if isinstance(said, str) else said
        allowed = tuple(kind for name in names for kind in _TYPES[name])
        _expect(isinstance(value, allowed) and (bool in allowed or not isinstance(value, bool)), where, f"is no {said}")

    def _enum(self, value: object, said: list[object], where: str, schema: dict[str, Any]) -> None:
        _expect(value in said, where, f"is none of {said}")

    def _const(self, value: object, said: object, where: str, schema: dict[str, Any]) -> None:
        _expect(value == said, where, f"is not {said}")

    def _pattern(self, value: object, said: str, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, str) or re.search(said, value) is not None, where, f"does not match {said}")

    def _minlength(self, value: object, said: int, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, str) or len(value) >= said, where, f"is shorter than {said}")

    def _maxlength(self, value: object, said: int, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, str) or len(value) <= said, where, f"is longer than {said}")

    def _minimum(self, value: object, said: float, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, int | float) or value >= said, where, f"is less than {said}")

    def _maximum(self, value: object, said: float, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, int | float) or value <= said, where, f"is more than {said}")

    def _minitems(self, value: object, said: int, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, list) or len(value) >= said, where, f"has fewer than {said} entries")

    def _maxitems(self, value: object, said: int, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, list) or len(value) <= said, where, f"has more than {said} entries")

    def _minproperties(self, value: object, said: int, where: str, schema: dict[str, Any]) -> None:
        _expect(not isinstance(value, dict) or len(value) >= said, where, f"has fewer than {said} fields")

    def _items(self, value: object, said: dict[str, Any], where: str, schema: dict[str, Any]) -> None:
        for index, each in enumerate(value if isinstance(value, list) else []):
            self.check(each, said, f"{where}[{index}]")

    def _required(self, value: object, said: list[str], where: str, schema: dict[str, Any]) -> None:
        missing = [name for name in said if isinstance(value, dict) and name not in value]
        _expect(not missing, where, f"lacks {missing}")

    def _properties(self, value: object, said: dict[str, Any], where: str, schema: dict[str, Any]) -> None:
        for name, content in value.items() if isinstance(value, dict) else ():
            if name in said:
                self.check(content, said[name], f"{where}.{name}")

    def _additionalproperties(self, value: object, said: bool, where: str, schema: dict[str, Any]) -> None:
        assert said is False, "the document only ever closes objects"
        unknown = [name for name in value if name not in schema["properties"]] if isinstance(value, dict) else []
        _expect(not unknown, where, f"has {unknown}, which the schema does not know")

    def _oneof(self, value: object, said: list[dict[str, Any]], where: str, schema: dict[str, Any]) -> None:
        fitting = sum(self.fits(value, each) for each in said)
        _expect(fitting == 1, where, f"fits {fitting} of the alternatives instead of one")


def _expect(good: bool, where: str, problem: str) -> None:
    if not good:
        raise Misfit(f"{where} {problem}")
