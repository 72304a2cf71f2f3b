"""The integration as its users meet it: a real Home Assistant, a real browser, simulated packs; scripts/e2e runs it."""
