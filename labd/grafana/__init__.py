"""What labd does with a Grafana: `provisioning` and `install` bring the dashboards into one, `push` shows it what is captured now.

`section` is the sink's table of the bench file; `source` and `lines` are pure.
"""
