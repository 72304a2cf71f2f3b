"""Tests of the links to a bus, over real sockets and real PTYs."""
