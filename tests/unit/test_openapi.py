"""The description of the API says what the application has, and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any, cast

import pytest
from starlette.applications import Starlette
from starlette.routing import Route

from gateway.app import create_app
from gateway.http import openapi
from gateway.node import Node
from gateway.routes import events, jobs
from gateway.settings.settings import Settings
from publisher import channels as names
from publisher.job import Job
from tests.support.json_schema import Schemas

DOCUMENT: dict[str, Any] = json.loads(openapi.document("1.2.3"))
SCHEMAS = Schemas(DOCUMENT)
METHODS = ("get", "post", "patch", "delete", "put")


async def _app(mercure: bool) -> Starlette:
    node = Node(Settings(jwt_key="0123456789" * 4, mercure=mercure), version="1.2.3", on_crash=lambda: None)
    try:
        return create_app(node)
    finally:
        await node.close()


def _app_routes(mercure: bool) -> Iterator[tuple[str, str]]:
    for route in asyncio.run(_app(mercure)).routes:
        path = re.sub(r"\{(\w+)(:\w+)?\}", r"{\1}", cast(Route, route).path)
        for method in cast(Route, route).methods or ():
            if method != "HEAD":
                yield method.lower(), path


def _operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, item in DOCUMENT["paths"].items():
        for method in METHODS:
            if method in item:
                yield method, path, {**item[method], "parameters": _parameters(item, method)}


def _parameters(item: dict[str, Any], method: str) -> list[dict[str, Any]]:
    return [SCHEMAS.resolve(each) for each in (*item.get("parameters", ()), *item[method].get("parameters", ()))]


def _nodes(value: object) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        yield value
    for each in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from _nodes(each)


@pytest.mark.parametrize("mercure", [False, True])
def test_every_route_is_described_and_every_described_route_is_there(mercure: bool) -> None:
    described = json.loads(openapi.document("1.2.3", mercure=mercure))["paths"]
    operations = {(method, path) for path, item in described.items() for method in item.keys() & set(METHODS)}
    assert operations == set(_app_routes(mercure))


def test_every_reference_leads_somewhere_and_every_component_is_used() -> None:
    used = {node["$ref"] for node in _nodes(DOCUMENT) if "$ref" in node}
    for reference in used:
        SCHEMAS.resolve({"$ref": reference})
    parts = {
        f"#/components/{kind}/{name}"
        for kind, all_of_them in DOCUMENT["components"].items()
        if kind != "securitySchemes"
        for name in all_of_them
    }
    assert parts - used == {"#/components/schemas/Envelope"}


def test_every_operation_has_a_name_a_summary_and_declared_path_parameters() -> None:
    operation_ids = [operation["operationId"] for _, _, operation in _operations()]
    assert len(operation_ids) == len(set(operation_ids))
    tags = {tag["name"] for tag in DOCUMENT["tags"]}
    for _, path, operation in _operations():
        declared = {each["name"] for each in operation["parameters"] if each["in"] == "path"}
        assert declared == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"].endswith(".")
        assert set(operation["tags"]) <= tags
        assert all(each.get("required") for each in operation["parameters"] if each["in"] == "path")


def test_every_operation_says_who_may_use_it() -> None:
    known = set(DOCUMENT["components"]["securitySchemes"])
    for _, path, operation in _operations():
        assert {name for choice in operation["security"] for name in choice} <= known, path
        if operation["security"] and "requestBody" in operation:
            assert {} not in operation["security"], path


def test_the_version_is_the_nodes() -> None:
    assert DOCUMENT["info"]["version"] == "1.2.3"


def test_a_job_fits_its_schema() -> None:
    answer = Job("j", "k", chat="c", text="t", parts=[{"type": "text", "text": "t"}])
    for job in (Job("j", "k"), answer):
        SCHEMAS.check(job.as_dict(), {"$ref": "#/components/schemas/Job"})
    assert set(answer.as_dict()) == set(DOCUMENT["components"]["schemas"]["Job"]["properties"])


@pytest.mark.parametrize(
    ("schema", "fields"),
    [
        ("NewJob", jobs.NEW_JOB),
        ("JobChanges", jobs.CHANGES),
        ("Item", jobs.ITEM),
        ("JobError", jobs.ERROR),
        ("NewEvent", events.EVENT),
    ],
)
def test_a_schema_has_the_fields_that_the_code_reads(schema: str, fields: dict[str, Any]) -> None:
    assert set(DOCUMENT["components"]["schemas"][schema]["properties"]) == set(fields)


@pytest.mark.parametrize("text", ["a", "job:42", "a b", "", "x" * 201, "{x}", "a,b", "client:", "topic:é", "broadcast"])
def test_the_patterns_agree_with_the_names_on_the_wire(text: str) -> None:
    for schema, check in (("Id", names.check_id), ("Channel", names.check_channel), ("OwnType", names.check_own_type)):
        try:
            allowed = check(text) == text
        except ValueError:
            allowed = False
        assert SCHEMAS.fits(text, {"$ref": f"#/components/schemas/{schema}"}) == allowed, schema


def test_two_parts_cannot_say_the_same_thing() -> None:
    with pytest.raises(ValueError, match="what a is"):
        openapi._merge({"a": 1}, {"a": 2})
