"""The pages that use passkeys. A script asks the browser, and a form carries what it answers."""
