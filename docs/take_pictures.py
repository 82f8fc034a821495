"""Take the pictures in docs/pictures/: pages of an account and of the administration.

``make pictures`` starts a server with some people in it, one of whom has
several devices and one of whom is a superuser, and opens its pages in Chromium.
"""

import shutil
import sys
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from flask import Flask
from playwright.sync_api import Browser, Page, sync_playwright
from sqlalchemy import update

from app import clock, create_app, read_settings
from app.extensions import db
from app.models import Session, User
from tests.factories import PASSWORD, make_user
from tests.security.user_agents import COMMON
from tests.servers import environment_for, flask, free_port, serving

PICTURES = Path(__file__).with_name("pictures")
# The name of the picture, the page, and how much of it is shown.
PAGES = (("account", "/account", 980), ("devices", "/account/devices", 1080))
ADMIN_PAGES = (
    ("admin-people", "/admin/users", 1000),
    ("admin-person", "/admin/users/1", 1100),
    ("admin-audit", "/admin/audit", 1000),
)
AGENTS = {name: agent for agent, name in COMMON.items()}
# Device, network address, and how long ago it was used and signed in.
HERE = ("Chrome on macOS", "203.0.113.24", timedelta(), timedelta(hours=2))
# The superuser, on the network of the office.
OFFICE = ("Firefox on Linux", "192.0.2.15")
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
        with serving(
            Path(folder, "gunicorn.log"), port=port, TRUSTED_PROXIES="127.0.0.1/32", **variables
        ):
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
    _fill_administration(app, maya)


def _fill_administration(app: Flask, maya: User) -> None:
    """Colleagues, a role, a superuser, and some things that happened."""
    make_user(
        app,
        username="grace",
        email="grace@example.com",
        email_verified=True,
        superuser=True,
        created_at=clock.now() - timedelta(days=500),
    )
    for days, username, name, is_confirmed in (
        (321, "tomasz", "Tomasz Zielinski", True),
        (203, "amina", "Amina Diallo", True),
        (58, "liwei", "李伟", True),
        (1, "jonas", "Jonas Keller", False),
    ):
        make_user(
            app,
            username=username,
            email=f"{username}@example.com",
            email_verified=is_confirmed,
            full_name=name,
            created_at=clock.now() - timedelta(days=days),
        )
    guess = {"username": maya.username, "password": "not her password"}
    at = {"REMOTE_ADDR": "198.51.100.140"}
    agent = {"User-Agent": AGENTS["Chrome on Windows"]}
    for _ in range(2):
        app.test_client().post("/api/v1/auth/login", json=guess, environ_base=at, headers=agent)
    over_ssh = {"SSH_CONNECTION": "192.0.2.15 50022 10.0.0.1 22", "USER": "grace"}
    runner = app.test_cli_runner(env=over_ssh)
    for command in (
        "roles create support users:read users:write sessions:read",
        "roles assign maya support",
        "users edit tomasz --email tomasz@example.org --verified",
    ):
        done = runner.invoke(args=command.split())
        if done.exit_code:
            sys.exit(f"{command}: {done.output}")


def _take(program: str, url: str, app: Flask) -> None:
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        theirs = _signed_in(browser, url, "maya", AGENTS[HERE[0]])
        hers = _signed_in(browser, url, "grace", AGENTS[OFFICE[0]])
        _let_time_have_passed(app)
        for page, pages in ((theirs, PAGES), (hers, ADMIN_PAGES)):
            for name, path, height in pages:
                page.set_viewport_size({"width": 1280, "height": height})
                page.goto(path)
                page.screenshot(path=PICTURES / f"{name}.png")
        browser.close()


def _signed_in(browser: Browser, url: str, username: str, agent: str) -> Page:
    context = browser.new_context(
        base_url=url,
        color_scheme="light",
        locale="en-GB",
        timezone_id="Europe/Stockholm",
        user_agent=agent,
        # The server trusts this machine, as it would a proxy.
        extra_http_headers={"X-Forwarded-For": HERE[1] if username == "maya" else OFFICE[1]},
    )
    page = context.new_page()
    page.goto("/account/login")
    page.get_by_label("Email address or username").fill(username)
    page.get_by_label("Password", exact=True).fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.wait_for_url("**/account")
    return page


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
