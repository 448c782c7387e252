"""The four stages, studies, and what they share."""
