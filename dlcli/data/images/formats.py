"""The image formats that are read: their names, their suffixes, and how the first bytes of a file tell them apart.

Everything that lists formats, in code and in messages, takes them from here.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Format:
    """A format that is read."""

    name: str
    """As it is written for people."""
    suffixes: tuple[str, ...]


FORMATS = {  # by the name that Pillow has for it
    "JPEG": Format("JPEG", (".jpg", ".jpeg", ".jpe", ".jfif")),
    "PNG": Format("PNG", (".png",)),
    "BMP": Format("BMP", (".bmp",)),
    "GIF": Format("GIF", (".gif",)),
    "WEBP": Format("WebP", (".webp",)),
    "TIFF": Format("TIFF", (".tif", ".tiff")),
    "AVIF": Format("AVIF", (".avif",)),
    "JPEG2000": Format("JPEG 2000", (".jp2", ".j2k", ".jpx", ".j2c", ".jpc", ".jpf")),
    "HEIF": Format("HEIC", (".heic", ".heif")),
}
_names = [image_format.name for image_format in FORMATS.values()]
FORMAT_NAMES = f"{', '.join(_names[:-1])} or {_names[-1]}"  # for messages
IMAGE_SUFFIXES = tuple(suffix for image_format in FORMATS.values() for suffix in image_format.suffixes)
UNSUPPORTED_SUFFIXES = (  # of images too: ignoring them silently would lose samples
    *(".svg", ".jxl", ".tga", ".ppm", ".pgm", ".pbm", ".psd", ".ico", ".exr"),
    *(".dng", ".nef", ".cr2", ".arw", ".dcm"),
)
INSTALL_HEIC = "install the extra `dlcli[heic]` (`pip install pillow-heif`), or convert it to PNG or JPEG"

_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    b"\x89PNG\r\n\x1a\n": "PNG",
    b"BM": "BMP",
    b"GIF87a": "GIF",
    b"GIF89a": "GIF",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"II+\0": "TIFF",  # BigTIFF
    b"MM\0+": "TIFF",
    b"\0\0\0\x0cjP  \r\n\x87\n": "JPEG2000",
    b"\xff\x4f\xff\x51": "JPEG2000",  # a codestream without a container
}
SIGNATURE_BYTES = 64  # that `recognize` needs
_AVIF_BRANDS = {b"avif", b"avis"}  # AVIF 1.2, section 6
_HEIF_BRANDS = {b"heic", b"heix", b"hevc", b"hevx", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1"}


def recognize(data: bytes) -> str | None:
    """The key in FORMATS of a file's format, by its first SIGNATURE_BYTES; None if it is none of them."""
    for signature, image_format in _SIGNATURES.items():
        if data.startswith(signature):
            return image_format
    if data.startswith(b"RIFF") and data[8:12] == b"WEBP":
        return "WEBP"
    if data[4:8] == b"ftyp":  # ISO/IEC 14496-12: the major brand, a version, then the compatible brands
        end = min(int.from_bytes(data[:4], "big"), SIGNATURE_BYTES)
        brands = {data[8:12], *(data[start : start + 4] for start in range(16, end, 4))}
        if brands & _AVIF_BRANDS:
            return "AVIF"
        if brands & _HEIF_BRANDS:
            return "HEIF"
    return None
