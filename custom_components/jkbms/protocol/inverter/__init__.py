"""Speaks to an inverter on behalf of a bank (inverter.md); standard library only."""
