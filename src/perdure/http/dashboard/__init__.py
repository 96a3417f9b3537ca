"""The dashboard: a page and its files, built from `web/` into `static/`, and the sign-in of `perdure dev`."""
