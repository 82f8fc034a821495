"""What the feature declares: a permission, scopes of API keys, and events of the audit log."""

from app.access import permissions, scopes
from app.audit import vocabulary

READ_ALL = permissions.declare("screenplays:read-all", "Read everybody's screenplays.")

# No key shares or deletes a screenplay.
READ = scopes.declare("screenplays:read", "Read the screenplays that you may read.")
WRITE = scopes.declare("screenplays:write", "Begin screenplays, and change those you may change.")

DELETED = vocabulary.declare(
    "screenplay_deleted", description="You deleted a screenplay%(origin)s."
)
INVITED = vocabulary.declare(
    "screenplay_person_invited", description="You invited somebody to a screenplay%(origin)s."
)
# Somebody read it who is not on it, by the permission above.
READ_BY_PERMISSION = vocabulary.declare(
    "screenplay_read_by_permission",
    description="Somebody who may read everybody's screenplays read one of yours.",
)
# The same for the list of all titles. It happens to nobody in particular.
LISTED_BY_PERMISSION = vocabulary.declare("screenplays_listed_by_permission")
