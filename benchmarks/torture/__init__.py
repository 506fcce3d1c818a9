"""What can go wrong around a running daemon, done to it on purpose: `served` runs one, each case does one harm, `__main__` judges."""
