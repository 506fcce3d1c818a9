"""HTTP and WebSocket: `server` listens, `gate` lets in, `routes` answer from `services`, `problems` says what went wrong."""
