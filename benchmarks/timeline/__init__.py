"""How well labd aligns a device's counter with a record that has no line to it, against the virtual physics."""
