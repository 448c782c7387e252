"""The pages in a real browser, where there is one: no network, no errors, all pictures there, readable everywhere."""

import shutil

import numpy as np
import pytest
from PIL import Image

from rlopt.report.result_page import PAGE, result_page
from rlopt.report.results import write_comparison
from rlopt.report.run_folders import gather_runs
from rlopt.report.runs_page import runs_page

from .shared import RECOVERY, results, stage
from .test_result_page import DIGEST, configs

NAMES = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
CONTRAST = """() => {
  const light = colour => {
    const parts = colour.match(/[\\d.]+/g).slice(0, 3).map(v => v / 255);
    const [r, g, b] = parts.map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = element => {
    const own = getComputedStyle(element).backgroundColor;
    return own.endsWith(", 0)") && element.parentElement ? ground(element.parentElement) : own;
  };
  const texts = [...document.querySelectorAll("h1, h2, p, a, th, td, caption, figcaption, code, footer")];
  return Math.min(...texts.map(element => {
    const pair = [light(getComputedStyle(element).color), light(ground(element))].sort();
    return (Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05);
  }));
}"""


@pytest.fixture(scope="module")
def browser():
    playwright = pytest.importorskip("playwright.sync_api")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip(f"none of {', '.join(NAMES)} is installed")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=found)
        yield browser
        browser.close()


@pytest.fixture
def look(browser):
    """Opens a file in a window of this width; returns the page, and what it said and asked for meanwhile."""

    def open_page(path, width=1280, scheme="light", media="screen"):
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme, offline=True)
        page, heard = context.new_page(), []
        page.emulate_media(media=media, color_scheme=scheme)
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_function("[...document.images].every(image => image.complete)")
        heard = [line for line in heard if not line.startswith("data:") and line != path.as_uri()]
        return page, heard

    yield open_page
    for context in browser.contexts:
        context.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory):
    """Of a comparison with a clip, in a folder and an environment with names that ask for trouble."""
    folder = tmp_path_factory.mktemp("page") / "<b>results & more"
    stages = {"sac": stage(), "ipmd": stage(recovery=RECOVERY), "bc": stage("epochs", losses={"bc_loss": [[3, 4]]})}
    stages["bc"]["directory"] = "logs/" + "very-long-name-of-a-folder-" * 9
    found = results(stages)
    found["env"] = "<script>alert(1)</script>" + "LongName" * 12
    found["config"] = {"expert_data": "minari:mine", "demonstrations_sha256": DIGEST, "stages": configs()}
    write_comparison(found, stages, folder)
    frames = [Image.fromarray(np.full((40, 120, 3), shade, np.uint8)) for shade in (40, 200)]
    frames[0].save(folder / "clip.gif", save_all=True, append_images=frames[1:])
    result_page(found, stages, folder, {"env": found["env"], "methods": ["sac", "bc"]}).write(folder / PAGE)
    return folder / "report.html"


@pytest.fixture
def runs(tmp_path, make_run, expert, monkeypatch):
    monkeypatch.chdir(tmp_path)
    digest = {"expert_data": expert, "demonstrations_sha256": DIGEST}
    for i in range(4):
        make_run(f"run{i}", [(64, 10, 20), (128, 90, 70)], agent={"gamma": 0.9}, **digest)
    gathered = gather_runs([f"name {i}=run{i}" for i in range(4)])
    gathered.draw("runs.png")
    runs_page(gathered, "runs.png", "command " * 40).write("runs.html")
    return tmp_path / "runs.html"


@pytest.mark.parametrize(
    ("which", "width", "scheme", "media"),
    [
        ("report", 375, "light", "screen"),
        ("report", 1280, "dark", "screen"),
        ("report", 680, "light", "print"),
        ("runs", 375, "dark", "screen"),
        ("runs", 1280, "light", "screen"),
        ("runs", 680, "light", "print"),
    ],
)
def test_it_is_whole_and_readable(which, width, scheme, media, look, request):
    page, heard = look(request.getfixturevalue(which), width, scheme, media)
    assert heard == []
    pictures = page.evaluate("[...document.images].map(image => [image.naturalWidth, image.alt.length])")
    assert len(pictures) == {"report": 3, "runs": 1}[which]
    assert all(size > 0 and told > 0 for size, told in pictures)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(CONTRAST) >= 4.5  # WCAG 2.2, AA
    assert page.locator("h1").count() == 1
    if media == "print":  # nothing is cut off at the margin
        right = "[...document.querySelectorAll('table, img, pre')].map(one => one.getBoundingClientRect().right)"
        assert max(page.evaluate(right)) <= width


def test_what_is_wide_scrolls_in_its_own_box_by_keyboard_too(look, runs):
    page, _ = look(runs, 375)
    box = page.locator(".wide", has_text="SHA-256").first
    assert box.evaluate("one => one.scrollWidth > one.clientWidth")
    box.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("() => document.activeElement.scrollLeft > 0")


def test_links_lead_to_sections(look, report):
    page, _ = look(report)
    links = page.locator("nav a")
    assert links.count() == page.locator("h2").count() > 5
    links.last.click()
    assert page.evaluate("document.querySelector(location.hash).innerText") == links.last.inner_text()


def test_the_browser_would_tell(look, tmp_path):
    """What the tests above look for is seen where it is there: an error, a request, a picture that is none, a wide line."""
    bad = tmp_path / "bad.html"
    bad.write_text("<body><img src='http://localhost:9/a.png'><pre>" + "wide" * 200 + "</pre><script>lost()</script>")
    page, heard = look(bad, 375)
    assert any("localhost" in line for line in heard)
    assert any("lost" in line for line in heard)
    assert page.evaluate("document.images[0].naturalWidth") == 0
    assert page.evaluate("document.documentElement.scrollWidth") > 375
