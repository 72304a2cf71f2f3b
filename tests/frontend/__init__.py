"""Tests of what browsers load: run in Node, with what Home Assistant hands to a strategy."""
