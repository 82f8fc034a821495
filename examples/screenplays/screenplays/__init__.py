"""Screenplays that people write together."""

from pathlib import Path

from app.features import Feature, MenuEntry
from screenplays import errors, pages
from screenplays.export import PARTS
from screenplays.library import hand_over
from screenplays.mails import invitation_asked, invited
from screenplays.models import Person, Screenplay, Version
from screenplays.names import (
    DELETED,
    INVITED,
    LISTED_BY_PERMISSION,
    READ,
    READ_ALL,
    READ_BY_PERMISSION,
    WRITE,
)
from screenplays.routes import bp
from screenplays.settings import ScreenplaySettings

HERE = Path(__file__).parent

FEATURE = Feature(
    name="screenplays",
    requires=">=0.2,<1",
    blueprints=[bp],
    models=[Screenplay, Version, Person],
    migrations=HERE / "migrations",
    exported=PARTS,
    erased=hand_over,
    permissions=[READ_ALL],
    scopes=[READ, WRITE],
    events=[DELETED, INVITED, READ_BY_PERMISSION, LISTED_BY_PERMISSION],
    errors=[
        errors.TooManyScreenplays,
        errors.TooManyPeople,
        errors.AlreadyInvited,
        errors.TooManyPages,
        errors.IfMatchRequired,
    ],
    pages=[pages.bp],
    menu=[MenuEntry("Screenplays", "/screenplays")],
    init_app=pages.init_app,
    templates=HERE / "templates",
    translations=HERE / "translations",
    mails=[invited, invitation_asked],
    settings=ScreenplaySettings,
)
