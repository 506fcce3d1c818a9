"""Evidence that the figures of many runs do not depend on who computes them, and how the work scales."""
