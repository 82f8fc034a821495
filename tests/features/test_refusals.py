"""What a feature must not bring, and what it must bring: each stops the start with a sentence."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import click
import flask
import pytest
from marshmallow import fields
from sqlalchemy import ForeignKey
from sqlalchemy.orm import mapped_column

from app.access.permissions import Permission
from app.audit.vocabulary import FeatureEvent
from app.errors import AppError
from app.features import Check, ExportPart, Feature, MenuEntry, Weight
from app.http.blueprint import Blueprint
from app.mail.content import Content
from app.mail.wordings import message
from app.models import User
from config import SettingsRefused
from configuration.table import variable
from tests.features.conftest import Install, MakeModel


@pytest.fixture
def refusal(install: Install) -> Callable[..., str]:
    """The one sentence with which the start refuses these features."""

    def refused(*features: Feature) -> str:
        with pytest.raises(SettingsRefused) as refusal:
            install(*features)
        assert refusal.value.code == f"Cannot start: {refusal.value.reasons[0]}"
        return refusal.value.reasons[0]

    return refused


def user_id(**options: Any) -> Any:
    return mapped_column(ForeignKey(User.id, **options))


PART = ExportPart("acme", fields.List(fields.String()), lambda user: [])


# Tables


def test_a_table_without_the_prefix_is_refused(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path
) -> None:
    feature = Feature(name="acme", models=[make_model("invoices")], migrations=tmp_path)

    assert refusal(feature) == (
        "The feature acme has the table invoices. Its tables must be called acme or acme_…."
    )


def test_a_table_that_is_not_listed_is_refused(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path
) -> None:
    make_model("acme_forgotten")

    assert refusal(Feature(name="acme", migrations=tmp_path)) == (
        "The feature acme has no model of acme_forgotten in its models, and these names begin with "
        "its name. Add the models, or give the feature another name."
    )


def test_a_name_that_is_the_prefix_of_our_tables_is_refused(
    refusal: Callable[..., str], tmp_path: Path
) -> None:
    assert refusal(Feature(name="audit", migrations=tmp_path)) == (
        "The feature audit has no model of audit_checks, audit_events, audit_prunings, audit_seals "
        "in its models, and these names begin with its name. Add the models, or give the feature "
        "another name."
    )


def test_the_prefix_of_another_feature_may_begin_with_the_same_word(
    install: Install, make_model: MakeModel, tmp_path: Path
) -> None:
    longer = Feature(name="acme_mail", models=[make_model("acme_mail_x")], migrations=tmp_path)

    assert install(Feature(name="acme"), longer)


def test_a_model_without_migrations_is_refused(
    refusal: Callable[..., str], make_model: MakeModel
) -> None:
    assert refusal(Feature(name="acme", models=[make_model("acme_things")])) == (
        "The feature acme has tables and no migrations. Name the folder with its branch of the "
        "migrations in migrations=…."
    )


@pytest.mark.parametrize("part", ["migrations", "templates", "translations"])
def test_a_folder_that_is_missing_is_refused(
    refusal: Callable[..., str], tmp_path: Path, part: str
) -> None:
    folder: Any = {part: tmp_path / "missing"}

    assert refusal(Feature(name="acme", **folder)) == (
        f"The feature acme has its {part} in {tmp_path}/missing, which is not a folder."
    )


# Names


@pytest.mark.parametrize("name", ["core", "base", "current", "head", "heads"])
def test_a_name_that_means_something_to_the_migrations_is_refused(
    refusal: Callable[..., str], name: str
) -> None:
    assert refusal(Feature(name=name)) == (
        f"The feature {name} has a name that has another meaning in flask db. Give the feature "
        "another name."
    )


def test_a_name_that_is_a_part_of_our_paths_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(Feature(name="auth")) == (
        "The feature auth would have its calls under /api/v1/auth, where the user system has calls "
        "already. Give the feature another name."
    )


def test_a_name_that_one_feature_uses_twice_is_refused(refusal: Callable[..., str]) -> None:
    twice = [click.Command("bill"), click.Command("bill")]

    assert refusal(Feature(name="acme", commands=twice)) == (
        "The feature acme has the command bill, which the feature acme has already. Rename it."
    )


# Kinds


def test_calls_in_a_blueprint_of_flask_are_refused(refusal: Callable[..., str]) -> None:
    of_flask: Any = flask.Blueprint("bills", __name__)

    assert refusal(Feature(name="acme", blueprints=[of_flask])) == (
        "The feature acme has the blueprint bills of Flask in its blueprints. Make it with "
        "Blueprint from app.http.blueprint, or list it in pages, where it has its own path."
    )


def test_settings_that_are_not_a_dataclass_are_refused(refusal: Callable[..., str]) -> None:
    class AcmeSettings:
        pass

    assert refusal(Feature(name="acme", settings=AcmeSettings)) == (
        "FEATURES names 'offering_0', whose settings, "
        f"{AcmeSettings.__qualname__}, are not a dataclass. Decorate them with "
        "@dataclass(frozen=True, kw_only=True)."
    )


# Data about people


def test_a_table_about_users_without_a_part_of_the_export_is_refused(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model("acme_things", user_id=user_id(ondelete="CASCADE"))

    assert refusal(Feature(name="acme", models=[model], migrations=tmp_path)) == (
        "The feature acme stores data about users in acme_things, and exports nothing. Add "
        "exported=…, so that people can download their data."
    )


@pytest.mark.parametrize("ondelete", [None, "RESTRICT", "NO ACTION"])
def test_a_table_about_users_without_a_part_of_the_erasure_is_refused(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path, ondelete: str | None
) -> None:
    model = make_model("acme_things", user_id=user_id(ondelete=ondelete))

    assert refusal(Feature(name="acme", models=[model], migrations=tmp_path, exported=[PART])) == (
        "The feature acme keeps data of erased users in acme_things. Give the foreign keys ON "
        "DELETE CASCADE or SET NULL, or add erased=…."
    )


def test_a_table_that_leads_to_users_over_another_is_about_users_too(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path
) -> None:
    parent = make_model("acme_parents", user_id=user_id(ondelete="CASCADE"))
    key = mapped_column(ForeignKey("acme_parents.id"))
    child = make_model("acme_children", parent_id=key)
    feature = Feature(name="acme", models=[parent, child], migrations=tmp_path, exported=[PART])

    assert refusal(feature).startswith(
        "The feature acme keeps data of erased users in acme_children."
    )


@pytest.mark.parametrize("ondelete", ["CASCADE", "SET NULL"])
def test_a_table_that_says_on_delete_is_accepted(
    install: Install, make_model: MakeModel, tmp_path: Path, ondelete: str
) -> None:
    model = make_model("acme_things", user_id=user_id(ondelete=ondelete))

    assert install(Feature(name="acme", models=[model], migrations=tmp_path, exported=[PART]))


def test_a_function_that_erases_is_accepted_instead(
    install: Install, make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model("acme_things", user_id=user_id())

    assert install(
        Feature(
            name="acme",
            models=[model],
            migrations=tmp_path,
            exported=[PART],
            erased=lambda users: None,
        )
    )


def test_a_table_without_users_needs_neither(
    install: Install, make_model: MakeModel, tmp_path: Path
) -> None:
    assert install(Feature(name="acme", models=[make_model("acme_things")], migrations=tmp_path))


# Names that somebody else has


class ErrorOfOurs(AppError):
    status, code, detail = 404, "not_found", "Another thing is missing."


class ErrorOfTheirs(AppError):
    status, code, detail = 409, "acme_closed", "The shop is closed."


class OtherErrorOfTheirs(AppError):
    status, code, detail = 409, "acme_closed", "The door is closed."


CHECK = Check("acme_answers", Weight.WEAK, "Ask it.", lambda settings: None)
OUR_CHECK = Check("database_answers", Weight.WEAK, "Ask it.", lambda settings: None)


def with_view(name: str) -> Blueprint:
    def view() -> None:
        """Do something."""

    view.__name__ = name
    blueprint = Blueprint("acme", __name__)
    blueprint.get("/things")(view)
    return blueprint


@pytest.mark.parametrize(
    ("kind", "name", "part"),
    [
        ("permission", "users:read", {"permissions": [Permission("users:read", "x")]}),
        ("event", "login_failed", {"events": [FeatureEvent("login_failed")]}),
        ("error code", "not_found", {"errors": [ErrorOfOurs]}),
        (
            "part of the export",
            "sessions",
            {"exported": [replace(PART, key="sessions")]},
        ),
        ("kind of pruned rows", "mails", {"prunes": {"mails": lambda limit: 0}}),
        ("check of flask doctor", "database_answers", {"checks": [OUR_CHECK]}),
        ("command", "users", {"commands": [click.Command("users")]}),
        ("command", "run", {"commands": [click.Command("run")]}),
        ("blueprint", "auth", {"blueprints": [Blueprint("auth", __name__)]}),
        ("view", "read_me", {"blueprints": [with_view("read_me")]}),
        ("blueprint", "profile_pages", {"pages": [flask.Blueprint("profile_pages", __name__)]}),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_name_of_the_core_is_refused(
    refusal: Callable[..., str], kind: str, name: str, part: dict[str, Any]
) -> None:
    assert refusal(Feature(name="acme", **part)) == (
        f"The feature acme has the {kind} {name}, which the user system has already. Rename it."
    )


@pytest.mark.parametrize(
    ("kind", "name", "parts"),
    [
        ("permission", "acme:read", ({"permissions": [Permission("acme:read", "x")]},) * 2),
        ("event", "acme_opened", ({"events": [FeatureEvent("acme_opened")]},) * 2),
        (
            "error code",
            "acme_closed",
            ({"errors": [ErrorOfTheirs]}, {"errors": [OtherErrorOfTheirs]}),
        ),
        ("part of the export", "acme", ({"exported": [PART]},) * 2),
        ("kind of pruned rows", "things", ({"prunes": {"things": lambda limit: 0}},) * 2),
        ("check of flask doctor", "acme_answers", ({"checks": [CHECK]},) * 2),
        ("command", "acme", ({"commands": [click.Command("acme")]},) * 2),
        (
            "blueprint",
            "acme",
            (
                {"blueprints": [Blueprint("acme", __name__)]},
                {"pages": [flask.Blueprint("acme", __name__)]},
            ),
        ),
        ("page of the menu", "/acme", ({"menu": [MenuEntry("Acme", "/acme")]},) * 2),
    ],
    ids=lambda given: given if isinstance(given, str) else "",
)
def test_a_name_of_another_feature_is_refused(
    refusal: Callable[..., str], kind: str, name: str, parts: tuple[dict[str, Any], dict[str, Any]]
) -> None:
    one, two = parts

    assert refusal(Feature(name="first", **one), Feature(name="second", **two)) == (
        f"The feature second has the {kind} {name}, which the feature first has already. Rename it."
    )


def test_a_table_of_another_feature_is_refused(
    refusal: Callable[..., str], make_model: MakeModel, tmp_path: Path
) -> None:
    model = make_model("acme_things")
    features = [
        Feature(name=name, models=[model], migrations=tmp_path) for name in ("acme", "acme_things")
    ]

    assert refusal(*features) == (
        "The feature acme_things has the table acme_things, which the feature acme has already. "
        "Rename it."
    )


def test_an_error_that_keeps_a_code_of_ours_on_purpose_is_accepted(install: Install) -> None:
    class Missing(ErrorOfTheirs):
        detail = "The shop is missing."

    assert install(Feature(name="acme", errors=[ErrorOfTheirs, Missing]))


def test_a_mail_without_a_stored_name_is_refused(refusal: Callable[..., str]) -> None:
    def shipped() -> Content:
        return Content("Shipped", ())

    assert refusal(Feature(name="acme", mails=[shipped])).endswith(
        'which has no name in the outbox. Decorate it with @message("a_name"), from '
        "app.mail.wordings."
    )


def test_a_mail_of_another_feature_is_refused(refusal: Callable[..., str]) -> None:
    name = f"acme_{uuid4().hex[:20]}"

    @message(name)
    def shipped() -> Content:
        return Content("Shipped", ())

    assert refusal(
        Feature(name="first", mails=[shipped]), Feature(name="second", mails=[shipped])
    ) == (
        f"The feature second has the mail {name}, which the feature first has already. Rename it."
    )


def test_a_mail_with_the_name_of_ours_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="verify_email is already the name of a message"):

        @message("verify_email")
        def another() -> Content:
            return Content("Another", ())


# Calls


def blueprint_with(rule: str, name: str = "acme") -> flask.Blueprint:
    made = flask.Blueprint(name, __name__)
    made.add_url_rule(rule, "page", lambda: "page")
    return made


@pytest.mark.parametrize(
    ("rule", "owner"),
    [("/healthz", "ops.healthz_get"), ("/account", "profile_pages.profile_page_get")],
)
def test_a_call_that_we_have_is_refused(refusal: Callable[..., str], rule: str, owner: str) -> None:
    assert refusal(Feature(name="acme", pages=[blueprint_with(rule)])) == (
        f"The feature acme has the call GET {rule}, which {owner} has already. Give it another "
        "path."
    )


def test_a_call_of_another_feature_is_refused(refusal: Callable[..., str]) -> None:
    one = Feature(name="first", pages=[blueprint_with("/shop/<int:id>", "first")])
    two = Feature(name="second", pages=[blueprint_with("/shop/<int:number>", "second")])

    assert refusal(one, two) == (
        "The feature second has the call GET /shop/<int:number>, which first.page has already. "
        "Give it another path."
    )


# Settings


def table_with(name: str) -> type:
    @dataclass(frozen=True, kw_only=True)
    class Table:
        value: str = variable(name, "", str)

    return Table


def test_a_setting_of_ours_is_refused(refusal: Callable[..., str]) -> None:
    assert refusal(Feature(name="acme", settings=table_with("PORT"))).startswith(
        "PORT is a setting of config.Settings and of "
    )


def test_a_setting_of_another_feature_is_refused(refusal: Callable[..., str]) -> None:
    one = Feature(name="first", settings=table_with("ACME_LIMIT"))
    two = Feature(name="second", settings=table_with("ACME_LIMIT"))

    assert refusal(one, two).startswith("ACME_LIMIT is a setting of ")


def test_a_feature_without_another_one_that_it_needs_is_refused(
    refusal: Callable[..., str],
) -> None:
    assert refusal(Feature(name="acme", needs="acme_base")) == (
        "The feature acme needs the feature acme_base, which is not there. "
        "Put acme_base back, or take acme out too."
    )
