"""Bare-minimum scripts: each does one step only, written to be fast; what the program is held against."""
