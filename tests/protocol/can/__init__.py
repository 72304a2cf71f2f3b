"""What packs and banks say on CAN."""
