"""Tests of the JK BMS integration."""
