"""The reference page of the log lines, made from their rows."""

from __future__ import annotations

from gateway.logs.actions import ACTIONS, Action

_HEAD = """\
# Log lines

A node writes to stderr, one line per event in its life; with `GATEWAY_LOG_LEVEL=debug` also two per stream, which come
in storms: at `info` they made a connect a fifth dearer. There is none per published event, and never a payload, a
channel, a subject, an address, a token, a ticket or a query string.

`GATEWAY_LOG_FORMAT=text` is for people:

```
2026-11-21T12:00:00.123Z debug   stream.closed connection=Xq3… dialect=native reason=client_gone seconds=12.3 bytes=4711
```

`GATEWAY_LOG_FORMAT=json` is for programs, one object per line:

```json
{"time": "2026-11-21T12:00:00.123Z", "level": "debug", "logger": "gateway.stream", "action": "stream.closed", \
"connection": "Xq3…", "dialect": "native", "reason": "client_gone", "seconds": 12.3, "bytes": 4711}
```

| key | |
|---|---|
| `time` | ISO 8601, UTC, with milliseconds |
| `level` | `debug`, `info`, `warning`, `error` |
| `logger` | the part of the program |
| `action` | what happened, one of the names below; they stay as they are |
| the fields of the action | numbers are numbers |
| `message` | further words, where there are any |
| `traceback` | where there is one |

Lines are bounded: a message to 8 KiB, a field to 1 KiB, a traceback to 16 KiB. So is their number: of one kind of
warning or error 20 are written in 10 s, and `log.suppressed` says with a later line, at the latest at the end, how many
were kept back. The lines of streams are bounded by `GATEWAY_CONNECT_RATE_PER_S`.

This page is generated: `python -m gateway.reference logs > docs/reference/logs.md`.

| action | level | fields | meaning |
|---|---|---|---|
"""


def reference() -> str:
    """The page as Markdown."""
    return _HEAD + "".join(_line(action) for action in ACTIONS)


def _line(action: Action) -> str:
    fields = " ".join(f"`{field}`" for field in action.fields) or "–"
    return f"| `{action.name}` | {action.level} | {fields} | {action.meaning} |\n"
