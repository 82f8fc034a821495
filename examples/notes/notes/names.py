"""What the feature declares: a permission, a scope of API keys, and an event of the audit log."""

from app.access import permissions, scopes
from app.audit import vocabulary

NOTES_READ = permissions.declare("notes:read", "Read everybody's notes.")
OWN_NOTES = scopes.declare("notes", "Write, read and delete your own notes.")
NOTE_DELETED = vocabulary.declare("note_deleted", description="You deleted a note%(origin)s.")
