"""Random changes to the bytes of files, with fixed seeds."""

import numpy as np

ODD = (
    *(b"", b"\x00", b"\xff\xfe", b"\xed\xa0\x80", b"\xe2\x80\xa8", b"\r", b"\n\n", b"\t", b" ", b'"', b"'", b"\\"),
    *(b",", b";", b":", b"-", b"- ", b"[", b"]", b"{", b"}", b"<", b">", b"&a ", b"*a", b"!!python/none ", b"<<: "),
    *(b"null", b"true", b"nan", b"-inf", b"1e999", b"-1", b"0", b"9" * 400, b"0x10", b"1_000", b"../../etc/passwd"),
)
"""What readers of text stumble over: bytes, punctuation, and values of other types."""


def mutated(content: bytes, seed: int) -> bytes:
    """A file's content after one to four random changes: bytes and lines replaced, removed, doubled, moved or cut."""
    generator = np.random.default_rng(seed)
    for _ in range(generator.integers(1, 5)):
        start, end = sorted(generator.integers(0, len(content) + 1, 2))
        end = min(end, start + int(generator.integers(1, 40)))
        match generator.integers(6):
            case 0:
                content = content[:start] + generator.bytes(int(end - start)) + content[end:]
            case 1:
                content = content[:start] + content[end:]
            case 2:
                content = content[:end] + content[start:]
            case 3:
                content = content[:start] + ODD[generator.integers(len(ODD))] + content[end:]
            case 4:
                lines = content.split(b"\n")
                one, other = generator.integers(0, len(lines), 2)
                lines[one] = lines[other]
                content = b"\n".join(lines)
            case _:
                lines = content.split(b"\n")
                number = generator.integers(len(lines))
                cut = lines[number].partition(b":")
                lines[number] = cut[0] + cut[1] + b" " + ODD[generator.integers(len(ODD))]
                content = b"\n".join(lines)
    return content
