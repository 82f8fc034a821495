"""Calls to other servers, which can neither reach the inner network nor hold a worker."""
