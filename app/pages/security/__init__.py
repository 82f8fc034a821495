"""The pages on second factors. Each kind has its file, and is there if its feature is."""
