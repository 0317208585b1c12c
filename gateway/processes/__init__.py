"""Several nodes on one port: a supervisor, and the processes that it keeps running."""
