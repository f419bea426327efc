"""`neutral pipeline`: every market through five stages with gates."""
