"""Tests of the packs behind Bluetooth modules: recorded frames are the judges."""
