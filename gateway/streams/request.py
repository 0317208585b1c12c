"""What a stream's route reads of its request."""

from __future__ import annotations

from typing import Any, Final

from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.types import Scope


class PlainQuery(QueryParams):
    """Names and values that stand in a query as they are meant. Starlette makes six lists and dictionaries of them."""

    def __init__(self, text: str) -> None:
        pairs = [part.partition("=") for part in text.split("&") if part]
        self._list = [(name, value) for name, _, value in pairs]
        self._dict = dict(self._list)

    def get(self, key: str, default: Any = None) -> Any:
        return self._dict.get(key, default)  # that of a Mapping raises and catches an error where there is nothing


NO_QUERY: Final = PlainQuery("")


class StreamRequest(Request):
    """Without a body, which streams have not. The query is taken apart once, where there is one."""

    query_params: QueryParams = NO_QUERY

    def __init__(self, scope: Scope) -> None:
        self.scope = scope
        query: bytes = scope["query_string"]
        if query:
            plain = b"%" not in query and b"+" not in query
            self.query_params = PlainQuery(query.decode("latin-1")) if plain else QueryParams(query)

    def header(self, name: bytes) -> str | None:
        """The first of this name, which is lower case."""
        for found, value in self.scope["headers"]:
            if found == name:
                text: str = value.decode("latin-1")
                return text
        return None
