"""The frames of RS485 on Bluetooth."""
