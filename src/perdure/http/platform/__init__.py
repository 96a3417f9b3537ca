"""Routes that belong to no dialect: health, projects, keys."""
