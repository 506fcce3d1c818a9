"""The plans that are under way, or wait, while harm is done."""

SWEEP = """
schema = 1
name = "short sweep"
modes = ["always_on", "event_sleep"]
rates = ["0 /s", "20 /s"]
supply = ["3.0 V"]
models = ["dnn"]
[captures]
events = 12
floor_time = "1 s"
event_captures = 4
warm_up_inferences = 1
[conditions]
settle = "50 ms"
[detector]
kind = "host-triggered"
"""

# Four captures in place of seven; a floor costs its own time and the 5 s that the board is told to rest beyond it.
ONE_MODE = SWEEP.replace("short sweep", "one mode").replace('["always_on", "event_sleep"]', '["event_sleep"]')

# Two captures: what shows that the next job goes on.
FLOORS = ONE_MODE.replace("one mode", "floors").replace('["0 /s", "20 /s"]', '["0 /s"]').replace("event_captures = 4", "event_captures = 0")
