"""`neutral pipeline`: every market goes through five stages with gates."""
