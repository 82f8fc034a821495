"""What the feature declares: a permission, and events of the audit log."""

from app.access.permissions import declare
from app.audit import vocabulary

READ_ALL = declare("screenplays:read-all", "Read everybody's screenplays.")

DELETED = vocabulary.declare(
    "screenplay_deleted", description="You deleted a screenplay%(origin)s."
)
INVITED = vocabulary.declare(
    "screenplay_person_invited", description="You invited somebody to a screenplay%(origin)s."
)
