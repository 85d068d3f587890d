"""``dlcli data import``."""

from pathlib import Path

import click

from dlcli.cli.options import check_new_folder, json_option, quiet_option, shard_size_option
from dlcli.cli.output import say, write_json
from dlcli.cli.shards import say_shards

PATH = click.Path(path_type=Path)


@click.command(name="import", short_help="Import Parquet, TFRecord or tar files as shards.")
@click.argument("sources", metavar="FOLDER|FILE...", nargs=-1, required=True, type=PATH)
@click.option("-o", "--output", type=PATH, metavar="DIR", help="Folder to create.")
@click.option(
    "--in-place",
    is_flag=True,
    help="Write only the index, shards.csv, beside tar files; the images stay in these.",
)
@click.option(
    "--image", metavar="NAME", help="Column, feature or suffix of the images. Default: found by type and name."
)
@click.option(
    "--label", metavar="NAME", help="Column, feature, suffix or key of the labels. Default: found by type and name."
)
@click.option(
    "--labels",
    "names",
    type=PATH,
    metavar="FILE",
    help="Names of the classes, one on each line, the first of class 0; or lines such as 1:cat.",
)
@click.option(
    "--on-bad-image",
    type=click.Choice(["error", "skip"]),
    default="error",
    show_default=True,
    help="What to do about an image that cannot be decoded.",
)
@shard_size_option
@json_option
@quiet_option
def import_(
    sources: tuple[Path, ...],
    output: Path | None,
    in_place: bool,
    image: str | None,
    label: str | None,
    names: Path | None,
    on_bad_image: str,
    megabytes: int,
    as_json: bool,
    quiet: bool,
) -> None:
    """Import images with one class each from files of other programs, as shards for data.kind: shards.

    \b
    Formats:
      Parquet    Hugging Face's layout: a column of images and one of classes (dlcli[parquet])
      TFRecord   tf.train.Example: image/encoded with image/class/label or image/class/text
      TFDS       a prepared folder: features.json beside TFRecord files
      tar        WebDataset's layout: 17.jpg with 17.cls, 17.txt or 17.json, also compressed

    Splits are those that the names of files say: train-00000-of-00010, mnist-test.tfrecord-00000-of-00001, test/0.tar.
    Without any, all images are of train, and the recipe draws the splits. Each image is decoded once, to find corrupt
    ones, and copied byte for byte, in the order of the files.

    \b
    Examples:
      dlcli data import beans/data -o packed/
      dlcli data import train.parquet test.parquet -o packed/ --label fine_label
      dlcli data import imagenet/ -o packed/ --labels synsets.txt
      dlcli data import tensorflow_datasets/mnist/3.0.1 -o packed/
      dlcli data import shards/ --in-place
    """
    if (output is None) != in_place:
        raise click.UsageError("give either -o DIR or --in-place.")
    if output is not None:
        check_new_folder(output)
    from dlcli.workflow.data_import import import_images

    found = import_images(
        sources,
        output,
        image=image,
        label=label,
        labels=names,
        on_bad_image="skip" if on_bad_image == "skip" else "error",
        max_bytes=megabytes * 10**6,
        quiet=quiet,
    )
    if as_json:
        write_json(found)
        return
    say_shards(found)
    if not found["has_splits"]:
        say("no file name says a split: the recipe draws validation and test", err=True)
