"""The keys that the ``data`` sections of all tasks on images have, as the readers take them."""

from dlcli.data.images.dataset import CommonKeys
from dlcli.data.images.decoding import ValueRange
from dlcli.recipe.sections.image_data import Images
from dlcli.recipe.sections.mask_data import MaskSource
from dlcli.tasks.split_keys import split_keys


def image_keys(
    section: Images | MaskSource,
    *,
    file_range: ValueRange | None,
    tiles: tuple[tuple[int, int], int] | None = None,
) -> CommonKeys:
    """How the images of a source are resized and divided.

    Args:
        file_range: ``data.value_range`` of image files; None for other sources.
        tiles: as in :class:`~dlcli.data.images.dataset.CommonKeys`.
    """
    return CommonKeys(
        image_size=section.image_size,
        color_mode=section.color_mode,
        resize=section.resize,
        interpolation=section.interpolation,
        antialias=section.antialias,
        file_range=file_range,
        tiles=tiles,
        **split_keys(section),
    )
