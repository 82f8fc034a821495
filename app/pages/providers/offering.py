"""The parts of other pages that are about providers. Their templates call these functions."""

from jinja2 import Environment

from app.access.permissions import USERS_READ
from app.auth.providers import identities
from app.auth.providers.models import Identity
from app.auth.providers.settings import Provider, providers
from app.models import User
from app.pages.admin.sections import Section

# The page of somebody's linked accounts.
IDENTITIES = "/account/identities"
# On the page of an account that administrators see.
SECTION = Section(USERS_READ, "providers/person_section.html", lambda person: linked(person.id))


def add_to_templates(environment: Environment) -> None:
    environment.globals.update(
        offered_providers=_offered,
        providers_that_ask_again=_that_ask_again,
        linked_identities=linked,
    )


def _offered() -> list[Provider]:
    return list(providers().values())


def _that_ask_again(user: User) -> list[Provider]:
    """The providers with which the user can show again who it is. A second step wants a factor."""
    if user.second_step_at is not None:
        return []
    linked = {identity.issuer for identity in identities.of(user.id)}
    known = providers().values()
    return [one for one in known if one.can_ask_again and one.issuer in linked]


def linked(user_id: int) -> list[tuple[str, Identity]]:
    """The identities of a user, each with the name of its provider for people."""
    return [(identities.label_of(one), one) for one in identities.of(user_id)]
