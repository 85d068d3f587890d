"""Quicker tracing of TensorFlow's functions, which takes most of the time of most tests with a network."""


def share_one_stack() -> None:
    """Gives every operation of a graph the same stack of calls, which saves a tenth of the time of tracing or more.

    TensorFlow notes for each operation where it was created, for the message if the operation fails.
    """
    from tensorflow.python.util import tf_stack

    stack = tf_stack.extract_stack()
    tf_stack.extract_stack = lambda stacklevel=1: stack
