"""What all commands have in common: help with examples, and one sentence instead of a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from gateway.cli import COMMANDS
from tests.support.commands import environment, run, run_on_full_disk
from tests.support.node import ROOT
from tests.support.ports import HOST, free_port
from tests.support.tokens import SECRET

DEEP = "cannot be written as JSON" if sys.version_info < (3, 12) else "an integer beyond 64 bits"
"""Since 3.12 Python reads JSON that is nested a thousand times."""


@pytest.mark.parametrize("name", [module.NAME for module in COMMANDS])
def test_every_command_has_help_with_examples_and_takes_a_redis_url(name: str) -> None:
    done = run(name, "--help")
    assert done.returncode == 0
    assert "--redis-url URL" in done.stdout
    assert f"examples:\n  {'' if name != 'serve' else 'GATEWAY'}" in done.stdout
    assert f"sse-gateway {name}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "settings", "sentence"),
    [
        ([], {}, "the following arguments are required: COMMAND"),
        (["fly"], {}, "invalid choice: 'fly'"),
        (["serve"], {}, "There is no key to verify tokens with: set one of GATEWAY_JWT_KEY"),
        (["serve", "--port", "70000"], {}, "must be a port from 1 to 65535"),
        (["serve", "--redis-url", "http://user:hush@x"], {"ANONYMOUS": "read"}, "must be redis://host:port/db"),
        (["serve"], {"ANONYMOUS": "read", "REDIS_URL": "redis://x/0?hush=1"}, "has an option that is not known"),
        (["serve", "--processes", "2"], {"ANONYMOUS": "read", "REDIS_URL": "redis://x/0?db=hush"}, "or a bad value"),
        (["dev", "--redis-url", "redis://x/0?socket_timeout=hush"], {}, "has an option that is not known"),
        (["ticket-key", "show", "--redis-url", "redis://x/0?ssl_cert_reqs=none"], {}, "or a bad value"),
        (["serve", "--host", "203.0.113.7"], {"ANONYMOUS": "read"}, "203.0.113.7 is not an address of this machine"),
        (["serve", "--host", "no such host"], {"ANONYMOUS": "read"}, "is not known here"),
        (["serve"], {"JWT_KEYS": "hush"}, "GATEWAY_JWT_KEYS is not a setting; did you mean GATEWAY_JWT_KEY?"),
        (["dev", "--port", "-1"], {}, "must be a port"),
        (["dev", "--port", "0"], {"HEARTBEAT_S": "hush"}, "GATEWAY_HEARTBEAT_S must be a number of seconds"),
        (["publish", "x"], {}, "An event needs CHANNEL, TYPE and JSON"),
        (["publish", "x", "t", "{}"], {}, "A channel is client:ID, job:ID, user:ID, topic:NAME or broadcast."),
        (["publish", "topic:x", "t", "{hush"], {}, "The data is not JSON"),
        (["publish", "topic:x", "t", f"[{2**64}]"], {}, "is an integer beyond 64 bits"),
        (["publish", "topic:x", "t", "[" * 1000 + f"{2**64}" + "]" * 1000], {}, DEEP),
        (["publish", "topic:x", "job.done", "1"], {}, "belongs to the job calls"),
        (["publish", "-", "t"], {}, "With - everything comes from stdin"),
        (["tail", "nowhere"], {}, "A channel is client:ID"),
        (["tail", "ftp://127.0.0.1/x"], {}, "it must be http://host:port/path"),
        (["tail", "http://127.0.0.1:x/"], {}, "This is not a URL"),
        (["tail", "http://127.0.0.1:8000/a b"], {}, "holds characters that cannot be sent"),
        (["tail", "job:1", "--gateway", "nowhere"], {}, "must be an http:// or https:// URL"),
        (["tail", "127.0.0.1:8000/v1/events"], {}, "if it is an address, write http:// before it"),
        (["tail", "job:1", "http://127.0.0.1:8000/"], {}, "A URL is followed alone"),
        (["tail", "job:1", "-n", "0"], {}, "argument -n/--last: must be"),
        (["tail", "job:1", "-n", "2", "--last-event-id", "x"], {}, "Either --last or --last-event-id"),
        (["tail", *(f"topic:{n}" for n in range(33))], {}, "at most 32 channels"),
        (["jobs", "fly"], {}, "invalid choice: 'fly'"),
        (["jobs", "show"], {}, "needs the id of a JOB"),
        (["jobs", "cancel", "a b"], {}, "without whitespace"),
        (["jobs", "list", "j"], {}, "jobs list takes no JOB"),
        (["disconnect", "a b"], {}, "without whitespace"),
        (["clients", "--limit", "0"], {}, "must be"),
        (["publish", "topic:x", "t", "@/nowhere"], {}, "/nowhere cannot be read: No such file"),
        (["publish", "topic:x", "t", "@/"], {}, "cannot be read: Is a directory"),
        (["token", "--check", "hush"], {"JWT_KEY": SECRET}, "A node refuses this token: "),
        (["token", "--sub", ""], {"JWT_KEY": SECRET}, "The subject must have 1 to 200 characters"),
        (["completion", "fish"], {}, "invalid choice"),
    ],
)
def test_bad_input_is_answered_with_one_sentence(arguments: list[str], settings: dict[str, Any], sentence: str) -> None:
    done = run(*arguments, **settings)
    assert done.returncode in (1, 2)
    assert done.stdout == ""
    assert sentence in done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert "hush" not in done.stderr.replace("{hush", "")


def test_ctrl_c_while_modules_are_loaded_leaves_no_traceback() -> None:
    program = """
import os, signal, sys
class Press:
    def find_spec(self, name, path=None, target=None):
        if name == "gateway.cli":
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Press())
from gateway.__main__ import main
sys.exit(main())
"""
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment(), capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (-signal.SIGINT, "", "")


@pytest.mark.parametrize("command", [["dev", "--port", "0"], ["publish", "topic:a", "t", "1"], ["ticket-key", "show"]])
def test_what_is_wrong_with_the_address_of_redis_is_told_with_the_remedy(command: list[str]) -> None:
    with http_answer() as port:
        done = run(*command, "--redis-url", f"redis://{HOST}:{port}/0")
        assert done.returncode == 1
        assert done.stderr == (
            f"sse-gateway: Redis at {HOST}:{port}: what answers there does not speak Redis's protocol. "
            "Correct the port in GATEWAY_REDIS_URL.\n"
        )
    port = free_port()
    done = run(*command, "--redis-url", f"redis://{HOST}:{port}/0")
    assert done.returncode == 1 and done.stdout == ""
    assert f"Redis at {HOST}:{port}: nothing listens there (connection refused). Start the server" in done.stderr


@contextlib.contextmanager
def http_answer() -> Iterator[int]:
    """The port of something that speaks HTTP."""

    class Answer(BaseHTTPRequestHandler):
        def log_message(self, *args: object) -> None:
            """It says nothing."""

    with ThreadingHTTPServer((HOST, 0), Answer) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("command", ["serve", "dev"])
def test_a_port_in_use_is_told(command: str) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        done = run(command, "--port", str(port), JWT_KEY=SECRET)
    assert done.returncode == 1
    assert done.stderr == (
        f"sse-gateway: Port {port} on {HOST} is in use; stop what listens there, or choose another one with --port.\n"
    )


def test_a_command_whose_reader_has_gone_ends_quietly() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "gateway", "token", "--sub", "ann"],
            cwd=ROOT,
            env=environment({"JWT_KEY": SECRET}),
            stdout=writer,
            stderr=subprocess.PIPE,
            timeout=30,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, b"")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="/dev/full is Linux's")
@pytest.mark.parametrize("arguments", [["--version"], ["token", "--sub", "ann"], ["completion", "bash"]])
def test_output_that_cannot_be_written_is_told_in_one_sentence(arguments: list[str]) -> None:
    done = run_on_full_disk(*arguments, JWT_KEY=SECRET)
    assert (done.returncode, done.stderr) == (
        1,
        "sse-gateway: The output cannot be written: No space left on device.\n",
    )


def test_a_missing_package_is_named_with_the_way_to_get_it() -> None:
    """Who installs only the publisher has the command all the same."""
    program = "import sys; sys.modules['uvicorn'] = None; from gateway.cli import main; sys.exit(main())"
    done = subprocess.run(
        [sys.executable, "-c", program, "serve"],
        cwd=ROOT,
        env=environment({"ANONYMOUS": "read"}),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert done.returncode == 1
    assert done.stderr == (
        "sse-gateway: The package uvicorn is missing; install the node: pip install 'sse-gateway[gateway]'.\n"
    )
