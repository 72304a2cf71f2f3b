"""Custom integrations of this repository.

A regular package, because the test harness of Home Assistant brings a package of the same name that
would hide a namespace package.
"""
