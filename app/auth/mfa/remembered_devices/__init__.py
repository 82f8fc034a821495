"""Devices that skip the second step for some weeks."""
