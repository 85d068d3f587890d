"""The course: its pages have all their parts, and running them again is compared with what they show."""

import importlib.util
import itertools
import re
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).parents[1]
COURSE = ROOT / "docs" / "course"
PAGES = sorted(COURSE.glob("[0-9]*.md"))
QUICK = ("01-convolution.md", "02-pooling.md")  # no network is trained
MOST_BYTES = 1_500_000  # of all figures


def run_course() -> ModuleType:
    spec = importlib.util.spec_from_file_location("run_course", ROOT / "docs" / "run_course.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_course"] = module  # dataclasses look it up there
    spec.loader.exec_module(module)
    return module


course = run_course()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_a_page_has_all_its_parts(page: Path) -> None:
    text = page.read_text("utf-8")
    assert re.match(rf"# {int(page.name[:2])}\. ", text)
    assert re.search(r"^> .*[=⌋)]", text, re.MULTILINE), "an equation"
    assert text.count("```console") == len(course.blocks(text)), "a block is not run"
    assert course.blocks(text)
    figures = course.FIGURE.findall(text)
    assert len(figures) == len(re.findall(r"!\[", text)) > 0, "a figure is not compared"
    assert all((page.parent / image).is_file() for *_, image in figures)
    exercises, solutions = text.split("## Exercises\n")[1].split("## Solutions\n")
    for part in (exercises, solutions):
        assert re.findall(r"^(\d)\. ", part, re.MULTILINE) == ["1", "2", "3"]


def test_the_figures_are_small_and_all_are_shown() -> None:
    figures = sorted(path.relative_to(COURSE).as_posix() for path in (COURSE / "images").iterdir())
    shown = [image for page in PAGES for *_, image in course.FIGURE.findall(page.read_text("utf-8"))]
    assert sorted(shown) == figures
    assert sum((COURSE / figure).stat().st_size for figure in figures) < MOST_BYTES


def test_every_page_is_in_the_index_and_names_the_next() -> None:
    index = (COURSE / "README.md").read_text("utf-8")
    assert re.findall(r"^\d+\. .*\((.*?)\)", index, re.MULTILINE) == [page.name for page in PAGES]
    for page, following in itertools.pairwise(PAGES):
        assert page.read_text("utf-8").rstrip().endswith(f"({following.name})")


def test_lines_are_compared_with_their_numbers() -> None:
    assert course.same("accuracy 0.98  12.5 s", "accuracy  0.98 3 s", 1e-6)
    assert not course.same("accuracy 0.98", "accuracy 0.97", 1e-6)
    assert course.same("accuracy 0.98", "accuracy 0.93", 0.1)
    assert not course.same("accuracy 0.98", "accuracy 0.83", 0.1)
    assert course.same("loss 0.0001", "loss 0.009", 0.1)  # a tenth of the tolerance, absolutely
    assert not course.same("loss 0.9", "los 0.9", 0.1)
    assert not course.same("1 2", "1", 0.1)
    assert course.same("1,234 values", "1234 values", 1e-6)
    assert course.same("for the 3", "against 12 and 4", float("inf"))
    assert course.differences(["a", "b"], ["c"], float("inf"))[0] == "2 lines are shown, 1 were printed:"


def test_an_ellipsis_stands_for_any_lines() -> None:
    printed = ["a 1", "b 2", "c 3", "d 4"]
    assert not course.differences(["a 1", "…", "d 4"], printed, 1e-6)
    assert not course.differences(["…"], printed, 1e-6)
    assert not course.differences(["…", "b 2", "…", "d 4"], printed, 1e-6)
    assert course.differences(["a 1", "…", "c 3"], printed, 1e-6) == ["- c 3", "+ d 4"]
    assert course.differences(["a 1", "…", "x 9", "…"], printed, 1e-6)[0] == "- x 9"
    assert course.differences(printed[:3], printed, 1e-6)[0] == "3 lines are shown, 4 were printed:"
    assert course.differences(["a 2", *printed[1:]], printed, 1e-6) == ["- a 2", "+ a 1"]


PAGE = """\
<!-- run -->
```console
$ echo one; \\
    echo two
one
{second}
$ cp recipes/digits_mlp.yaml {drawn}
```

<!-- drawn: figure.png -->
![A figure](images/shown.png)
"""


def test_a_page_is_run_in_a_folder_of_its_own(tmp_path: Path) -> None:
    page, figure = tmp_path / "page.md", np.zeros((20, 30, 3), np.uint8)
    (tmp_path / "images").mkdir()
    Image.fromarray(figure).save(tmp_path / "images" / "shown.png")

    def found(name: str, drawn: np.ndarray, second: str = "two", *, update: bool = False) -> list[str]:
        page.write_text(PAGE.format(second=second, drawn="copy.yaml"))
        (tmp_path / name).mkdir()
        Image.fromarray(drawn).save(tmp_path / name / "figure.png")
        return course.check(page, tmp_path / name, update=update)

    assert found("a", figure) == []
    assert found("b", figure, second="three")[1:] == ["- three", "+ two"]
    assert "100% of the pixels differ" in found("c", 255 - figure)[0]
    assert "100% of the pixels differ" in found("d", figure[:10])[0]
    varying = PAGE.replace("run -->", "run: varies -->").replace("figure.png -->", "figure.png, varies -->")
    figure[:10] = 255
    for name, drawn, expected in (("v", figure, []), ("w", figure[:10], ["100% of the pixels differ"])):
        (tmp_path / name).mkdir()
        Image.fromarray(drawn).save(tmp_path / name / "figure.png")
        page.write_text(varying.format(second="three", drawn="copy.yaml"))
        lines = course.check(page, tmp_path / name, update=False)
        assert [expected[0] in line for line in lines] == [True] * len(expected)
    assert found("e", 255 - figure, second="three", update=True) == []
    assert page.read_text() == PAGE.format(second="two", drawn="copy.yaml")
    assert found("f", 255 - figure) == []
    page.write_text(PAGE.format(second="two", drawn="copy.yaml").replace("figure.png", "none.png"))
    (tmp_path / "g").mkdir()
    assert "none.png: was not drawn" in course.check(page, tmp_path / "g", update=False)[0]


def runs(page: Path, folder: Path) -> None:
    assert course.check(page, folder, update=False) == []


@pytest.mark.slow
@pytest.mark.parametrize("page", [COURSE / name for name in QUICK], ids=lambda page: page.name)
def test_the_pages_without_training_run_as_shown(page: Path, tmp_path: Path) -> None:
    runs(page, tmp_path)


@pytest.mark.long
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in QUICK], ids=lambda page: page.name)
def test_all_pages_run_as_shown(page: Path, tmp_path: Path) -> None:
    runs(page, tmp_path)
