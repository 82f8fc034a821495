"""Times as people say them."""

from datetime import UTC, datetime, timedelta

from flask import Flask
from flask_babel import force_locale

from app import clock
from app.pages import times
from tests.cases import each

SPANS = [
    (0, "0 seconds", "0 秒"),
    (1, "1 second", "1 秒"),
    (59, "59 seconds", "59 秒"),
    (60, "1 minute", "1 分钟"),
    (3599.4, "60 minutes", "60 分钟"),
    (3600, "1 hour", "1 小时"),
    (47 * 3600, "47 hours", "47 小时"),
    (48 * 3600, "2 days", "2 天"),
    (60 * 86400, "60 days", "60 天"),
    (61 * 86400, "2 months", "2 个月"),
    (730 * 86400, "24 months", "24 个月"),
    (731 * 86400, "2 years", "2 年"),
]


@each(("seconds", "english", "chinese"), SPANS)
def test_a_length_is_said_in_the_unit_that_fits(
    app: Flask, seconds: float, english: str, chinese: str
) -> None:
    with app.test_request_context():
        assert times.span(timedelta(seconds=seconds)) == english
        with force_locale("zh"):
            assert times.span(timedelta(seconds=seconds)) == chinese


@each(
    ("passed", "said"),
    [
        (timedelta(seconds=20), "just now"),
        (timedelta(hours=3), "3 hours ago"),
        (timedelta(hours=-3, seconds=-1), "in 3 hours"),
        (timedelta(seconds=-20), "in less than a minute"),
    ],
)
def test_an_instant_is_said_from_now(app: Flask, passed: timedelta, said: str) -> None:
    with app.test_request_context():
        assert times.ago(clock.now() - passed) == said


def test_a_wait_of_seconds_is_said_in_chinese_too(app: Flask) -> None:
    with app.test_request_context(), force_locale("zh"):
        assert times.ago(clock.now() + timedelta(seconds=20)) == "不到一分钟后"


def test_a_day_is_written_as_its_language_does(app: Flask) -> None:
    with app.test_request_context():
        assert times.day(datetime(2026, 3, 9, tzinfo=UTC)) == "2026-03-09"
        with force_locale("zh"):
            assert times.day(datetime(2026, 3, 9, tzinfo=UTC)) == "2026年3月9日"
