"""The names by which images and their masks are recognized: of folders, and what is added to the names of files."""

import re

MASK_WORDS = (
    r"masks?|labels?|lbl|annots?|anno|annotations?|gt|ground[_ -]?truth|seg|segs|segm|segmap|segmentations?|trimaps?|"
    r"matte|gtfine|gtcoarse|labelids|labeltrainids|instanceids|color|polygons|l"
)
FOLDER_WORDS = r"masks?|labels?|annotations?|annots?|anno|gt|ground[_ -]?truths?|segmentations?|seg|trimaps?"
IMAGE_WORDS = r"images?|imgs?|sat|rgb|leftimg8bit|orig|original|photo|input"
MASK_FOLDER = re.compile(
    r".*(masks?|annots?|annotations?|labels?|ground_?truths?|segmentations?|segmentationclass|trimaps?|ann_dir|"
    r"gtfine|gtcoarse)|(.*[^a-z])?(gt|seg|anns?)",
    re.IGNORECASE,
)
IMAGE_FOLDER = re.compile(r".*(images?|imgs?|photos?|frames?|leftimg8bit|img_dir)", re.IGNORECASE)
INSTANCES_FOLDER = re.compile(r"segmentationobject", re.IGNORECASE)  # of Pascal VOC, beside SegmentationClass

_BEFORE = r"^(?:{words})[\s._-]+(?=.)"
_AFTER = r"(?<=.)[\s._-]+(?:{words})$"


def is_of_masks(name: str) -> bool:
    """Whether a folder of this name usually holds masks."""
    return MASK_FOLDER.fullmatch(name) is not None


def is_of_images(name: str) -> bool:
    """Whether a folder of this name usually holds images, beside one of masks."""
    return IMAGE_FOLDER.fullmatch(name) is not None and not is_of_masks(name)


def mask_stems(stem: str) -> tuple[str, ...]:
    """What the image of a mask may be called: the mask's own name, then without what is added to masks' names, word by
    word: ``x_mask`` and ``x``, ``x_L_mask``, ``x_L`` and ``x``, ``mask-x`` and ``x``."""
    return _shortened(stem, MASK_WORDS)


def image_stems(stem: str) -> tuple[str, ...]:
    """The same for what is added to the names of images: ``x_leftImg8bit`` and ``x``."""
    return _shortened(stem, IMAGE_WORDS)


def split_part_of(name: str) -> str:
    """The rest of the name of a folder of masks, which may be a split's: ``train`` for ``trainannot``."""
    for pattern in (rf"[\s._-]*(?:{FOLDER_WORDS})$", rf"^(?:{FOLDER_WORDS})[\s._-]*"):
        rest = re.sub(pattern, "", name, flags=re.IGNORECASE)
        if rest != name:
            return rest
    return ""


def _shortened(stem: str, words: str) -> tuple[str, ...]:
    patterns = [re.compile(text.format(words=words), re.IGNORECASE) for text in (_AFTER, _BEFORE)]
    found = [stem]
    while True:
        shorter = next((short for pattern in patterns if (short := pattern.sub("", found[-1])) != found[-1]), None)
        if shorter is None:
            return tuple(found)
        found.append(shorter)
