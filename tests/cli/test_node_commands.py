"""The commands that ask a node: jobs, stats, clients, disconnect; and what they have in common."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable

import pytest

from publisher import Publisher
from tests.support.commands import run
from tests.support.eventsource import EventSource
from tests.support.node import Node
from tests.support.ports import HOST, free_port
from tests.support.tokens import SECRET, token


def test_jobs_are_listed_shown_held_and_cancelled(redis_url: str, prefix: str, start_node: Callable[..., Node]) -> None:
    node = start_node(JOB_WAIT_S="0.1")
    at = ["--gateway", node.base, "--token", token("ann")]
    assert run("jobs", *at).stdout == "There are no jobs of this token's subject.\n"
    with Publisher.from_url(redis_url, prefix=prefix) as pub:
        job = pub.job("a/1", kind="image", owner="ann")
        job.progress(40, stage="render", message="\x1b[31mred")
        pub.create_job("b", kind="image", owner="ann")
        listed = run(*at, "jobs")  # options may stand before the command
        assert (listed.returncode, listed.stderr) == (0, "")
        head, *rows = listed.stdout.splitlines()
        assert head.split() == ["job_id", "kind", "status", "progress", "stage", "message", "age"]
        assert [row.split()[:4] for row in rows] == [["b", "image", "pending", "0"], ["a/1", "image", "active", "40"]]
        assert "\x1b" not in listed.stdout
        more = run("jobs", "--limit", "1", *at)
        assert more.stdout.splitlines()[-1] == "There are older ones; --limit shows up to 200 (now 1)."
        assert [each["job_id"] for each in json.loads(run("jobs", *at, "--json").stdout)["jobs"]] == ["b", "a/1"]
        assert "stage        render\n" in run("jobs", "show", "a/1", *at).stdout
        assert json.loads(run("jobs", "pause", "a/1", "--json", *at).stdout)["paused"] is True
        assert json.loads(run("jobs", "resume", "a/1", "--json", *at).stdout)["paused"] is False
        assert run("jobs", "cancel", "a/1", *at).returncode == 0
        job.log("the worker's next report")
        assert job.cancelled
        foreign = run("jobs", "show", "a/1", "--gateway", node.base, "--token", token("eve"))
        missing = run("jobs", "show", "nowhere", "--gateway", node.base, "--token", token("eve"))
        assert (foreign.returncode, foreign.stderr) == (1, missing.stderr)
        assert foreign.stderr == (
            f"sse-gateway: {node.base} answers 404: There is no such job. One of somebody else is answered alike: "
            "ask with its owner's token, or one with the scope admin.\n"
        )


async def test_who_is_there_is_shown_and_sent_away(start_node: Callable[..., Node]) -> None:
    node = start_node()
    at = ["--gateway", node.base, "--token", token("boss", scope="admin")]
    assert run("clients", *at).stdout == "Nobody is connected.\n"
    async with EventSource(node.base, "/v1/clients/ann/events", token=token("ann")) as source:
        await source.opened()
        head, row = run("clients", *at).stdout.splitlines()
        assert head.split() == ["client", "streams", "nodes"] and row.split()[:2] == ["ann", "1"]
        assert json.loads(run("clients", *at, "--json").stdout)["more"] is False
        stats = run("stats", *at)
        assert stats.stdout.splitlines()[0].split() == ["node", "version", "streams", "clients", "delivered", "up"]
        assert "1 streams of 1 clients on" in stats.stdout
        assert json.loads(run("stats", *at, "--json").stdout)["totals"]["connections"] == 1
        refused = run("stats", "--gateway", node.base, "--token", token("ann"))
        assert refused.returncode == 1 and f"{node.base} answers 403: " in refused.stderr
        assert run("disconnect", "ann", "--revoke", *at).stdout == (
            "1 stream ended. Its tokens and tickets of before are refused.\n"
        )
        await source.stopped.wait()
    assert json.loads(run("disconnect", "ann", "--json", *at).stdout)["disconnected"] == 0


def test_what_is_no_node_is_told(redis_url: str) -> None:
    port = free_port()
    done = run("stats", "--gateway", f"http://{HOST}:{port}")
    assert done.returncode == 1
    assert done.stderr == f"sse-gateway: http://{HOST}:{port} cannot be reached (connection refused); is the node up?\n"
    done = run("stats", "--gateway", redis_url.replace("redis:", "http:"))
    assert done.returncode == 1 and done.stderr.count("\n") == 1


def test_a_token_is_checked_as_a_node_would() -> None:
    made = json.loads(run("token", "--sub", "ann", "--scope", "publish", "--json", JWT_KEY=SECRET).stdout)
    found = run("token", "--check", made["token"], JWT_KEY=SECRET)
    assert found.stdout.splitlines()[:2] == ["A node accepts this token of ann.", "scopes    publish"]
    again = json.loads(run("token", "--check", "-", "--json", stdin=made["token"] + "\n", JWT_KEY=SECRET).stdout)
    assert again == {"sub": "ann", "scope": "publish", "channels": [], "expires_at": made["expires_at"]}
    other = run("token", "--check", made["token"], JWT_KEY=SECRET[::-1])
    assert other.returncode == 1
    assert other.stderr.startswith("sse-gateway: A node refuses this token: ") and made["token"] not in other.stderr


def test_an_events_data_comes_from_a_file_or_stdin(redis_url: str, prefix: str, tmp_path: object) -> None:
    file = f"{tmp_path}/menu.json"
    with open(file, "w") as written:
        written.write('{"soup": "of the day"}')
    for data, stdin in ((f"@{file}", ""), ("-", "[1]")):
        done = run("publish", "topic:menu", "changed", data, stdin=stdin, REDIS_URL=redis_url, REDIS_PREFIX=prefix)
        assert json.loads(done.stdout)["channel"] == "topic:menu", done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_a_shell_completes_commands(shell: str) -> None:
    script = run("completion", shell).stdout
    assert "disconnect" in script and "--last-event-id" in script
    if shell == "bash":
        bash = shutil.which("bash")
        assert bash is not None
        ask = (
            'source /dev/stdin; COMP_WORDS=(sse-gateway dis); COMP_CWORD=1; _shtab_sse_gateway; echo "${COMPREPLY[@]}"'
        )
        done = subprocess.run([bash, "-c", ask], input=script, capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == "disconnect", done.stderr
