"""``flask doctor``: lists the weaknesses of a deployment."""

import click
from flask.cli import with_appcontext

from app.cli.refusals import OperatorCommand
from app.cli.terminal import as_json, in_json
from app.doctor import findings
from app.features.checks import Finding, Weight
from config import settings


@click.command(cls=OperatorCommand)
@as_json
@with_appcontext
def doctor(as_json: bool) -> None:
    """List the weaknesses of this deployment, with reasons and what to do.

    The exit status is 1 if something is dangerous. Run it on the host of the
    server, with the same environment, and under the same account.

    \b
        flask doctor --json
    """
    found = list(findings.findings(settings))
    if as_json:
        click.echo(in_json(list(map(_in_json, found)), indent=2))
    else:
        _print(found)
    if any(finding.weight is Weight.DANGEROUS for finding in found):
        raise SystemExit(1)


def _in_json(finding: Finding) -> dict[str, str]:
    # Scripts read these names, so the remedy keeps its first one.
    return {
        "check": finding.check,
        "weight": finding.weight,
        "reason": finding.reason,
        "cure": finding.remedy,
    }


def _print(found: list[Finding]) -> None:
    for weight in Weight:
        group = [finding for finding in found if finding.weight is weight]
        if not group:
            continue
        click.echo(f"{weight.capitalize()}:")
        for finding in group:
            click.echo(f"  {finding.check}\n    {finding.reason}\n    {finding.remedy}")
        click.echo()
    if not found:
        click.echo("Nothing is weaker than it should be.")
