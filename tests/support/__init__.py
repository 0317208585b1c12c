"""Real parts for tests: a broker, a node, a TCP proxy, an EventSource client, tokens. Nothing here fakes our code."""
