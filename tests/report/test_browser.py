"""The pages in a real browser, without a network: clicked, hovered and read; wide and narrow, light and dark."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from slimml.report.analysis import analysis_page

FLAGS = """--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking
--disable-component-update --disable-sync --disable-default-apps --disable-dev-shm-usage
--host-resolver-rules=MAP*~NOTFOUND"""
OVERFLOWING = """
const told = (e) => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 40)} ${e.scrollWidth}>${e.clientWidth}`;
const inside = [...document.querySelectorAll("main *")].filter((e) => {
  const style = getComputedStyle(e);
  return style.display !== "inline" && style.overflowX === "visible" && e.scrollWidth > e.clientWidth + 1;
});
const cut = [...document.querySelectorAll("h1, h2, p, li, .tile *, .name, .figure")].filter((e) => {
  const box = e.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > innerWidth + 1);
});
const wide = document.documentElement.scrollWidth > innerWidth ? ["the page"] : [];
return [...wide, ...[...inside, ...cut].map(told)];
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    program = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("no Chromium with its chromedriver is installed (Debian: chromium chromium-driver)")
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is not installed")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in [*FLAGS.split(), f"--user-data-dir={tmp_path_factory.mktemp('profile')}"]:
        options.add_argument(flag.replace("MAP*~", "MAP * ~"))
    options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
    made = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    made.execute_cdp_cmd("Network.enable", {})
    offline = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    made.execute_cdp_cmd("Network.emulateNetworkConditions", offline)
    yield made
    made.quit()


@pytest.fixture(scope="module")
def pages(
    tmp_path_factory: pytest.TempPathFactory, forest: dict[str, Any], hostile: dict[str, Any], shrunk: Path
) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("pages")
    found = {"forest": folder / "forest.html", "hostile": folder / "hostile.html", "shrink": shrunk}
    found["forest"].write_text(analysis_page(forest), "utf-8")
    found["hostile"].write_text(analysis_page(hostile), "utf-8")
    return found


def look(browser: Any, page: Path, width: int = 1280, scheme: str = "light") -> None:
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)
    browser.get(page.as_uri())


def requested(browser: Any) -> list[str]:
    """What was asked for since this was last called."""
    said = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return [m["params"]["request"]["url"] for m in said if m["method"] == "Network.requestWillBeSent"]


@pytest.mark.parametrize("name", ["forest", "hostile", "shrink"])
@pytest.mark.parametrize("width", [1280, 400])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_fits_and_nothing_is_fetched(browser: Any, pages: dict[str, Path], name: str, width: int, scheme: str):
    requested(browser)
    look(browser, pages[name], width, scheme)
    assert browser.execute_script(OVERFLOWING) == []
    assert browser.get_log("browser") == []
    assert [u for u in requested(browser) if not u.startswith(("data:", "chrome:"))] == [pages[name].as_uri()]
    assert browser.execute_script("return [window.hacked, document.images.length, document.scripts.length]") == [
        None,
        0,
        1,
    ]
    dark = browser.execute_script("return getComputedStyle(document.body).backgroundColor").split("(")[1].split(",")
    assert (int(dark[0]) < 128) == (scheme == "dark")


def test_a_click_on_a_header_sorts(browser: Any, pages: dict[str, Path]):
    look(browser, pages["forest"])
    table = browser.find_elements("css selector", "table.sortable")[0]
    button = next(b for b in table.find_elements("css selector", "thead button") if b.text.startswith("bytes"))

    def column() -> list[float]:
        cells = table.find_elements("css selector", "tbody tr td:nth-child(3)")
        return [float(c.get_attribute("data-value")) for c in cells]

    before = column()
    button.click()
    assert column() == sorted(before, reverse=True) != before
    button.click()
    assert column() == sorted(before)
    header = button.find_element("xpath", "..")
    assert header.get_attribute("aria-sort") == "ascending"


def test_hovering_and_focus_tell_the_details(browser: Any, pages: dict[str, Path]):
    action_chains = pytest.importorskip("selenium.webdriver.common.action_chains")
    look(browser, pages["forest"])
    box = browser.find_element("css selector", ".treemap.wide .unread")
    action_chains.ActionChains(browser).move_to_element(box).perform()
    tip = browser.find_element("id", "tip")
    assert tip.is_displayed() and tip.text == box.get_attribute("data-tip")
    assert "never read: " in tip.text and "bytes" in tip.text
    assert tip.rect["x"] >= 0 and tip.rect["x"] + tip.rect["width"] <= 1280
    line = browser.find_element("css selector", ".view-one .line")
    browser.execute_script("arguments[0].focus()", line)
    assert tip.text == line.get_attribute("data-tip")
    line.send_keys("\ue00c")  # Escape
    assert not tip.is_displayed()


def test_the_batch_is_one_click_away(browser: Any, pages: dict[str, Path]):
    look(browser, pages["forest"])
    one, batch = (browser.find_element("css selector", f".view-{which}") for which in ("one", "batch"))
    assert one.is_displayed() and not batch.is_displayed()
    browser.find_element("css selector", "label:has(#view-batch)").click()
    assert batch.is_displayed() and not one.is_displayed()
    assert "between the steps" in batch.text


def test_areas_are_drawn_to_scale(browser: Any, pages: dict[str, Path], forest: dict[str, Any]):
    look(browser, pages["forest"])
    boxes = browser.find_elements("css selector", ".treemap.wide .box")
    areas = {b.get_attribute("data-tip"): b.size["width"] * b.size["height"] for b in boxes}
    whole = sum(areas.values())
    held = {a["path"]: a["bytes"] for s in forest["bytes"]["steps"] for a in s["attributes"]}
    impurity = next(area for tip, area in areas.items() if ".impurity" in tip)
    share = held["estimators_[].tree_.nodes.impurity"] / forest["bytes"]["total"]
    assert impurity / whole == pytest.approx(share, rel=0.1)
