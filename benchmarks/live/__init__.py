"""What somebody who watches gets, and what it costs the daemon: frames a second, age of what is drawn, processor time."""
