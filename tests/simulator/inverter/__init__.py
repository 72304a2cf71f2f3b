"""Tests of the simulated inverter, and of what it makes of us."""
