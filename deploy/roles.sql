-- The two accounts and the database. compose.yaml and local_topology.py run this once, by psql, as
-- a superuser, with both passwords in the environment.
--
-- The account that serves can only read and write rows: it cannot change or create tables.
-- Migrations run under the owner, and take rights from the account that serves, so that it cannot
-- edit or delete the audit log (docs/audit.md, "Append-only").

\getenv owner_password DATABASE_OWNER_PASSWORD
\getenv password DATABASE_PASSWORD

CREATE ROLE user_system_owner LOGIN PASSWORD :'owner_password';
CREATE ROLE user_system LOGIN PASSWORD :'password';
CREATE DATABASE user_system OWNER user_system_owner;

\connect user_system

ALTER DEFAULT PRIVILEGES FOR ROLE user_system_owner
    GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO user_system;
ALTER DEFAULT PRIVILEGES FOR ROLE user_system_owner
    GRANT USAGE ON SEQUENCES TO user_system;
