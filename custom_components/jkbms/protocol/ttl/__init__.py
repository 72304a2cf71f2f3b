"""The older serial protocol `4E 57` of the 4-pin socket, and of UART protocol 000."""
