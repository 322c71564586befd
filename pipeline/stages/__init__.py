"""The stages of an audit: plain functions from files and parameters to files."""
