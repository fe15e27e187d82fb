"""A real Chromium at the dashboard, driven as a person would."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from tests.support.waiting import wait_until

AXE = Path(__file__).parent / "vendor" / "axe-core-4.14.1" / "axe.min.js"
QUIET = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run", "--window-size=1400,1000",
)  # fmt: skip


def programs() -> tuple[str | None, str | None]:
    """Where Chromium and its driver are, None for one that is not installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None), shutil.which("chromedriver")


class Browser:
    """``base`` is the address of the web UI."""

    def __init__(self, base: str, profile: Path) -> None:
        chromium, chromedriver = programs()
        options = webdriver.ChromeOptions()
        options.binary_location = chromium or ""
        for argument in (*QUIET, f"--user-data-dir={profile}"):
            options.add_argument(argument)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        self.driver = webdriver.Chrome(options=options, service=Service(chromedriver))
        self._base = base

    def open(self, path: str) -> None:
        self.driver.get(self._base + path)

    @property
    def path(self) -> str:
        return str(self.driver.current_url).removeprefix(self._base)

    @property
    def text(self) -> str:
        """What a person reads on the page."""
        return str(self.driver.execute_script("return document.body ? document.body.innerText : ''"))

    def find(self, selector: str) -> WebElement:
        return self.driver.find_element(By.CSS_SELECTOR, selector)

    def fill(self, selector: str, text: str) -> None:
        field = self.find(selector)
        field.clear()
        field.send_keys(text)

    def click(self, selector: str) -> None:
        self.find(selector).click()

    def press(self, words: str) -> None:
        """Clicks the button or link with these words, rather in the page than in its navigation."""
        wanted = f"//*[self::button or self::a][normalize-space()='{words}']"
        found = self.driver.find_elements(By.XPATH, f"//main{wanted}")
        (found or self.driver.find_elements(By.XPATH, wanted))[0].click()

    def agree(self) -> None:
        """Says yes to the question that the page asks."""
        self.driver.switch_to.alert.accept()

    def log_in(self, key: str) -> None:
        self.open("/login")
        self.fill("#api_key", key)
        self.press("Log in")
        self.wait_for("Overview")

    def wait_for(self, words: str, seconds: float = 10, reload: bool = False) -> None:
        """Returns when the page shows the words; with ``reload`` it is loaded again until then."""

        def shown() -> bool:
            if words in self.text:
                return True
            if reload:
                self.driver.refresh()
            return False

        wait_until(shown, f"{words!r} on {self.path}", seconds=seconds, every=0.3)

    # --- by keyboard alone ----------------------------------------------------------------------------------

    @property
    def focused(self) -> WebElement:
        return self.driver.switch_to.active_element

    def tab_to(self, is_it: Callable[[WebElement], bool], most: int = 60) -> WebElement:
        """Presses Tab until the focus is there. Every stop on the way has to show that it has the focus."""
        for _ in range(most):
            if is_it(self.focused):
                return self.focused
            self.focused.send_keys(Keys.TAB)
            width = self.driver.execute_script("return getComputedStyle(document.activeElement).outlineWidth")
            assert width != "0px", f"no outline on {self.focused.get_attribute('outerHTML')[:200]}"
        raise AssertionError(f"Tab does not lead there on {self.path}")

    def tab_to_field(self, name: str) -> WebElement:
        return self.tab_to(lambda element: element.get_attribute("name") == name)

    def tab_to_words(self, words: str) -> WebElement:
        return self.tab_to(lambda element: element.text == words and element.tag_name in ("a", "button"))

    # --- how it looks and what it says ----------------------------------------------------------------------

    def prefer(self, scheme: str) -> None:
        """As if the person had chosen light or dark in the system."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})

    def width(self, pixels: int) -> None:
        metrics = {"width": pixels, "height": 1000, "deviceScaleFactor": 1, "mobile": False}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)

    def offline(self, offline: bool) -> None:
        conditions = {"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1}
        self.driver.execute_cdp_cmd("Network.enable", {})
        self.driver.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)

    def findings(self) -> list[str]:
        """What axe finds that keeps people from using the page: serious and critical."""
        self.driver.execute_script(AXE.read_text())
        result: dict[str, Any] = self.driver.execute_async_script(
            "const done = arguments[arguments.length - 1]; axe.run(document, {resultTypes: ['violations']}).then(done)"
        )
        return [
            f"{each['id']}: {node['html'][:160]}"
            for each in result["violations"]
            if each["impact"] in ("serious", "critical")
            for node in each["nodes"]
        ]

    def complaints(self) -> list[str]:
        """Errors in the browser's console since the last call."""
        return [entry["message"] for entry in self.driver.get_log("browser") if entry["level"] == "SEVERE"]
