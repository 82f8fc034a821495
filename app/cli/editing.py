"""The commands of ``flask users …`` that change what an account is."""

from typing import Any

import click

from app.administration import accounts, operating
from app.auth.fields import Email, NewPassword, Username
from app.cli.groups import users
from app.cli.people import found, person
from app.cli.terminal import as_json, loaded, or_explain
from app.cli.users import password_from_prompt, password_from_stdin, report
from app.http.fields import DisplayName, OneOf, Schema
from app.http.languages import LOCALES


class OperatorAccountSchema(Schema):
    """What an operator may write. Reserved usernames are allowed."""

    email = Email()
    username = Username(allow_reserved=True)
    full_name = DisplayName(max_length=100, allow_none=True)
    locale = OneOf(LOCALES)


class OperatorPasswordSchema(Schema):
    password = NewPassword(required=True)


locale = click.option("--locale", type=click.Choice(LOCALES), help="The language of its mails.")


@users.command()
@click.option("--email", required=True, help="The address that gets the invitation.")
@click.option("--username", required=True, help="The name that others see.")
@click.option("--full-name", help="The full name of the person.")
@click.option("--superuser", is_flag=True, help="Give the account all rights.")
@locale
@as_json
def invite(
    email: str,
    username: str,
    full_name: str | None,
    superuser: bool,
    locale: str | None,
    as_json: bool,
) -> None:
    """Make an account, and mail its owner a link to choose the password.

    The link works for three days. `flask users reset-password` mails another
    one, and `flask users link --invite` prints one.

    \b
        flask users invite --email ada@example.com --username ada
    """
    given = {"email": email, "username": username, "full_name": full_name}
    account = loaded(OperatorAccountSchema(), given | ({"locale": locale} if locale else {}))
    user = or_explain(lambda: accounts.invite(**account, is_superuser=superuser, actor=None))
    report(user, f"Invited {user.username} <{user.email}> with id {user.id}.", as_json)


@users.command()
@person
@click.option("--email", help="The new address. It gets a mail to confirm it.")
@click.option("--verified", is_flag=True, help="The new address counts as confirmed already.")
@click.option("--username", help="The new username. Reserved ones are allowed.")
@click.option("--full-name", help='The full name of the person. "" removes it.')
@locale
@as_json
def edit(
    person: str,
    email: str | None,
    verified: bool,
    username: str | None,
    full_name: str | None,
    locale: str | None,
    as_json: bool,
) -> None:
    """Change the address, the username, the full name or the language of an account.

    A new address ends the links that were mailed to the old one. Sessions stay.

    \b
        flask users edit ada --email ada@example.org --verified
    """
    options = {"email": email, "username": username, "full_name": full_name, "locale": locale}
    given: dict[str, Any] = {name: text for name, text in options.items() if text is not None}
    if not given:
        raise click.UsageError("Say what to change: --email, --username, --full-name or --locale.")
    if verified and email is None:
        raise click.UsageError("--verified is about a new --email. See `flask users verify`.")
    if full_name == "":
        given["full_name"] = None
    changes = loaded(OperatorAccountSchema(), given)
    user_id = found(person).id
    user = or_explain(lambda: operating.edit(user_id, changes, verified=verified))
    report(user, f"Changed {user.username} <{user.email}>.", as_json)


@users.command()
@person
@as_json
def verify(person: str, as_json: bool) -> None:
    """Count the address of an account as confirmed. Make sure first that it is the owner's.

    \b
        flask users verify ada@example.com
    """
    user = found(person)
    is_new = or_explain(lambda: operating.verify(user.id))
    words = "is confirmed" if is_new else "was confirmed already"
    report(user, f"{user.email} {words}.", as_json)


@users.command("set-password")
@person
@click.option("--generate", is_flag=True, help="Make a password, and print it.")
@click.option("--stdin", "from_stdin", is_flag=True, help="Read the password from standard input.")
def set_password(person: str, generate: bool, from_stdin: bool) -> None:
    """Set the password of an account, and sign it out everywhere.

    Without an option it asks for the password twice. The owner gets a mail
    that says that the password was changed. Second factors stay. It also ends
    a suspension after too many wrong passwords.

    \b
        flask users set-password ada --generate
    """
    if generate and from_stdin:
        raise click.UsageError("Use either --generate or --stdin.")
    user_id = found(person).id
    if generate:
        password = operating.generate_password()
    else:
        password = password_from_stdin() if from_stdin else password_from_prompt()
    checked = loaded(OperatorPasswordSchema(), {"password": password})
    user = or_explain(lambda: operating.set_password(user_id, checked["password"]))
    sentence = f"Set the password of {user.email}, which is signed out everywhere."
    # In a script the password is the answer.
    click.echo(sentence, err=generate)
    if generate:
        click.echo(password)


@users.command()
@person
@click.option("--reset", "kind", flag_value="reset", help="A link that sets a new password.")
@click.option("--invite", "kind", flag_value="invite", help="The link of an invitation.")
def link(person: str, kind: str | None) -> None:
    """Print a link that lets its reader into an account, for when mail does not work.

    It works once: that of a reset for RESET_TOKEN_EXPIRE_MINUTES, an
    invitation for three days. Whoever has the link has the account, and using
    it confirms the address. So give it to the owner alone. The audit log
    records that you made it.

    \b
        flask users link grace --reset
    """
    if kind is None:
        raise click.UsageError("Say which link: --reset or --invite.")
    make = operating.reset_link if kind == "reset" else operating.invitation_link
    user_id = found(person).id
    click.echo(or_explain(lambda: make(user_id)))
