"""`make stack`: what compose.yaml starts, from plain processes, on the loopback address alone."""
