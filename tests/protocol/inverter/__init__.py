"""Tests of what an inverter is told."""
