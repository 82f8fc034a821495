"""Confirming an address, and moving to another one."""
