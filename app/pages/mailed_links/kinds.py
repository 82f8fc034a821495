"""What each kind of link does, and what its page says about that."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from app.auth.email import change, verification
from app.auth.password import not_me, reset
from app.auth.password.schemas import PasswordResetSchema
from app.auth.schemas import MailedTokenSchema
from app.http.fields import Schema
from app.pages import notices
from app.pages.notices import Notice
from app.security.one_time_tokens import Purpose

# Where a person gets another link if one is used up or too old.
VERIFICATION, PASSWORD = "verify-email", "reset-password"


@dataclass(frozen=True)
class Kind:
    """A page for links of some purposes. ``use`` takes the fields of the form, and commits."""

    name: str
    purposes: tuple[Purpose, ...]
    use: Callable[..., Any]
    title: str
    # What the button does, in a sentence.
    effect: str
    button: str
    done: Notice
    # What somebody can do whose link does not work, and the page that sends another link.
    otherwise: str
    new_link: str | None
    schema: type[Schema] = MailedTokenSchema

    @property
    def path(self) -> str:
        return f"/account/{self.name}"

    @property
    def sets_password(self) -> bool:
        return self.schema is PasswordResetSchema


PASSWORD_SET = notices.declare("password_set", "Your password is set. Log in with it.")
SHUT_OUT = notices.declare(
    "shut_out",
    "All devices are signed out. We sent you a mail with a link to set a new password.",
)

KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="verify-email",
            purposes=(Purpose.EMAIL_VERIFICATION,),
            use=verification.verify,
            title="Confirm your email address",
            effect="The button confirms that this address is yours.",
            button="Confirm the address",
            done=notices.declare("email_verified", "Your email address is confirmed."),
            otherwise="If your address is not confirmed yet, we can mail you a new link.",
            new_link=VERIFICATION,
        ),
        Kind(
            name="reset-password",
            purposes=reset.SETTING_PASSWORDS,
            use=reset.reset,
            title="Set a new password",
            effect="With the new password, all devices are signed out, and you log in again.",
            button="Set the password",
            done=PASSWORD_SET,
            otherwise="We can mail you a new link.",
            new_link=PASSWORD,
            schema=PasswordResetSchema,
        ),
        Kind(
            name="accept-invitation",
            purposes=reset.SETTING_PASSWORDS,
            use=reset.reset,
            title="Choose a password",
            effect="An account was made for you. You log in with the password that you choose.",
            button="Choose the password",
            done=PASSWORD_SET,
            otherwise="We can mail you a new link.",
            new_link=PASSWORD,
            schema=PasswordResetSchema,
        ),
        Kind(
            name="confirm-email",
            purposes=(Purpose.EMAIL_CHANGE,),
            use=change.confirm,
            title="Confirm your new email address",
            effect="The button moves the account from its old address to this one.",
            button="Use this address",
            done=notices.declare("email_changed", "Your account has the new email address."),
            otherwise="Log in, and ask for the change of your address once more.",
            new_link=None,
        ),
        Kind(
            name="undo-email-change",
            purposes=(Purpose.EMAIL_UNDO,),
            use=change.cancel,
            title="Take your old email address back",
            effect=(
                "The account gets this address back. All devices are signed out, the password "
                "stops working, and we mail you a link to set a new one."
            ),
            button="Take it back",
            done=SHUT_OUT,
            otherwise="If you think that somebody else uses your account, set a new password.",
            new_link=PASSWORD,
        ),
        Kind(
            name="not-me",
            purposes=(Purpose.NOT_ME,),
            use=not_me.repudiate,
            title="Was this not you?",
            effect=(
                "The button protects the account: all devices are signed out, the password stops "
                "working, second factors of the last 7 days are removed, and we mail you a link "
                "to set a new password."
            ),
            button="Sign all devices out",
            done=SHUT_OUT,
            otherwise="If you think that somebody else uses your account, set a new password.",
            new_link=PASSWORD,
        ),
    )
}
PAGES = tuple(KINDS)
