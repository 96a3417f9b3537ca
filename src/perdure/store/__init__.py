"""All SQL: named queries in `sql/`, one module per noun that maps rows to domain values, migrations."""
