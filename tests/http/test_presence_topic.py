"""What nodes say on the topic of presence, nobody else can say."""

from __future__ import annotations

from tests.http.api import Api


def event(channel: str, type: str) -> dict[str, object]:
    return {"channel": channel, "type": type, "data": {"client_id": "ann", "connections": 1}}


async def test_the_nodes_own_words_are_refused_on_their_topic(api: Api) -> None:
    forged = event("topic:presence", "presence.left")
    answer = await api.call("POST", "/v1/events", scope="admin", data=forged)
    assert answer.status == 400 and "nodes' own words" in answer.json["error"]["message"]
    answer = await api.call("POST", "/v1/events", scope="admin", data=[event("topic:presence", "note"), forged])
    assert answer.status == 400 and answer.json["error"]["message"].startswith("Event 1: ")


async def test_other_words_there_and_the_same_words_elsewhere_are_everybodys(api: Api, name: str) -> None:
    allowed = [event("topic:presence", "note"), event(f"topic:{name}", "presence.left")]
    assert (await api.call("POST", "/v1/events", scope="publish", data=allowed)).status == 200
