"""The pages that people see in a browser. They call the same verbs as the API."""
