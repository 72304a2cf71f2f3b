"""Tests of the packs that speak `4E 57`: recorded answers are the judges."""
