"""The tests that need a server, over every server that is here."""
