"""The guard, a process beside the daemon that switches outputs off when the daemon does not.

`link` is the daemon's end: it arms the guard while outputs can be on and beats. `server` is the guard's: a lost or silent client makes it
switch that client's sources off (`attempt`), ending the client first where it holds an exclusive link (`holder`). `journal` keeps what
happened for the daemon's next start, `spawn` starts a guard where no service does, `off` is the emergency stop. Limits come as data
(`wire`); the guard reads no bench file and no store.
"""
