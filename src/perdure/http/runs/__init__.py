"""The canonical runs dialect: routes, schemas, mapping, stream."""
