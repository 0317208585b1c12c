"""Empty tasks in five queues, with and without reporting: for each queue a module that its worker loads, and that
queues them.

With ``EVENTS_URL`` in the environment the integration is switched on, and tasks are queued for somebody.
"""
