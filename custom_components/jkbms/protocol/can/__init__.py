"""What JK BMS say on CAN by themselves: each pack, or a bank as inverters know it (can.md)."""
