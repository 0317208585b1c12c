"""Numbers that the documentation takes from the code are the code's, and CONTRIBUTING knows the folders."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

import pytest

from gateway import disconnects, exceptions, limits, reconciler, serving
from gateway.auth import jwks, revocations, tickets
from gateway.bench import text
from gateway.broker import history, pubsub_connection, pulse
from gateway.fanout import sse
from gateway.http import body
from gateway.logs import output, records
from gateway.presence import presence
from gateway.routes import jobs
from gateway.settings.settings import Settings
from gateway.sockets import allowance, body_room, crowd, file_limit, peer, requests, turns
from publisher import channels, jsontext
from publisher.core import options

ROOT: Final = Path(__file__).parents[2]
KIB: Final = 1024


def lua(script: str, name: str) -> int:
    """A constant of one of the publisher's scripts."""
    found = re.search(
        rf"^local {name} = (\d+)", (ROOT / f"publisher/redis/scripts/{script}.lua").read_text("utf-8"), re.M
    )
    assert found, name
    return int(found[1])


SENTENCES: Final = [
    ("docs/explanation/how-it-works.md", r"hash that lives for (\d+) seconds unless", presence.LEASE_S),
    ("docs/howto/publish-from-workers.md", r"count for up to (\d+) seconds more", presence.LEASE_S),
    ("docs/howto/monitor.md", r"cluster's figures within (\d+) s\.", presence.LEASE_S),
    ("docs/explanation/failure-modes.md", r"presence\) is gone within (\d+) seconds", presence.LEASE_S),
    ("docs/reference/redis-keys.md", r"A lease lasts (\d+) seconds", presence.LEASE_S),
    ("docs/reference/redis-keys.md", r"renewed every (\d+)\.", presence.RENEW_S),
    ("docs/howto/use-the-pages.md", r"own are up to (\d+) s old", presence.RENEW_S),
    ("docs/reference/metrics.md", r"nothing has arrived for (\d+) s;", pubsub_connection.SILENT_S),
    ("docs/howto/deploy-behind-a-proxy.md", r"come back in (\d+) to \d+ s", exceptions.REFUSAL_RETRY_S[0]),
    ("docs/howto/deploy-behind-a-proxy.md", r"come back in \d+ to (\d+) s", exceptions.REFUSAL_RETRY_S[1]),
    ("docs/howto/publish-from-workers.md", r"tries within about (\d+) s", options.DIRECT_S),
    ("docs/howto/publish-from-workers.md", r"`buffer_bytes` \((\d+) MiB\)", options.BUFFER_BYTES / KIB**2),
    ("docs/reference/logs.md", r"a message to (\d+) KiB", output.MAX_MESSAGE / KIB),
    ("docs/reference/logs.md", r"a field to (\d+) KiB", records.MAX_VALUE / KIB),
    ("docs/reference/logs.md", r"a traceback to (\d+) KiB", output.MAX_TRACEBACK / KIB),
    ("docs/explanation/how-it-works.md", r"channels are compared every (\d+) seconds", reconciler.COMPARE_EVERY_S),
    ("docs/reference/http-api.md", r"the head was not complete within (\d+) s", requests.HEAD_TIMEOUT_S),
    ("docs/reference/http-api.md", r"or the body within (\d+) s", body.BODY_TIMEOUT_S),
    ("docs/reference/http-api.md", r"the body is over (\d+) MiB", body.MAX_BODY_BYTES / KIB**2),
    ("docs/reference/http-api.md", r"`POST /v1/tickets`: (\d+) KiB", body.SMALL_BODY_BYTES / KIB),
    ("docs/reference/http-api.md", r"\(first line and headers\) is over (\d+) KiB", allowance.MAX_HEAD_BYTES / KIB),
    ("docs/reference/http-api.md", r"more than (\d+) headers or parameters", allowance.MAX_HEADERS),
    ("docs/reference/http-api.md", r"at most \d+ MiB and (\d+) levels deep", jsontext.MAX_DEPTH),
    ("docs/reference/http-api.md", r"`\?limit=` is 1 to (\d+), \d+ where", jobs.MAX_LISTED),
    ("docs/reference/http-api.md", r"`\?limit=` is 1 to \d+, (\d+) where", jobs.DEFAULT_LISTED),
    ("docs/reference/http-api.md", r"ends early once it is longer than (\d+) MiB", jobs.LIST_BYTES / KIB**2),
    ("docs/reference/http-api.md", r"`id` \| 1 to (\d+) printable characters", channels.MAX_OWN_ID_LENGTH),
    ("docs/reference/http-api.md", r"within (\d+) minutes is not published", lua("append", "IDEMPOTENCY_S") / 60),
    ("docs/reference/http-api.md", r"and lasts (\d+) minutes", tickets.MAX_TTL_S / 60),
    ("docs/reference/http-api.md", r"with 1 to (\d+) channels that the caller", tickets.MAX_CHANNELS),
    ("docs/reference/http-api.md", r"`retry:` with (\d+) to \d+ s", exceptions.REFUSAL_RETRY_S[0]),
    ("docs/reference/http-api.md", r"`retry:` with \d+ to (\d+) s", exceptions.REFUSAL_RETRY_S[1]),
    ("docs/reference/http-api.md", r"which is up to (\d+) s ago", presence.RENEW_S),
    ("docs/howto/size-a-node.md", r"`GATEWAY_QUEUE_BYTES` \((\d+) MiB\)", Settings().queue_bytes / KIB**2),
    ("docs/howto/size-a-node.md", r"\. ([\d,]+) is chosen so that", Settings().max_connections),
    ("docs/howto/size-a-node.md", r"\| ([\d,]+) \(the default since Linux", serving.BACKLOG),
    ("docs/howto/size-a-node.md", r"up to (\d+) KiB for one whose client", 2 * serving.SEND_BUFFER / KIB),
    ("docs/howto/size-a-node.md", r"shown from ([\d,]+) deliveries", text.ENOUGH),
    ("docs/reference/http-api.md", r"or (\d+) MiB of bodies are under way", body_room.ROOM_BYTES / KIB**2),
    ("docs/reference/http-api.md", r"with more than (\d+) idle ones", crowd.PER_ADDRESS),
    ("docs/reference/http-api.md", r"idle ones: up to (\d+) a second", crowd.REPLACED_PER_S),
    ("docs/reference/http-api.md", r"(\d+) MiB with \d+ KiB around it may still", allowance.MAX_CONTENT_BYTES / KIB**2),
    ("docs/reference/http-api.md", r"with (\d+) KiB around it may still come", allowance.MAX_LATE_FRAMING_BYTES / KIB),
    ("docs/reference/http-api.md", r"a chunk extension of up to (\d+) bytes", peer.MAX_EXTENSION),
    ("docs/reference/http-api.md", r"around its content over (\d+) KiB", allowance.MAX_FRAMING_BYTES / KIB),
    ("docs/explanation/security.md", r"is at most (\d+) KiB beside the head", allowance.MAX_FRAMING_BYTES / KIB),
    ("docs/explanation/security.md", r"a connection is heard for (\d+) KiB", requests.SLICE_BYTES / KIB),
    ("docs/explanation/security.md", r"(\d+) headers, \d+ parameters", allowance.MAX_HEADERS),
    ("docs/explanation/security.md", r"\d+ headers, (\d+) parameters", allowance.MAX_PARAMETERS),
    ("docs/explanation/security.md", r"parameters, (\d+) KiB, else 431", allowance.MAX_HEAD_BYTES / KIB),
    ("docs/explanation/security.md", r"(\d+) s and \d+ s, else 408", requests.HEAD_TIMEOUT_S),
    ("docs/explanation/security.md", r"\d+ s and (\d+) s, else 408", body.BODY_TIMEOUT_S),
    ("docs/explanation/security.md", r"(\d+) KiB for tickets", body.SMALL_BODY_BYTES / KIB),
    ("docs/explanation/security.md", r"(\d+) MiB and \d+ KiB of framing", allowance.MAX_CONTENT_BYTES / KIB**2),
    ("docs/explanation/security.md", r"MiB and (\d+) KiB of framing", allowance.MAX_LATE_FRAMING_BYTES / KIB),
    ("docs/explanation/security.md", r"(\d+) MiB for all bodies under way", body_room.ROOM_BYTES / KIB**2),
    ("docs/explanation/security.md", r"(\d+) of one address or /64", crowd.PER_ADDRESS),
    ("docs/explanation/security.md", r"which replaces (\d+) a second", crowd.REPLACED_PER_S),
    ("docs/explanation/security.md", r"hears (\d+) clients, each after", turns.CLIENTS),
    ("docs/explanation/security.md", r"fewer clients are heard, down to (\d+)", turns.FEWEST),
    ("docs/explanation/security.md", r"turn that took more than (\d+) ms", turns.TURN_S * 1000),
    ("docs/explanation/security.md", r"(\d+) new streams a second, of which", Settings().connect_rate_per_s),
    ("docs/explanation/security.md", r"(\d+) calls of one user at once", limits.CALLS_AT_ONCE),
    ("docs/explanation/security.md", r"states are read (\d+) KiB at a time", history.STEP_BYTES / KIB),
    ("docs/explanation/security.md", r"it is taken, (\d+) KiB of states at a time", history.STEP_BYTES / KIB),
    ("docs/explanation/security.md", r"backs off to (\d+) s", pubsub_connection.MAX_BACKOFF_S),
    ("docs/explanation/security.md", r"503 within ([\d.]+) s", pulse.FRESH_S + pulse.PATIENCE_S),
    ("docs/explanation/security.md", r"For at most its (\d+) minutes", tickets.MAX_TTL_S / 60),
    ("docs/explanation/security.md", r"first token that comes after (\d+) minutes", jwks.MAX_AGE_S / 60),
    ("docs/explanation/security.md", r"at most every (\d+) seconds\. That first", jwks.PAUSE_S),
    ("docs/explanation/security.md", r"kept in Redis \((\d+) hours", disconnects.KEEP_MS / 3_600_000),
    ("docs/explanation/security.md", r"the newest ([\d,]+)\)", revocations.MAX_SUBJECTS),
    ("docs/explanation/security.md", r"and waits up to (\d+) s for all their answers", disconnects.ANSWER_S),
    ("docs/reference/dialects.md", r"is at most (\d+) KiB unless", sse.MAX_CHUNK / KIB),
]
"""A file, a sentence of it with one number, and the number."""

DEAF_S: Final = pubsub_connection.SILENT_S + pubsub_connection.PROBE_TIMEOUT_S + pubsub_connection.TICK_S
KILLED_S: Final = presence.LEASE_S + presence.RETRY_S
FILES: Final = file_limit.OWN_FILES + file_limit.COMING + file_limit.SPARE_SOCKETS

BOUNDS: Final = [
    ("docs/explanation/failure-modes.md", r"at the latest (\d+) s after the last sign of life", DEAF_S, 2),
    ("docs/explanation/security.md", r"does not know it for up to (\d+) s\.", DEAF_S, 2),
    ("docs/reference/http-api.md", r"of a node that was killed within (\d+) s", KILLED_S, 2),
    ("docs/howto/size-a-node.md", r"files = N \+ ([\d,]+)", FILES, 9),
    ("docs/howto/size-a-node.md", r"`GATEWAY_MAX_CONNECTIONS` \+ ([\d,]+)", FILES, 9),
]
"""The same for what is promised as a bound: what it is at the longest, and what may be added to make it round."""


@pytest.mark.parametrize(("file", "sentence", "value"), SENTENCES, ids=lambda part: str(part)[-30:])
def test_a_number_is_the_codes(file: str, sentence: str, value: float) -> None:
    assert set(told(file, sentence)) == {value}, f"{file}: {sentence}"


@pytest.mark.parametrize(("file", "sentence", "longest", "more"), BOUNDS, ids=lambda part: str(part)[-30:])
def test_a_bound_is_kept_and_not_far_away(file: str, sentence: str, longest: float, more: float) -> None:
    assert all(longest <= number <= longest + more for number in told(file, sentence)), f"{file}: {sentence}"


def told(file: str, sentence: str) -> list[float]:
    """The numbers at this place of a sentence; where it stands several times, all of them."""
    found = re.findall(sentence, " ".join((ROOT / file).read_text("utf-8").split()))
    assert found, f"{file} has no sentence like {sentence!r} any more: change this table with it."
    return [float(number.replace(",", "")) for number in found]


def test_the_sentences_of_the_socket_say_its_limits() -> None:
    text = Path(requests.__file__).read_text("utf-8")
    assert f"within {requests.HEAD_TIMEOUT_S:g} seconds" in text
    head, framing, content = (excess.value[1].decode() for excess in allowance.Excess)
    assert f"larger than {allowance.MAX_HEAD_BYTES // KIB} KiB" in head
    assert f"{allowance.MAX_HEADERS} lines or {allowance.MAX_PARAMETERS} parameters" in head
    assert f"larger than {allowance.MAX_FRAMING_BYTES // KIB} KiB" in framing
    assert f"larger than {allowance.MAX_CONTENT_BYTES // KIB**2} MiB" in content


def test_contributing_names_every_folder_of_tests_and_the_reference_command() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text("utf-8")
    folders = [path.name for path in (ROOT / "tests").iterdir() if path.is_dir() and path.name[0] not in "._"]
    assert [name for name in folders if f"`tests/{name}/`" not in text] == []
    assert re.search(r"python -m gateway\.reference [A-Z]+`", text)
