"""The generators, one file a format or two. Tasks of a format are variations of it."""
