"""The page of a run: one HTML file made from its tables."""
