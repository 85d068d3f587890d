"""What all reproductions have in common."""

SUFFIX = "-reproduced"
"""Of the name of what is trained again."""


class NotTheSame(Exception):
    """What would be trained differs from what was trained; the message says in what."""
