"""What a person does at the dashboard, in a real browser, against the real programs."""

import json
import re
from datetime import UTC, datetime

import pytest
import requests
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from tests.browser.chromium import Browser
from tests.support.appliance import WEBUI_KEY, Appliance
from tests.support.waiting import wait_until

PAGES = (
    "/", "/rules", "/rules/new", "/rules/1", "/rules/test", "/rules/backtest", "/rules/code", "/events", "/unhandled",
    "/dead-letters", "/dead-letters/moog", "/hosts", "/config", "/config/moog_rate_limit", "/audit", "/audit/1",
    "/doctor", "/nowhere",
)  # fmt: skip


def an_event(message: str, **fields: object) -> dict[str, object]:
    return {"timestamp": datetime.now(UTC).isoformat(), "hostname": "core-1", "message": message, **fields}


def send(appliance: Appliance, message: str, **fields: object) -> str:
    """The correlation id of an event that was accepted and judged."""
    answer = appliance.post(an_event(message, **fields))
    assert answer.status_code == 202
    appliance.wait_until_idle()
    return str(answer.json()["correlation_id"])


def a_dead_letter(appliance: Appliance) -> None:
    """One alert that the receiver would not take; now it would."""
    appliance.behave(status=422)
    send(appliance, "CRITICAL: power lost")
    wait_until(lambda: appliance.redis().llen("mutt:dlq:moog") == 1, "the alert to be refused")
    appliance.behave()


def change_something(appliance: Appliance) -> None:
    changed = requests.put(
        f"{appliance.admin_url}/api/v2/rules/1",
        json={"reason": "for the list of changes", "team_assignment": "NETO"},
        headers={"X-API-KEY": WEBUI_KEY},
        timeout=10,
    )
    changed.raise_for_status()


def test_from_an_unhandled_pattern_to_a_delivered_alert(appliance: Appliance, browser: Browser) -> None:
    for number in range(3):
        send(appliance, f"fan {number} failed in tray {number}", source="syslog")
    browser.open("/unhandled")
    browser.wait_for("fan <n> failed in tray <n>", reload=True)
    browser.press("Make a rule")
    browser.press("Test")
    browser.wait_for("the draft decides")
    browser.fill("#f-team_assignment", "facilities")
    Select(browser.find("#f-prod_handling")).select_by_value("Page_and_ticket")
    browser.press("Backtest")
    browser.wait_for("3 would page now")
    assert browser.path == "/rules/test"  # The backtest came without leaving the page, and what was typed is there.
    browser.press("Make the rule")
    browser.wait_for("is made. The alerters have been told")
    appliance.reload_rules()
    event = send(appliance, "fan 9 failed in tray 9", source="syslog")
    browser.open(f"/events/{event}")
    browser.wait_for("delivered", reload=True)
    assert [alert["external_id"] for alert in appliance.received()] == [event]


def test_a_dead_letter_is_replayed(appliance: Appliance, browser: Browser) -> None:
    a_dead_letter(appliance)
    browser.open("/dead-letters")
    browser.press("refused_by_receiver")
    browser.click("input[data-all]")
    browser.press("Discard")
    browser.agree()
    browser.wait_for("reason")  # It has to be said why; nothing was discarded, and the letter is still ticked.
    assert browser.find("input[name=ids]").is_selected()
    assert "400" in browser.complaints()[0]
    browser.press("Replay")
    wait_until(lambda: len(appliance.received()) == 1, "the alert to be delivered")
    browser.wait_for("This list is empty", reload=True)


def test_a_rule_is_made_by_keyboard_alone(appliance: Appliance, browser: Browser) -> None:
    browser.press("Log out")
    browser.wait_for("Log in")
    browser.tab_to_field("api_key").send_keys(WEBUI_KEY, Keys.ENTER)
    browser.wait_for("Overview")
    browser.tab_to_words("Rules").send_keys(Keys.ENTER)
    wait_until(lambda: browser.path == "/rules", "the rules")
    browser.tab_to_words("New rule").send_keys(Keys.ENTER)
    wait_until(lambda: browser.path == "/rules/new", "the form")
    browser.tab_to_field("match_string").send_keys("made by keyboard")
    browser.tab_to_field("team_assignment").send_keys("night", Keys.ENTER)
    browser.wait_for("is made. The alerters have been told")


def test_the_way_past_the_navigation(browser: Browser) -> None:
    browser.open("/rules")
    browser.find("body").send_keys(Keys.TAB)
    assert browser.focused.text == "Skip to the page"
    browser.focused.send_keys(Keys.ENTER)
    browser.tab_to_words("New rule")


def test_the_overview_refreshes_itself_and_says_when_it_is_old(appliance: Appliance, browser: Browser) -> None:
    browser.open("/")
    browser.driver.execute_script("window.here = true")
    send(appliance, "seen without loading the page again")
    browser.wait_for("seen without loading the page again", seconds=15)
    assert browser.driver.execute_script("return window.here")
    assert browser.driver.execute_script(
        "return Chart.getChart(document.querySelector('canvas[data-chart]')) !== undefined"
    )
    browser.offline(True)
    browser.driver.execute_script("htmx.ajax('GET', '/', {source: '#live', target: '#live', select: '#live'})")
    browser.wait_for("The figures below are old")
    browser.offline(False)
    browser.complaints()  # The failed request is what was asked for.


def luminance(colour: str) -> float:
    red, green, blue = (int(part) / 255 for part in re.findall(r"\d+", colour)[:3])
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def test_colours_follow_the_system(browser: Browser) -> None:
    browser.open("/rules")
    background = "return getComputedStyle(document.body).backgroundColor"
    assert luminance(browser.driver.execute_script(background)) > 0.8
    browser.prefer("dark")
    assert luminance(browser.driver.execute_script(background)) < 0.1


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_page_can_be_used_by_everybody(appliance: Appliance, browser: Browser, scheme: str) -> None:
    a_dead_letter(appliance)
    change_something(appliance)
    event = send(appliance, "CRITICAL: core down", syslog_severity=2)
    for message in ("something new 1", "something new 2"):
        send(appliance, message)
    letter = appliance.redis().lindex("mutt:dlq:moog", 0)
    assert json.loads(letter)["reason"] == "refused_by_receiver"
    browser.prefer(scheme)
    found = {}
    for path in (*PAGES, f"/events/{event}"):
        browser.width(1400)
        browser.open(path)
        found[path] = browser.findings()
        browser.width(360)
        if browser.driver.execute_script("return document.documentElement.scrollWidth > innerWidth"):
            found[path].append("it is wider than a narrow screen")
        complaints = browser.complaints()
        found[path] += [] if path == "/nowhere" else complaints
    assert {path: findings for path, findings in found.items() if findings} == {}


HOSTILE = (
    "<script>window.pwned='script'</script>",
    "<img src=x onerror=\"window.pwned='image'\">",
    "\"><svg onload=window.pwned='svg'>",
    "' onmouseover='window.pwned=1' autofocus onfocus='window.pwned=2",
    "javascript:window.pwned=3//",
    "{{ 7*7 }}</textarea></script><script>window.pwned='closed'</script>",
)


def test_no_script_from_a_device_or_a_colleague_runs(appliance: Appliance, browser: Browser) -> None:
    """Stored in every field that a source or a person can fill, and then looked at on every page."""
    api = requests.Session()
    api.headers["X-API-KEY"] = WEBUI_KEY
    base = f"{appliance.admin_url}/api/v2"
    event = ""
    for number, line in enumerate(HOSTILE):
        rule = {"match_type": "contains", "priority": 1, "prod_handling": "Ticket_only", "dev_handling": "Log_only"}
        api.post(f"{base}/rules", json={**rule, "match_string": line, "team_assignment": line, "reason": line})
        api.post(f"{base}/dev-hosts", json={"hostname": f"h{number}", "description": line, "reason": line})
        api.post(f"{base}/teams", json={"hostname": f"h{number}", "team_assignment": line})
        fields = {"hostname": line[:60], "source": line[:30], "vendor": line, line[:20]: line}
        event = send(appliance, line, **fields)
        send(appliance, f"nothing matches this, surely: {line[1:]}", **fields)
        appliance.post([{"message": line, "hostname": line}])  # refused: a dead letter
        appliance.redis().lpush("mutt:dlq:moog", line)
    appliance.behave(status=422)
    appliance.reload_rules()
    send(appliance, f"CRITICAL {HOSTILE[0]}", hostname=HOSTILE[1][:60])
    appliance.behave()
    lists = [f"/dead-letters/{name}" for name in ("ingest", "alerter", "moog", "poison")]
    search = f"/events?q={HOSTILE[1]}&hostname={HOSTILE[2]}"
    for path in (*PAGES[:-1], *lists, f"/events/{event}", search, "/rules?q=" + HOSTILE[0]):
        browser.open(path)
        assert browser.driver.execute_script("return window.pwned") is None, path
        assert browser.complaints() == [], path
