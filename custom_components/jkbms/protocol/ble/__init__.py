"""The frames of RS485 on Bluetooth: one pack, asked by orders of 20 bytes (ble.md)."""
