"""Fuzzing of every parser: bytes by atheris, structure by hypothesis; a short form runs in the tests."""
