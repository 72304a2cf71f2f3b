"""Tests of the protocol package: no I/O, no clock."""
