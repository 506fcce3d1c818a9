"""The device under test: `protocol` and `replies` (pure) say what bytes mean, `serial_link` carries them, `device` offers operations."""
