"""Image files that `kerasae restore` reads and writes, and the table beside classical filters."""
