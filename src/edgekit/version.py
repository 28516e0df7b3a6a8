"""The version of edgekit, on the ground floor: whatever writes it into a file imports it from here."""

__version__ = "0.1.0"
"""As in pyproject.toml."""
