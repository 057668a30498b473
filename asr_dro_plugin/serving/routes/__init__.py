"""The routes, a file a kind; each makes a router for a ``Service``."""
