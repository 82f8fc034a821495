"""Finding what ``FEATURES`` names, and the sentences that refuse it."""

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from app import OPTIONAL, create_app, read_settings
from app.features import Feature, loading
from app.version import VERSION
from config import SettingsRefused
from tests.conftest import ENVIRONMENT
from tests.features.conftest import Install
from tests.servers import BIN, ROOT, environment_for

WritePackage = Callable[..., None]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """Write a package that can be imported during the test. Each has another name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(name: str, text: str, *, entry_point: str = "") -> str:
        (tmp_path / f"{name}.py").write_text(text)
        if entry_point:
            information = tmp_path / f"{name}-1.0.dist-info"
            information.mkdir()
            (information / "METADATA").write_text(f"Name: {name}\nVersion: 1.0\n")
            (information / "entry_points.txt").write_text(
                f"[user_system.features]\n{entry_point} = {name}:FEATURE\n"
            )
        return name

    return write


FEATURE = "from app.features import Feature\n\nFEATURE = Feature(name={name!r})\n"


def load(names: str) -> list[str]:
    settings = read_settings(ENVIRONMENT | {"FEATURES": names})
    return [feature.name for feature in loading.load(settings, ())]


def refusal(names: str) -> str:
    with pytest.raises(SettingsRefused) as refused:
        load(names)
    assert refused.value.code == f"Cannot start: {refused.value.reasons[0]}"
    (reason,) = refused.value.reasons
    return reason


def test_without_features_there_are_only_those_of_this_tree(app: Flask) -> None:
    assert app.extensions["features"] == OPTIONAL


def test_a_module_offers_its_feature_under_the_usual_name(package: Callable[..., str]) -> None:
    package("acme_usual", FEATURE.format(name="acme"))

    assert load("acme_usual") == ["acme"]


def test_the_object_may_be_named(package: Callable[..., str]) -> None:
    package("acme_named", FEATURE.format(name="acme").replace("FEATURE", "BILLING"))

    assert load("acme_named:BILLING") == ["acme"]


def test_an_entry_point_names_a_feature(package: Callable[..., str]) -> None:
    package("acme_entry", FEATURE.format(name="acme"), entry_point="acme-billing")

    assert load("acme-billing") == ["acme"]


def test_the_order_of_features_is_that_of_the_setting(package: Callable[..., str]) -> None:
    package("acme_first", FEATURE.format(name="first"))
    package("acme_second", FEATURE.format(name="second"))

    assert load("acme_second, acme_first") == ["second", "first"]


# Refused


def test_a_name_that_cannot_be_imported_is_refused() -> None:
    assert refusal("acme_nowhere") == (
        "FEATURES names 'acme_nowhere', which cannot be imported (ModuleNotFoundError: No module "
        "named 'acme_nowhere'). Install its package into this environment, or correct the name."
    )


def test_a_module_that_fails_is_refused_with_a_way_to_see_more(
    package: Callable[..., str],
) -> None:
    package("acme_broken", "import acme_missing_library\n")

    assert refusal("acme_broken") == (
        "FEATURES names 'acme_broken', which cannot be imported (ModuleNotFoundError: No module "
        "named 'acme_missing_library'). Correct it; `python -c \"import acme_broken\"` shows the "
        "whole error."
    )


def test_a_module_without_a_feature_is_refused() -> None:
    assert refusal("json") == (
        "FEATURES names 'json', and json has no FEATURE. Name its Feature: json:NAME."
    )


def test_another_object_is_refused() -> None:
    assert refusal("json:dumps") == (
        "FEATURES names 'json:dumps', and json:dumps is of the type function. It must be a "
        "Feature, from app.features."
    )


def test_an_entry_point_of_two_packages_is_refused(package: Callable[..., str]) -> None:
    package("acme_one", FEATURE.format(name="acme"), entry_point="acme-twice")
    package("acme_two", FEATURE.format(name="acme"), entry_point="acme-twice")

    assert refusal("acme-twice") == (
        "FEATURES names 'acme-twice', which several packages offer (acme_one and acme_two). "
        "Remove one of them."
    )


@pytest.mark.parametrize("name", ["acme billing", "1acme", "acme:", "acme;drop"])
def test_what_is_not_the_name_of_a_feature_is_refused(name: str) -> None:
    with pytest.raises(SettingsRefused, match="is not the name of a feature"):
        read_settings(ENVIRONMENT | {"FEATURES": name})


def test_two_features_of_one_name_are_refused(install: Install) -> None:
    with pytest.raises(SettingsRefused) as refused:
        install(Feature(name="acme"), Feature(name="acme"))

    assert refused.value.reasons == [
        "Two features have the name acme. Remove one of them from FEATURES."
    ]


@pytest.mark.parametrize("name", ["", "Acme", "1acme", "acme-billing", "a" * 31, None, 7])
def test_a_name_that_is_no_prefix_is_refused(install: Install, name: Any) -> None:
    with pytest.raises(SettingsRefused, match="has a name that is not accepted"):
        install(Feature(name=name))


@pytest.mark.parametrize("requires", ["", ">=0.2", ">=0.2,<0.4", "~=0.2.0"])
def test_a_feature_for_this_version_starts(install: Install, requires: str) -> None:
    assert install(Feature(name="acme", requires=requires)).extensions["features"]


def test_a_feature_for_another_version_is_refused(install: Install) -> None:
    with pytest.raises(SettingsRefused) as refused:
        install(Feature(name="acme", requires=">=7,<8"))

    (reason,) = refused.value.reasons
    assert reason == (
        "FEATURES names 'offering_0', which works with the versions >=7,<8 of the user system, and "
        f"this is {VERSION}. Install a version of the feature for {VERSION}."
    )


@pytest.mark.parametrize("requires", ["two", 0.2, None, 7])
def test_versions_that_cannot_be_read_are_refused(install: Install, requires: Any) -> None:
    with pytest.raises(SettingsRefused, match=f'whose "requires" is {requires!r}'):
        install(Feature(name="acme", requires=requires))


def test_all_refusals_are_told_at_once() -> None:
    with pytest.raises(SettingsRefused) as refused:
        load("acme_nowhere, json")

    assert len(refused.value.reasons) == 2


def test_create_app_reads_the_setting_from_the_environment(
    package: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    package("acme_environment", FEATURE.format(name="acme"))
    monkeypatch.setenv("FEATURES", "acme_environment")
    monkeypatch.setenv("APP_ENV", "testing")

    app = create_app()

    *ours, acme = app.extensions["features"]
    assert (tuple(ours), acme.name) == (OPTIONAL, "acme")


def test_a_command_ends_with_one_sentence_too(tmp_path: Path) -> None:
    environment = environment_for(FEATURES="acme_nowhere", DATABASE_URL=f"sqlite:///{tmp_path}/a")

    done = subprocess.run(
        [BIN / "flask", "--app", ROOT / "wsgi.py", "db", "current"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.startswith("Cannot start: FEATURES names 'acme_nowhere', which cannot be imported")


def test_settings_are_read_without_an_application() -> None:
    assert read_settings(ENVIRONMENT).features == []
