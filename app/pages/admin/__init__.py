"""The pages for administrators, with the rights of the API's calls."""
