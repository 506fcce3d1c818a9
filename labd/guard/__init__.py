"""The guard, a process beside the daemon that switches outputs off when the daemon does not.

`link` is the daemon's end: it arms the guard while outputs can be on and beats. `server` is the guard's: a lost or silent `client` (who it
is: `peer`) makes it switch that client's sources off (`acting`, `attempt`), ending the client first where it holds an exclusive link
(`holder`). `journal` keeps what happened for the daemon's next start, and what is held off for the next guard; `spawn` starts a guard where
no service does, `off` is the emergency stop. Limits come as data (`wire`); the guard reads no bench file and no store.
"""
