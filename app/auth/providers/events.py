"""The audit events of linked identities."""

from app.audit.vocabulary import declare

IDENTITY_LINKED = declare(
    "identity_linked", description="You linked an account of another provider%(origin)s."
)
IDENTITY_UNLINKED = declare(
    "identity_unlinked", description="You unlinked an account of another provider%(origin)s."
)
IDENTITIES_REMOVED = declare(
    "identities_removed",
    description="Linked accounts of other providers were removed%(origin)s.",
)
ACCOUNT_EMPTIED = declare(
    "account_emptied",
    alarming=True,
    description=(
        "Your email address had never been confirmed. You proved that it is yours%(origin)s, so "
        "the password and everything else with which somebody could log in were removed."
    ),
)
PASSWORD_SET = declare("password_set", description="You set a password%(origin)s.")

EVENTS = (
    IDENTITY_LINKED,
    IDENTITY_UNLINKED,
    IDENTITIES_REMOVED,
    ACCOUNT_EMPTIED,
    PASSWORD_SET,
)
