"""What the feature declares: a permission, and an event of the audit log."""

from app.access.permissions import declare
from app.audit import vocabulary

NOTES_READ = declare("notes:read", "Read everybody's notes.")
NOTE_DELETED = vocabulary.declare("note_deleted", description="You deleted a note%(origin)s.")
