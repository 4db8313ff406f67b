"""Columns that several tables of ports share."""

PORT_HEADINGS = ("port", "state", "signal", "operator", "number", "ICCID", "balance")
