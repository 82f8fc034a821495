"""The group of commands that is spread over several modules: ``flask users …``."""

from app.cli.refusals import OperatorGroup

users = OperatorGroup(
    "users",
    help="Create and list accounts; give and take rights.",
    places={
        "activate": "app.cli.users:activate",
        "create": "app.cli.users:create",
        "deactivate": "app.cli.users:deactivate",
        "delete": "app.cli.users:delete",
        "demote": "app.cli.users:demote",
        "edit": "app.cli.editing:edit",
        "end-sessions": "app.cli.users:end_sessions",
        "export": "app.cli.exporting:export_users",
        "identities": "app.cli.identities:show_identities",
        "import": "app.cli.importing:import_users",
        "invite": "app.cli.editing:invite",
        "keys": "app.cli.api_keys:keys",
        "link": "app.cli.editing:link",
        "list": "app.cli.listing:list_",
        "promote": "app.cli.users:promote",
        "reset-factors": "app.cli.factors:reset_factors",
        "reset-password": "app.cli.users:reset_password",
        "search": "app.cli.listing:search",
        "sessions": "app.cli.users:list_sessions",
        "set-password": "app.cli.editing:set_password",
        "show": "app.cli.factors:show",
        "stats": "app.cli.listing:stats",
        "suspended": "app.cli.unlocking:suspended",
        "unlock": "app.cli.unlocking:unlock",
        "verify": "app.cli.editing:verify",
    },
)
