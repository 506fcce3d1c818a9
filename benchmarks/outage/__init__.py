"""What can go wrong between labd and an InfluxDB, done to both on purpose: each case does one harm, `accounts` holds both sides' counts
and sums against each other, `__main__` judges."""
