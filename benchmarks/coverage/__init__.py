"""Are figures as certain as they say, and is no second of measuring wasted?

physics (benches drawn at random within their files) -> captures (figures on them, with the truth) -> best (how narrow an interval could be)
-> verdict; beside it least_time (the fewest seconds that physics allows) -> aimed (runs that measure until an aim is met).
"""
