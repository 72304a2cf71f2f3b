"""The JK protocols without I/O: standard library only, time is an argument."""
