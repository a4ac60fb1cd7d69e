"""A small traffic simulation to try the library on."""
