"""Entities take the place of those of an add-on."""
