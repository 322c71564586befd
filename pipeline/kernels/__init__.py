"""Compiled loops over plain arrays: no strings, no objects, no input or output."""
