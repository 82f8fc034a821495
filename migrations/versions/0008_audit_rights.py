"""The role that serves may add to the audit log and erase people from it, and no more.

The default privileges of deploy/roles.sql give it UPDATE and DELETE on every table. Where several
roles use the database, each of them but the owner loses these rights on the audit log. So only the
owner can prune it: a role that may delete events could also put a pruning on record.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

# The columns that become NULL when a user is erased. Whoever may update the table keeps these.
ON_POSTGRESQL = """
DO $$
DECLARE
    held record;
BEGIN
    FOR held IN
        SELECT log.erasable, pg_class.oid::regclass AS name,
               CASE WHEN acl.grantee = 0 THEN 'PUBLIC' ELSE acl.grantee::regrole::text END AS role,
               bool_or(acl.privilege_type = 'UPDATE') AS may_update
          FROM (VALUES ('audit_events', 'ip, user_agent, personal'),
                       ('audit_seals', 'salt'),
                       ('audit_prunings', NULL)) AS log (name, erasable)
          JOIN pg_class ON pg_class.oid = log.name::regclass
         CROSS JOIN aclexplode(pg_class.relacl) AS acl
         WHERE acl.grantee <> pg_class.relowner
         GROUP BY log.erasable, pg_class.oid, acl.grantee
    LOOP
        EXECUTE format('REVOKE UPDATE, DELETE, TRUNCATE ON %s FROM %s', held.name, held.role);
        IF held.erasable IS NULL THEN
            EXECUTE format('REVOKE INSERT ON %s FROM %s', held.name, held.role);
        ELSIF held.may_update THEN
            EXECUTE format(
                'GRANT UPDATE (%s) ON %s TO %s', held.erasable, held.name, held.role
            );
        END IF;
    END LOOP;
END $$
"""


def upgrade() -> None:
    if op.get_context().dialect.name == "postgresql":
        # In one line: `flask db upgrade --sql` ends a statement where a line ends in a semicolon.
        op.execute(" ".join(ON_POSTGRESQL.split()))


def downgrade() -> None:
    """Leave the rights as they are: the code of before needs no more either."""
