"""dupaudit: how often every document of a data set repeats, where, and how sure that is."""
