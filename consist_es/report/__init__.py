"""The report: a record as one HTML file that a colleague opens. Its page is made from the sources in `web/`."""
