"""What `dupaudit compare` finds between two finished runs."""
