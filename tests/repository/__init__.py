"""Tests of the repository itself: layout, manifest, texts, scripts."""
