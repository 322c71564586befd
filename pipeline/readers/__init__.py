"""Readers turn input files of any format into batches of rows.

`formats.format_of` names a file's format, `formats.pieces` cuts a file into parts that can be
read on their own, and `formats.read` streams one part as `rows.Rows`. Every row of a file comes
out exactly once: as a text, or as a reject with a reason.
"""
