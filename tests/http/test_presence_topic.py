"""What nodes say on the topic of presence, nobody else can say."""

from __future__ import annotations

from tests.http.api import Api


def event(channel: str, type: str) -> dict[str, object]:
    return {"channel": channel, "type": type, "data": {"client_id": "ann", "connections": 1}}


async def test_nothing_is_taken_from_outside_on_the_nodes_own_topic(api: Api) -> None:
    """Not other types either: an id of one's own could be that of a word which would then not be told."""
    forged = event("topic:presence", "presence.left")
    answer = await api.call("POST", "/v1/events", scope="admin", data=forged)
    assert answer.status == 400 and "only the nodes speak" in answer.json["error"]["message"]
    fair, note = event("topic:other", "note"), event("topic:presence", "note")
    answer = await api.call("POST", "/v1/events", scope="admin", data=[fair, note])
    assert answer.status == 400 and answer.json["error"]["message"].startswith("Event 1: ")


async def test_the_same_words_elsewhere_are_everybodys(api: Api, name: str) -> None:
    allowed = event(f"topic:{name}", "presence.left")
    assert (await api.call("POST", "/v1/events", scope="publish", data=allowed)).status == 200
