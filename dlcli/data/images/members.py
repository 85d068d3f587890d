"""Images in a shard: parts of a tar file that are read by their place in it, in any order."""

import os
from typing import NamedTuple

from dlcli.data.images.scan_index import Checked
from dlcli.files import BadFile, open_file


class Member(NamedTuple):  # a dataclass takes four times as long to make
    """An image file in a tar file, which was decoded once when it was packed."""

    shard: str
    """The path of the tar file."""
    name: str
    """Of the image in it."""
    offset: int
    """Of its first byte in the tar file."""
    num_bytes: int
    checked: Checked
    """What decoding showed."""

    def __fspath__(self) -> str:
        return os.path.join(self.shard, self.name)

    def __str__(self) -> str:
        return os.fspath(self)

    def read(self) -> bytes:
        """Its bytes.

        Raises:
            BadFile: the tar file cannot be opened, or is shorter than it was.
        """
        with open_file(self.shard) as file:
            try:
                file.seek(self.offset)
                data = file.read(self.num_bytes)
            except OSError as error:
                raise BadFile(f"cannot be read ({error.strerror})") from None
        if len(data) < self.num_bytes:
            raise BadFile("the shard is truncated")
        return data
