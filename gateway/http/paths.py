"""Ids in paths, exactly as they were sent.

Routing happens on the raw path, so that an id may hold an encoded slash and still be one segment; only then is the
segment decoded, strictly. What is not UTF-8 becomes an id that no check lets through.
"""

from __future__ import annotations

from urllib.parse import quote, unquote

from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Scope


class IdConvertor(Convertor[str]):
    """``{job_id:id}`` in a route: one raw segment, decoded."""

    regex = "[^/]+"

    def convert(self, value: str) -> str:
        return unquote(value, errors="surrogateescape")

    def to_string(self, value: str) -> str:
        return quote(value, safe="")


register_url_convertor("id", IdConvertor())


def raw_path(scope: Scope) -> None:
    """A step that lets the routes see the path as it was sent."""
    scope["path"] = scope["raw_path"].decode("latin-1")
