"""Rows of the table that `make bench` prints: one module for each part of the program."""
