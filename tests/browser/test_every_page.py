"""Every page in every state and both languages, as Chromium shows it: who can use it?

axe-core looks at each state on a desk in the light and on a phone in the dark, and
in Chinese at the first state of each page. `make test-long` looks at all eight
combinations. The Nu HTML checker reads what the server sent.
"""

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice, product
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from playwright.sync_api import Browser
from playwright.sync_api import Page as Tab

from tests.browser.conftest import Site
from tests.browser.visit import BrowserVisit
from tests.conftest import IS_LONG_RUN
from tests.pages.scenes import IN_PROCESS, SCENES
from tests.servers import ROOT
from tests.tampering import empty_everything

# The walk through all pages takes a minute or two, and more on a busy machine.
pytestmark = [pytest.mark.browser, pytest.mark.postgresql, pytest.mark.timeout(900)]

PACKAGES = ROOT / "tests" / "npm" / "node_modules"
AXE = PACKAGES / "axe-core" / "axe.min.js"
CHECKER = PACKAGES / "vnu-jar" / "build" / "dist" / "vnu.jar"
NARROW, PHONE, DESK = 320, 390, 1280
LOOKS = {"en": [(DESK, "light"), (PHONE, "dark")], "zh": [(PHONE, "dark")]}
# axe answers with the elements that violate a rule. What is folded away is looked at too.
LOOK = """
async () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  const found = await axe.run({ resultTypes: ["violations"], selectors: false });
  return found.violations.map(({ id, nodes }) => [id, nodes.map((one) => one.html)]);
}
"""
# Presses of Tab are real. Each element that gets the focus writes down whether one can see it.
WATCH = """
() => {
  globalThis.reached = new Map();
  document.addEventListener("focusin", ({ target }) => {
    const { outlineStyle, outlineWidth } = getComputedStyle(target);
    reached.set(target, outlineStyle !== "none" && parseFloat(outlineWidth) >= 2);
  });
  globalThis.reachable = () => {
    const all = document.querySelectorAll("a[href], button, input, select, textarea, summary");
    return [...all].filter((one) => one.checkVisibility() && !one.disabled);
  };
  // The parts of a date or a time, and the calendar, are places of their own.
  const parts = (type, number) => number * document.querySelectorAll(`input[type=${type}]`).length;
  return reachable().length + parts("date", 4) + parts("datetime-local", 7);
}
"""
MISSED = "reachable().filter((one) => !reached.get(one)).map((one) => one.outerHTML)"
# What differs from one account, form and minute to the next.
PASSING = re.compile(
    r'(?<=value=")[^"]*|ada\d+|[0-9a-f]{8}-[0-9a-f-]{27}|(?<=datetime=")[^"]*|<svg.*?</svg>'
)


@dataclass
class Findings:
    """What is wrong, each with where it is."""

    axe: list[str] = field(default_factory=list)
    too_wide: list[str] = field(default_factory=list)
    out_of_reach: list[str] = field(default_factory=list)
    without_focus: list[str] = field(default_factory=list)
    console: list[str] = field(default_factory=list)
    # The name of a state, and its HTML as it was sent.
    html: dict[str, str] = field(default_factory=dict)


@pytest.fixture(scope="module")
def axe() -> str:
    if not AXE.exists() and os.environ.get("CI") == "true":
        pytest.fail("CI=true wants the packages that make node-packages installs.")
    if not AXE.exists():
        pytest.skip("The packages of tests/npm are missing: make node-packages.")
    return AXE.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def findings(
    axe: str, session_app: Flask, site: Site, playwright_browser: Browser
) -> Iterator[Findings]:
    found = Findings()
    for locale in ("en", "zh"):
        # Without motion no color is on its way to another one.
        context = playwright_browser.new_context(base_url=site.url, reduced_motion="reduce")
        context.add_init_script(axe)
        context.on("console", lambda message: found.console.append(message.text))
        seen: set[str] = set()
        for name, scene in SCENES.items():
            if name in IN_PROCESS:
                continue
            visit = BrowserVisit(session_app, locale, context, site)
            is_whole = locale == "en" or IS_LONG_RUN
            for number, state in enumerate(islice(scene(visit), None if is_whole else 1)):
                where = f"{number} {name} {state} {locale}"
                what = PASSING.sub("", visit.html)
                if what not in seen:
                    found.html[where] = visit.html
                    look(visit.tab, where, found)
                seen.add(what)
        context.close()
    yield found
    with session_app.app_context():
        empty_everything()


def look(tab: Tab, where: str, found: Findings) -> None:
    """Look at one state. The same page is shown in other sizes and colors."""
    # Some parts appear after a moment.
    tab.evaluate("Promise.all(document.getAnimations().map((one) => one.finished))")
    tab.set_viewport_size({"width": NARROW, "height": 700})
    width = tab.evaluate("document.documentElement.scrollWidth")
    if width > NARROW:
        found.too_wide.append(f"{where}: {width}")
    if tab.locator("[data-focus]:visible:not(:focus)").count():
        found.without_focus.append(where)
    if where.endswith("en"):
        # The year, the month and the day of a date are reached one by one, and then its calendar.
        in_dates = 3 * tab.locator("input[type=date]:visible").count()
        for _ in range(tab.evaluate(WATCH) + in_dates + 2):
            tab.keyboard.press("Tab")
        found.out_of_reach += [f"{where}: {one}" for one in tab.evaluate(MISSED)]
    everything = product((PHONE, DESK), ("light", "dark"))
    for size, scheme in everything if IS_LONG_RUN else LOOKS[where[-2:]]:
        tab.set_viewport_size({"width": size, "height": 800})
        tab.emulate_media(color_scheme=scheme)
        for rule, elements in tab.evaluate(LOOK):
            found.axe.append(f"{where} {scheme} {size}: {rule}: {elements}")


def test_axe_finds_nothing(findings: Findings) -> None:
    assert not findings.axe, "\n".join(findings.axe)


def test_no_page_is_wider_than_the_smallest_phone(findings: Findings) -> None:
    assert not findings.too_wide


def test_the_keyboard_reaches_everything_and_one_sees_where_it_is(findings: Findings) -> None:
    assert not findings.out_of_reach, "\n".join(findings.out_of_reach)


def test_what_is_wrong_gets_the_focus(findings: Findings) -> None:
    assert not findings.without_focus


def test_the_policy_of_the_pages_refuses_nothing_of_theirs(findings: Findings) -> None:
    # Chromium itself notes that an answer was 403, 404 or 422, and that the script was faster than
    # the attribute `autofocus`, which is for browsers without scripts.
    noted = ("the server responded with", "Autofocus processing was blocked")
    assert [one for one in findings.console if not any(note in one for note in noted)] == []


def test_the_nu_html_checker_finds_no_error(findings: Findings, tmp_path: Path) -> None:
    if shutil.which("java") is None:
        pytest.skip("The Nu HTML checker needs Java: apt install default-jre-headless.")
    for where, html in findings.html.items():
        (tmp_path / f"{where}.html").write_text(html, encoding="utf-8")

    done = subprocess.run(
        ["java", "-jar", CHECKER, "--format", "json", "--exit-zero-always", tmp_path],
        capture_output=True,
        text=True,
        check=True,
    )

    messages: list[dict[str, Any]] = json.loads(done.stderr)["messages"]
    errors = {
        f"{one['message']} {one.get('extract')}" for one in messages if one["type"] == "error"
    }
    assert not errors, "\n".join(errors)
