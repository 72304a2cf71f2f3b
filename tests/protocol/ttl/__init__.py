"""The protocol 4E 57."""
