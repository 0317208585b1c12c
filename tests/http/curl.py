"""Reads the curl commands that pages and docs show, so that tests can send what a reader would."""

from __future__ import annotations

import shlex
from urllib.parse import quote_plus


class Curl:
    """As much of curl's command line as the examples use."""

    def __init__(self, line: str) -> None:
        words = iter(shlex.split(line)[1:])
        self.method, self.url, self.body, self.endless = "GET", "", b"", False
        self.headers: dict[str, str] = {}
        for word in words:
            if word == "-X":
                self.method = next(words)
            elif word == "-H":
                name, _, value = next(words).partition(": ")
                self.headers[name] = value
            elif word == "-d":
                self.method, self.body = self.method.replace("GET", "POST"), next(words).encode()
            elif word == "--data-urlencode":
                name, _, value = next(words).partition("=")
                self.method = self.method.replace("GET", "POST")
                self.body += (b"&" if self.body else b"") + f"{name}={quote_plus(value)}".encode()
                self.headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
            elif word == "-N":
                self.endless = True
            else:
                assert not word.startswith("-") and not self.url, f"an option that is not known here: {word}"
                self.url = word
