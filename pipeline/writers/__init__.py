"""Writers copy an input file without the rows that a keep list drops.

`formats.write` is the door. A copy has its input's format, columns, types and compression; what is
kept of a text format is kept byte for byte. Rows are numbered as the readers number them.
"""
