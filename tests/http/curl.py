"""Reads the curl commands that pages and docs show, so that tests can send what a reader would."""

from __future__ import annotations

import shlex


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
            elif word == "-N":
                self.endless = True
            else:
                assert not word.startswith("-") and not self.url, f"an option that is not known here: {word}"
                self.url = word
