"""``flask mail test``: sends one mail now, and shows what the mail server answers."""

from uuid import uuid4

import click

from app.cli.refusals import OperatorGroup
from app.mail import composing, listening, transport
from app.mail.content import Content
from config import settings

mail = OperatorGroup("mail", help="Try the mail server.")


@mail.command()
@click.argument("address")
def test(address: str) -> None:
    """Send a test mail to ADDRESS now, and show what the mail server answers to each step.

    It does not go through the outbox. Passwords are not shown. The exit
    status is 1 if the mail was not accepted.

    \b
        flask mail test grace@example.com
    """
    try:
        with listening.listening(click.echo):
            transport.send(_content(), to=address, message_id=composing.message_id(uuid4()))
    except (transport.Refused, OSError) as error:
        reason = transport.reason_for_the_log(error)
        raise click.ClickException(f"The mail was not sent: {reason}.") from None
    click.echo(f"The mail to {address} was handed over ({transport.destination()}).")


def _content() -> Content:
    return Content(
        f"A test mail from {settings.brand_name}",
        (
            "This mail shows that the server can send mail.",
            f"Its links will lead to {settings.public_url}.",
        ),
        reason="An operator of the server sent it to this address.",
        contact="Do you have a question? Write to",
    )
