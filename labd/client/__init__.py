"""How commands talk to a daemon: `connection` finds it and speaks, in the words of the API's records."""
