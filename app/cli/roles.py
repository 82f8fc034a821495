"""``flask roles …``: an operator makes roles, and gives them to people."""

import json
from collections.abc import Sequence
from functools import partial

import click

from app.access import permissions
from app.administration import roles as app_roles
from app.administration.role_schemas import NewRoleSchema, RoleSchema
from app.cli.people import found, person
from app.cli.refusals import OperatorGroup
from app.cli.terminal import (
    as_json,
    confirm,
    detail,
    in_json,
    loaded,
    or_explain,
    table,
    without_asking,
    yes_or_no,
)
from app.models import Role, User

roles = OperatorGroup("roles", help="Make roles, and give them to people.")

requires_factor = partial(
    click.option,
    "--require-mfa/--no-require-mfa",
    help="Whether its permissions count only in a session with a second factor.",
)


@roles.command("list")
@as_json
def list_roles(as_json: bool) -> None:
    """List all roles with their permissions.

    \b
        flask roles list --json
    """
    found = app_roles.all_roles()
    if as_json:
        click.echo(in_json(RoleSchema(many=True).dump(found), indent=2))
        return
    table(
        ("ID", "NAME", "REQUIRES MFA", "PERMISSIONS", "DESCRIPTION"),
        (
            (
                str(role.id),
                role.name,
                yes_or_no(role.require_mfa),
                ", ".join(role.permissions),
                role.description or "",
            )
            for role in found
        ),
    )


@roles.command("permissions")
@as_json
def list_permissions(as_json: bool) -> None:
    """List every permission that a role can have.

    \b
        flask roles permissions
    """
    found = permissions.declared()
    if as_json:
        listed = [{"name": one.name, "description": one.description} for one in found]
        click.echo(json.dumps(listed, indent=2))
        return
    table(("PERMISSION", "WHAT IT ALLOWS"), ((one.name, one.description) for one in found))


@roles.command()
@click.argument("name")
@as_json
def show(name: str, as_json: bool) -> None:
    """Show a role, and how many people have it.

    \b
        flask roles show support
    """
    role = _found(name)
    people = app_roles.number_of_holders(role)
    if as_json:
        shown = RoleSchema().dump(role) | {"people": people}
        click.echo(in_json(shown))
        return
    for field in ("id", "name", "description"):
        detail(field, getattr(role, field))
    detail("permissions", ", ".join(role.permissions))
    detail("require_mfa", role.require_mfa)
    detail("people", people)


@roles.command()
@click.argument("name")
@click.argument("permission", nargs=-1)
@click.option("--description", help="The purpose of the role.")
@requires_factor(default=False)
@as_json
def create(
    name: str,
    permission: tuple[str, ...],
    description: str | None,
    require_mfa: bool,
    as_json: bool,
) -> None:
    """Make a role with these permissions.

    \b
        flask roles create support users:read sessions:read sessions:revoke
    """
    _refuse_unknown(permission)
    given = {
        "name": name,
        "description": description,
        "permissions": list(permission),
        "require_mfa": require_mfa,
    }
    checked = loaded(NewRoleSchema(), given)
    role = or_explain(lambda: app_roles.create(**checked, actor=None))
    _report(role, f"Made the role {role.name}.", as_json)


@roles.command()
@click.argument("name")
@requires_factor(required=True)
@as_json
def edit(name: str, require_mfa: bool, as_json: bool) -> None:
    """Say whether a role needs a second factor. The change counts from the next request on.

    \b
        flask roles edit support --require-mfa
    """
    role = _found(name)
    changed = or_explain(lambda: app_roles.edit(role.id, {"require_mfa": require_mfa}, actor=None))
    words = "needs" if changed.require_mfa else "does not need"
    _report(changed, f"The role {changed.name} {words} a second factor.", as_json)


@roles.command()
@click.argument("name")
@click.argument("permission", nargs=-1, required=True)
@as_json
def grant(name: str, permission: tuple[str, ...], as_json: bool) -> None:
    """Add permissions to a role. People who have the role may use them from the next request on.

    \b
        flask roles grant support users:write
    """
    _refuse_unknown(permission)
    role = _found(name)
    changed = or_explain(lambda: app_roles.change_permissions(role.id, add=permission, actor=None))
    _report(changed, _what_it_allows(changed), as_json)


@roles.command()
@click.argument("name")
@click.argument("permission", nargs=-1, required=True)
@as_json
def revoke(name: str, permission: tuple[str, ...], as_json: bool) -> None:
    """Take permissions from a role, from the next request on.

    \b
        flask roles revoke support users:write
    """
    role = _found(name)
    changed = or_explain(lambda: app_roles.change_permissions(role.id, take=permission, actor=None))
    _report(changed, _what_it_allows(changed), as_json)


@roles.command()
@click.argument("name")
@without_asking
def delete(name: str, yes: bool) -> None:
    """Delete a role.

    \b
        flask roles delete support
    """
    role = _found(name)
    confirm(f"Everybody who has the role {name} loses it. Delete it?", yes)
    or_explain(lambda: app_roles.remove(role.id, actor=None))
    click.echo(f"The role {name} is deleted.")


@roles.command()
@person
@click.argument("role", nargs=-1, required=True)
def assign(person: str, role: tuple[str, ...]) -> None:
    """Give an account these roles, in addition to those that it has.

    \b
        flask roles assign ada support
    """
    user, named = found(person), [_found(name) for name in role]
    held = or_explain(lambda: app_roles.change_roles(user.id, add=named, actor=None))
    click.echo(_what_they_have(user, held))


@roles.command()
@person
@click.argument("role", nargs=-1, required=True)
def unassign(person: str, role: tuple[str, ...]) -> None:
    """Take these roles from an account, from the next request on.

    \b
        flask roles unassign ada support
    """
    user, named = found(person), [_found(name) for name in role]
    held = or_explain(lambda: app_roles.change_roles(user.id, take=named, actor=None))
    click.echo(_what_they_have(user, held))


def _found(name: str) -> Role:
    return or_explain(lambda: app_roles.by_name(name), f"There is no role {name}.")


def _refuse_unknown(names: Sequence[str]) -> None:
    if unknown := [name for name in names if not permissions.is_declared(name)]:
        raise click.ClickException(
            f"There is no permission {unknown[0]}. `flask roles permissions` lists them."
        )


def _report(role: Role, sentence: str, as_json: bool) -> None:
    click.echo(in_json(RoleSchema().dump(role)) if as_json else sentence)


def _what_it_allows(role: Role) -> str:
    return f"The role {role.name} allows {', '.join(role.permissions) or 'nothing'}."


def _what_they_have(user: User, held: Sequence[Role]) -> str:
    return f"{user.email} has {', '.join(role.name for role in held) or 'no role'}."
