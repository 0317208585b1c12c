"""What only ``dev`` has: tokens for everybody, jobs to watch, and a worker that does as if it worked."""
