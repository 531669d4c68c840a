"""A real Chromium that looks at a real devnet, for tests and for the pictures of the documents."""
