"""Windows from pin edges, text marks and bursts of power: edges -> marks | bursts -> laps. Positions are in records; pure."""
