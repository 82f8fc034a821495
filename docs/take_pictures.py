"""Take the pictures in docs/pictures/: what people see of their account.

``make pictures`` starts a server with a person in it who has several devices,
and opens its pages in Chromium.
"""

import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask
from playwright.sync_api import sync_playwright
from sqlalchemy import update

from app import clock, create_app, read_settings
from app.extensions import db
from app.models import Session
from tests.factories import PASSWORD, make_user
from tests.security.user_agents import COMMON
from tests.servers import environment_for, flask, free_port, serving

PICTURES = Path(__file__).with_name("pictures")
# The name of the picture, the page, and how much of it is shown.
PAGES = (("account", "/account", 980), ("devices", "/account/devices", 1080))
AGENTS = {name: agent for agent, name in COMMON.items()}
# Device, network address, and how long ago it was used and signed in.
HERE = ("Chrome on macOS", "203.0.113.24", timedelta(), timedelta(hours=2))
ELSEWHERE = (
    ("Safari on iPhone", "203.0.113.24", timedelta(minutes=41), timedelta(days=9)),
    ("Firefox on Windows", "198.51.100.87", timedelta(hours=19), timedelta(days=3)),
)


def main() -> None:
    program = shutil.which("chromium") or shutil.which("chromium-browser")
    if program is None:
        sys.exit("Chromium is missing. On Debian and Ubuntu: apt install chromium")
    with TemporaryDirectory() as folder:
        port = free_port()
        variables = {
            "DATABASE_URL": f"sqlite:///{folder}/sample.db",
            "SECRET_KEY": "only for the pictures: 0123456789 abcdefghij",
            "PUBLIC_URL": f"http://localhost:{port}",
            "WEB_CONCURRENCY": "1",
        }
        flask("db", "upgrade", environment=environment_for(**variables))
        app = create_app(read_settings(variables, instance=Path(folder)))
        _fill(app)
        with serving(Path(folder, "gunicorn.log"), port=port, **variables):
            _take(program, variables["PUBLIC_URL"], app)


def _fill(app: Flask) -> None:
    """Somebody who is signed in on a phone and at work."""
    maya = make_user(
        app,
        username="maya",
        email="maya.lindqvist@example.com",
        email_verified=True,
        full_name="Maya Lindqvist",
        bio="Product designer in Gothenburg. Bicycles, maps and sourdough.",
        avatar_url="https://example.com/pictures/maya.jpg",
        created_at=clock.now() - timedelta(days=412),
    )
    for device, *_ in ELSEWHERE:
        credentials = {"username": maya.username, "password": PASSWORD}
        headers = {"User-Agent": AGENTS[device]}
        app.test_client().post("/api/v1/auth/login", json=credentials, headers=headers)


def _take(program: str, url: str, app: Flask) -> None:
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        context = browser.new_context(
            base_url=url,
            color_scheme="light",
            locale="en-GB",
            timezone_id="Europe/Stockholm",
            user_agent=AGENTS[HERE[0]],
        )
        page = context.new_page()
        page.goto("/account/login")
        page.get_by_label("Email address or username").fill("maya")
        page.get_by_label("Password", exact=True).fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        page.wait_for_url("**/account")
        _let_time_have_passed(app)
        for name, path, height in PAGES:
            page.set_viewport_size({"width": 1280, "height": height})
            page.goto(path)
            page.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


def _let_time_have_passed(app: Flask) -> None:
    """The devices were signed in and used at different times, from different networks."""
    with app.app_context():
        for device, ip, used, signed_in in (HERE, *ELSEWHERE):
            of_device = update(Session).where(Session.user_agent == AGENTS[device])
            db.session.execute(
                of_device.values(ip=ip, refreshed_at=_ago(used), created_at=_ago(signed_in))
            )
        db.session.commit()


def _ago(time: timedelta) -> datetime:
    return clock.now() - time


if __name__ == "__main__":
    main()
