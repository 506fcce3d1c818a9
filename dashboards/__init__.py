"""Grafana's dashboards as code: `influxql` says what is asked, `panels` how it is drawn, `frame` what a dashboard has around it, and one
module each makes the dashboards. `python -m dashboards` writes grafana/dashboards. Development only: nothing of labd imports it.
"""
