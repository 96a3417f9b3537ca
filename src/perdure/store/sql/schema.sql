-- name: current_revision
-- System: the revision of the schema.
SELECT version_num FROM alembic_version;
