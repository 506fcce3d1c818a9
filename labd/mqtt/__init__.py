"""MQTT: `section` is its table of the bench file; `feeder` brings what happens into the outbox as `messages` says it (pure), `delivery`
takes it from there over a `connection`, and `sink` keeps them all going."""
