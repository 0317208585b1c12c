"""The reference page of the settings, made from their rows."""

from __future__ import annotations

from gateway.settings.settings import PREFIX, SettingRow, settings_rows

_HEAD = """\
# Settings

Settings are environment variables. A name that begins with `GATEWAY_` and is not in these tables, a value that is out
of range and a combination that cannot work are refused at start, with a sentence that says what would be right. An
empty variable counts as unset.

This page is generated: `python -m gateway.reference settings > docs/reference/settings.md`.
"""


def reference() -> str:
    """The page as Markdown, with a table per group of settings."""
    groups: dict[str, list[str]] = {}
    for name, row in settings_rows():
        groups.setdefault(row.group, []).append(_line(PREFIX + name.upper(), row))
    parts = [_HEAD]
    for title, lines in groups.items():
        parts.append(f"\n## {title}\n\n| name | default | unit | meaning |\n|---|---|---|---|\n" + "".join(lines))
    return "".join(parts)


def _line(name: str, row: SettingRow) -> str:
    default = f"`{row.default}`" if row.default else "–"
    return f"| `{name}` | {default} | {row.unit} | {row.sentence} |\n"
