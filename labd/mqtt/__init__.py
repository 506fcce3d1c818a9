"""MQTT: `section` is its table of the bench file, `messages` what is said (pure), `sink` says it, `commands` listens."""
