"""Bytes of artifacts, in a folder or in a store of objects."""
