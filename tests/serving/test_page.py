"""The page in a real browser: several images, a corrupt one, texts, series, the keyboard, narrow screens, a token."""

import json
import re
import shutil
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from served import CLASSES, HOSTILE, Client, Echo, Explaining, Foresight, Shades, Teller, encoded, served, serving  # type: ignore[import-not-found]

from dlcli.serving.page.files import TYPES
from dlcli.tasks.predictor import Shown

NAMES = ("chromium", "chromium-browser", "google-chrome")
BROWSER = next(filter(None, map(shutil.which, NAMES)), None)
DRIVER = shutil.which("chromedriver")
in_browser = pytest.mark.skipif(BROWSER is None or DRIVER is None, reason="needs Chromium and chromedriver")
TOKEN = "correct horse battery staple"


class Showing(Shades):
    """As Shades, with a map and a mask of each image."""

    shows = True

    def show(self, sample: Any) -> Shown:
        mask = np.zeros((4, 4), np.uint8)
        mask[:2] = 1
        attribution = np.linspace(-1, 1, 16, dtype=np.float32).reshape(4, 4)
        return Shown(np.zeros((4, 4, 1), np.uint8), attribution, HOSTILE, mask_file(mask))


class Numbers(Echo):
    """Numbers of each text that is not empty."""

    def predict(self, samples: Any, **_: Any) -> list[dict[str, Any]]:
        return [{"text": text, "predicted": {"a": 0.5, HOSTILE: 2} if text.strip() else ""} for text in samples]


class Topics(Echo):
    """Any number of labels for each text."""

    def predict(self, samples: Any, **_: Any) -> list[dict[str, Any]]:
        labels = [{"label": name, "probability": p, "predicted": p > 0.5} for name, p in (("a", 0.9), ("b", 0.2))]
        return [{"text": text, "predicted": ["a"], "labels": labels} for text in samples]


def mask_file(mask: Any) -> bytes:
    from dlcli.report.plots.mask_overlay import mask_png

    return mask_png(mask, 2)


@pytest.fixture(scope="module")
def showing() -> Iterator[Client]:
    models = [served("shades", Showing()), served("echo", Echo()), served("steps", Echo("series"))]
    models += [served("words", Explaining()), served("curves", Explaining("series"))]
    models += [served("teller", Teller(classes=CLASSES)), served("topics", Topics()), served("ahead", Foresight())]
    models.append(served("numbers", Numbers()))
    with serving(*models) as found:
        yield found


# Without a browser ----------------------------------------------------------------------------------------------------


def test_files_of_the_page(showing: Client) -> None:
    for name, media_type in TYPES.items():
        status, body, headers = showing.request("GET", f"/page/{name}")
        assert (status, headers["content-type"]) == (200, media_type)
        assert body
    assert showing.request("GET", "/")[1] == showing.request("GET", "/page/index.html")[1]
    for name in ("files.py", "__init__.py", "..%2fguard.py", "%2e%2e/guard.py", ""):
        assert showing.request("GET", f"/page/{name}")[0] == 404


def test_every_file_of_the_page_is_served_and_loads_nothing_from_elsewhere() -> None:
    folder = Path(__file__).parents[2] / "dlcli" / "serving" / "page"
    files = {
        path.name: path.read_text("utf-8")
        for path in folder.iterdir()
        if path.suffix in (".html", ".css", ".js", ".svg")
    }
    assert set(files) == set(TYPES)
    for text in files.values():
        assert "//" not in text.replace("http://www.w3.org/2000/svg", "").replace("// ", "")
        assert "innerHTML" not in text
    assert "<style" not in files["index.html"]
    assert "style=" not in files["index.html"]
    assert "onclick" not in files["index.html"]


def test_what_is_laid_over_an_image(showing: Client) -> None:
    headers = {"Content-Type": "image/png"}
    status, body, _ = showing.request("POST", "/v1/models/shades:show", encoded(9), headers)
    found = json.loads(body)
    assert status == 200
    assert found["explained"] == HOSTILE
    assert all(found[name].startswith("data:image/png;base64,") for name in ("view", "map", "mask"))
    assert set(found["colors"]) == set(CLASSES)
    assert showing.request("POST", "/v1/models/echo:show", b"x", {"Content-Type": "text/plain"})[0] == 400
    assert showing.request("POST", "/v1/models/shades:show", b"x", headers)[0] == 400
    listed = showing.get("/v1/models")["models"]
    assert [model["shows"] for model in listed] == [True, False, False, True, True, False, False, True, False]
    assert [model["name"] for model in listed if model["takes_class"]] == ["teller"]


def test_what_speaks_for_a_text_and_a_series(showing: Client) -> None:
    found = showing.post("/v1/models/words:show", {"instances": ["a splendid"]})
    assert found["tokens"] == [{"token": "a", "value": -3.0}, {"token": "splendid", "value": 4.0}]
    assert (found["explained"], found["unit"], found["separator"]) == (HOSTILE, "log-odds", " ")
    found = showing.post("/v1/models/curves:show", {"instances": [[[1, 2], [3, 5]]]})
    assert found["series"] == [[1.0, None], [3.0, 5.0]]
    assert found["values"] == [[-1.75, -0.75], [0.25, 2.25]]
    for body in ({"instances": ["a", "b"]}, {"instances": []}, {"instances": [""]}, {"instances": [1]}, []):
        assert "error" in showing.post("/v1/models/words:show", body, status=400)
    assert showing.reports == []


def test_prompts_with_a_class(showing: Client) -> None:
    told = showing.post("/v1/models/teller:predict", {"instances": [{"text": "Once", "class": "dark"}]})
    assert told["predictions"] == [{"text": f"Once{HOSTILE}", "class": "dark", "added": HOSTILE}]
    for sample in ("Once", {"text": "Once"}, {"text": "Once", "class": "?"}, {"text": 1, "class": "dark"}, {}):
        assert "error" in showing.post("/v1/models/teller:predict", {"instances": [sample]}, status=400)
    # a model whose texts have no classes
    refused = showing.post("/v1/models/words:predict", {"instances": [{"text": 1, "class": "dark"}]}, status=400)
    assert refused["error"] == "a text must be a string. Received a number."


# In a browser ---------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    webdriver = pytest.importorskip("selenium.webdriver", reason="needs selenium")
    options = webdriver.ChromeOptions()
    for argument in ("--headless=new", "--no-sandbox", "--disable-dev-shm-usage", "--window-size=1200,900"):
        options.add_argument(argument)
    for argument in ("--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"):
        options.add_argument(argument)
    options.binary_location = BROWSER
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    found = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield found
    found.quit()


class Page:
    """The page of a server in a browser."""

    def __init__(self, browser: Any, client: Client) -> None:
        self.browser = browser
        browser.get(f"http://{client.host}:{client.port}/")

    def all(self, selector: str) -> list[Any]:
        return list(self.browser.find_elements("css selector", selector))

    def one(self, selector: str) -> Any:
        return self.browser.find_element("css selector", selector)

    def wait(self, holds: Callable[[], Any]) -> Any:
        deadline = time.monotonic() + 30
        while not (found := holds()):
            assert time.monotonic() < deadline, self.one("body").text
            time.sleep(0.02)
        return found

    def choose(self, name: str) -> None:
        self.wait(lambda: self.one("#model").is_displayed())
        next(option for option in self.all("#model option") if option.text == name).click()

    def upload(self, *paths: Path) -> None:
        self.wait(lambda: self.one("#files").is_displayed())
        self.one("#files").send_keys("\n".join(map(str, paths)))

    def cards(self, number: int) -> list[Any]:
        """The cards with results, when there are so many."""
        return list(self.wait(lambda: len(found := self.all("article:not([aria-busy])")) == number and found))

    def errors(self) -> list[str]:
        """What the browser logged, but for requests that the server refused."""
        return [entry["message"] for entry in self.browser.get_log("browser") if "status of 4" not in entry["message"]]


@pytest.fixture
def page(browser: Any, showing: Client) -> Page:
    return Page(browser, showing)


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    files = {"bright.png": encoded(255), "dark.jpg": encoded(3, image_format="JPEG"), "bad.png": b"hello"}
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    return [tmp_path / name for name in files]


@pytest.mark.slow
@in_browser
def test_several_images_one_of_them_corrupt(page: Page, images: list[Path]) -> None:
    page.upload(*images)
    cards = page.cards(3)
    assert [card.find_element("css selector", "h3").text for card in cards] == ["bright.png", "dark.jpg", "bad.png"]
    verdicts = [card.find_element("css selector", ".verdict").text for card in cards[:2]]
    assert verdicts == ["bright", "dark"]
    assert [item.text for item in cards[0].find_elements("css selector", ".bars li .share")] == ["100.0%", "0.0%"]
    assert (
        cards[2].find_element("css selector", "[role=alert]").text.startswith("not an image: its content is not JPEG")
    )
    latency = cards[0].find_element("css selector", ".latency").text
    assert re.fullmatch(r"shades: \d+ ms from request to response", latency)
    page.wait(lambda: len(page.all(".map")) == 2 and len(page.all(".mask")) == 2)
    assert f"Red speaks for {HOSTILE}, blue against it." in cards[0].text
    box = cards[0].find_element("css selector", "figure label input")
    mask = cards[0].find_element("css selector", ".mask")
    assert mask.is_displayed()
    box.click()
    assert not mask.is_displayed()
    page.wait(lambda: page.one("#status").text.startswith("3 of 3 predicted."))
    page.one("#clear").click()
    assert not page.all("article")
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_texts_and_series_by_keyboard(page: Page) -> None:
    keys = pytest.importorskip("selenium.webdriver").Keys
    page.choose("echo")
    page.one("#text").send_keys(f"hello {HOSTILE}", keys.CONTROL, keys.ENTER)
    (card,) = page.cards(1)
    assert card.find_element("css selector", ".verdict").text == f"HELLO {HOSTILE.upper()}"
    page.choose("steps")
    page.one("#series").send_keys("1, 2\n3;4.5\n", keys.CONTROL, keys.ENTER)
    assert page.cards(2)[0].find_element("css selector", ".verdict").text == "10.5000"
    page.one("#series").clear()
    page.one("#series").send_keys("1,2\n1,x", keys.TAB, keys.ENTER)
    error = page.cards(3)[0].find_element("css selector", "[role=alert]").text
    assert error == 'Line 2: expected numbers separated by commas. Received "x".'
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_what_speaks_for_a_prediction_is_colored_and_named(page: Page) -> None:
    keys = pytest.importorskip("selenium.webdriver").Keys
    page.choose("words")
    page.one("#text").send_keys("a wonderful film is", keys.CONTROL, keys.ENTER)
    page.wait(lambda: page.all(".token"))
    marks = {mark.text: mark for mark in page.all(".token")}
    assert list(marks) == ["a", "wonderful", "film", "is"]
    assert "for" in marks["wonderful"].get_attribute("class").split()
    assert "against" in marks["a"].get_attribute("class").split()
    colors = {word: mark.value_of_css_property("background-color") for word, mark in marks.items()}
    assert len(set(colors.values())) == 4  # by sign and strength
    assert page.one(".explained figcaption").text == (
        f"Red speaks for {HOSTILE}, blue against it. Strongest words: “wonderful” +5, “a” −3, “is” −2 (log-odds)."
    )
    page.choose("curves")
    page.one("#series").send_keys("1 2\n3 5\n9 1\n", keys.CONTROL, keys.ENTER)
    page.wait(lambda: page.all("svg.steps"))
    assert len(page.all("svg.steps rect")) == 3
    assert [line.get_attribute("d").count("M") for line in page.all("svg.steps path")] == [1, 1]
    assert "Strongest steps: step 1 −4, step 3 +3, step 2 +1" in page.one("article .explained figcaption").text
    assert HOSTILE in page.one("article .explained").text
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_a_class_is_chosen_for_a_prompt_and_labels_are_listed(page: Page) -> None:
    page.choose("teller")
    page.wait(lambda: page.one("#class").is_displayed())
    next(option for option in page.all("#class option") if option.text == "bright").click()
    page.one("#text-input button").click()  # without a text
    (card,) = page.cards(1)
    assert card.find_element("css selector", "h3").text == "bright"
    assert card.find_element("css selector", ".continued mark").text == HOSTILE
    page.choose("topics")
    assert not page.one("#class").is_displayed()
    page.one("#text").send_keys("x")
    page.one("#text-input button").click()
    card = page.cards(2)[0]
    assert [item.text.split() for item in card.find_elements("css selector", ".bars li")] == [
        ["a", "90.0%"],
        ["b", "20.0%"],
    ]
    assert [item.text.split()[0] for item in card.find_elements("css selector", ".bars li.on")] == ["a"]
    page.choose("numbers")
    page.one("#text").send_keys("2")
    page.one("#text-input button").click()
    page.wait(lambda: page.one("#status").text == f"x2: a 0.5000, {HOSTILE} 2")
    page.one("#text").clear()
    page.one("#text").send_keys(" ")
    page.one("#text-input button").click()
    assert "(an empty text)" in page.cards(4)[0].text
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_a_table_is_forecast(page: Page, tmp_path: Path) -> None:
    keys = pytest.importorskip("selenium.webdriver").Keys
    page.choose("ahead")
    assert page.one("#needs").text == "The table needs 2 rows."
    (tmp_path / "load.csv").write_text("day,load\n1,2\n2,NA\n3,4\n")
    page.one("#table-file").send_keys(str(tmp_path / "load.csv"))
    (card,) = page.cards(1)
    assert card.find_element("css selector", "h3").text == "load.csv"
    page.wait(lambda: page.all("svg.steps"))
    lines = {line.get_attribute("class"): line.get_attribute("d") for line in page.all("svg.steps path")}
    assert lines["past"].count("M") == 2  # a missing value interrupts the line
    assert lines["ahead"].count("L") == 2  # from the last value
    assert len(page.one("svg.steps polygon").get_attribute("points").split()) == 4
    assert "after 4, from 2 (bottom) to 5 (top). The band is from the 10% to the 90% quantile." in card.text
    cells = [cell.text for cell in card.find_elements("css selector", ".numbers td")]
    assert cells == ["1", HOSTILE, "4", "3", "5", "2", HOSTILE, "4", "3", "5"]
    page.wait(lambda: page.one("#status").text == "load.csv: a forecast of 2 steps, the first 4")
    page.one("#table").send_keys("day,load\n", keys.CONTROL, keys.ENTER)
    assert page.cards(2)[0].find_element("css selector", "[role=alert]").text == "the table: must have a row."
    page.choose("steps")
    page.one("#series").send_keys("1,\n3,4\n", keys.CONTROL, keys.ENTER)
    assert page.cards(3)[0].find_element("css selector", ".verdict").text == "8"
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_everything_can_be_reached_by_keyboard_and_has_a_name(page: Page, images: list[Path]) -> None:
    webdriver = pytest.importorskip("selenium.webdriver")
    keys, chains = webdriver.Keys, webdriver.ActionChains
    page.upload(images[0])
    page.cards(1)
    page.wait(lambda: page.all(".map"))
    reached = []
    for _ in range(12):
        chains(page.browser).send_keys(keys.TAB).perform()
        reached.append(page.browser.switch_to.active_element)
    names = [element.accessible_name.strip() for element in reached if element.tag_name != "body"]
    for name in ("Model", "Choose images, drop them here, or paste one", "Use the camera", "Clear", "Mask", "Grad-CAM"):
        assert any(found.startswith(name) for found in names), names
    assert all(names), names
    assert [image.get_attribute("alt") for image in page.all(".photo")] == [
        "bright.png",
        "The image as the network sees it",
    ]


@pytest.mark.slow
@in_browser
def test_the_camera(page: Page) -> None:
    page.wait(lambda: page.one("#camera").is_displayed())
    page.one("#camera").click()
    page.wait(lambda: page.one("#take").is_displayed())
    page.one("#take").click()
    (card,) = page.cards(1)
    assert card.find_element("css selector", ".verdict").text in CLASSES
    page.one("#stop").click()
    assert not page.one("#video").is_displayed()
    assert page.errors() == []


@pytest.mark.slow
@in_browser
def test_narrow_screens(page: Page, images: list[Path]) -> None:
    page.upload(*images)
    page.cards(3)
    size = {"width": 320, "height": 700, "deviceScaleFactor": 1, "mobile": True}
    page.browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    assert page.browser.execute_script("return document.documentElement.scrollWidth") <= 320
    page.browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})


@pytest.mark.slow
@in_browser
def test_a_server_with_a_token(browser: Any, images: list[Path]) -> None:
    with serving(served("shades", Shades()), token=TOKEN) as client:
        page = Page(browser, client)
        page.wait(lambda: page.one("#token").is_displayed())
        page.one("#token").send_keys("wrong")
        page.one("#token-form button").click()
        page.wait(lambda: page.one("#status").text == "The token is not right.")
        page.one("#token").clear()
        page.one("#token").send_keys(TOKEN)
        page.one("#token-form button").click()
        page.upload(images[0])
        assert page.cards(1)[0].find_element("css selector", ".verdict").text == "bright"
        assert not page.one("#model").is_displayed()  # there is one model
